// Package disktest is what tests of a store on [disk.FS] need: a file system in memory
// that can lose its power ([Mem]), failures at a chosen operation ([Inject], [Sweep]),
// death at a chosen operation ([KillAt]), counting ([Count]), anything else ([Hook]),
// and the kit that every disk.FS passes ([Run]).
//
// # What a power cut may do
//
// [Mem.PowerCut] gives one of the states that a disk may be in after a power loss, by
// the promises of package disk and no others; [Mem.Crash] gives the one that is asked
// for. What was synced is always there. Of the rest:
//
//   - Bytes. Every write since the last sync of its file falls into sectors of 512
//     bytes, each aligned to the file. Each sector of each write is kept or lost on its
//     own; a sector is never torn, and of two writes that are kept the later one wins.
//     Bytes of other sectors do not change.
//   - Sizes. Each growth of a file is kept or lost apart from the bytes that caused it.
//     Where the size is kept and the bytes are not, they are zeros. When a cut to a
//     smaller size is lost, so is all that was written to the file after it.
//   - Names. Each unsynced create, mkdir, rename, link and remove is kept or lost, on
//     its own, in one piece: after a rename one of the two names stands for the file,
//     never both or none. But none is kept when one that it builds on is lost: an
//     earlier one of the same name in the same directory, or one that named, renamed
//     or removed the same file. The rename of a directory builds on all before it.
//   - A file that no surviving name leads to is gone, synced or not; so is all that is
//     in a directory whose own name is gone.
//   - A sync that [Inject] lets fail stores nothing, and what it should have stored is
//     never stored by a later sync; a crash before that may still find it.
//
// This is what journalling file systems (ext4, XFS, APFS, NTFS, Btrfs) may leave, and in
// three points more: those keep the changes of names in one order for the whole file
// system, so that a kept one means that all earlier ones are kept; most store a file's
// name when the file is synced; and most store a directory's own name when the directory
// is synced. A store that is right here needs none of the three.
//
// What the model does not do: it never changes bytes that nobody wrote (a disk whose
// sectors rot, or that lies about having synced); it never shows old content of other
// files in a file that has grown; it does not tear a sector; it does not lose a name
// while keeping what was done later with the same file, which a file system without a
// journal (FAT, ext2) may do. Times and locks do not survive.
//
// To cut the power at every operation of a history, cut it in a hook and look at what
// is left, as many times as there is patience for:
//
//	m := disktest.NewMem()
//	fsys := disktest.Hook(m, func(op disktest.Op) disktest.Verdict {
//		check(m.PowerCut(rng)) // the state before op
//		return disktest.Verdict{}
//	})
//	work(fsys)
//	check(m.PowerCut(rng))
//
// # Killed processes
//
// [KillAt] ends a real process. What it wrote stays with the system, so the state left
// behind is exactly that before the operation: one for each n, or, with a Short plan,
// one with half a write. Run the test binary again as a child that does the work on
// KillAt(fsys, n), for n from 1 until the child ends by itself, and look at the
// directory after each.
package disktest
