// Package wasi gives guests WASI preview 1, and its predecessor wasi_unstable,
// on top of wazero's own implementation. WASI.md beside this file says what is
// supported, how it deviates, and which limits hold.
//
// Every function checks its pointers, lengths and paths, calls the hook of the
// run it belongs to, and then calls wazero's function. The state of a run
// travels in the context ([WithRun]), so the functions are registered once in a
// runtime, whatever the number of guests in it.
//
// # Where wazero's functions are not used as they are
//
// Seen in wazero v1.12.0; each point has a test here.
//
//   - Error numbers outside its small set become EIO: a full quota, too many
//     open files and the like keep their own number here.
//   - Counts of iovecs and of subscriptions are multiplied without a check for
//     overflow; with 2^29 iovecs nothing is transferred and success reported,
//     and poll_oneoff panics on an index outside its buffer. Both are bounded.
//   - Paths of any length are copied to the host's heap before they are looked
//     at. Here 4096 bytes are the limit. Bytes that are not UTF-8 are reported
//     as EPERM; here as EILSEQ.
//   - fd_renumber grows its table to the number asked for, up to 16 GiB, and
//     closes a descriptor that is renumbered to itself.
//   - fd_filestat_set_times dereferences nil for a standard stream.
//   - fd_prestat_get succeeds for standard streams.
//   - fd_allocate adds offset and length without a check for overflow.
//   - poll_oneoff cannot be interrupted, waits for the shortest timeout even if
//     another subscription is ready, knows no absolute timeouts, takes 2^63 and
//     above for a timeout in the past, and reports every clock as due when input
//     came first. It is replaced.
//   - random_get of a large buffer cannot be interrupted.
//   - fd_read and fd_write with several iovecs lose count of what was done when
//     a later iovec fails, and a write goes on after a short one.
//   - fd_readdir keeps as many entries as the buffer could hold, per descriptor.
//   - path_readlink fails if the buffer is short, where POSIX cuts the target.
//   - Renames and links over two mounts are ENOSYS; here EXDEV, on which programs
//     fall back to copying. Seeking a standard stream is ENOSYS; here ESPIPE.
//   - A preopened directory that cannot be opened, other than by ENOENT, panics;
//     [vfs.Guard] turns every such error into ENOENT.
//   - path_symlink passes on a string that shares the guest's memory; package
//     vfs copies it.
package wasi
