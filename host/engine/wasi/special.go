package wasi

import (
	"encoding/binary"
	"math"
)

// kind says which method makes a call; see the package comment for why.
type kind uint8

const (
	plain kind = iota // wazero's function as it is
	allocateKind
	clockKind
	filestatKind
	noSocketsKind
	pollKind
	prestatKind
	randomKind
	readdirKind
	readlinkKind
	renumberKind
	seekKind
	setFlagsKind
	setTimesKind
	twoPathsKind
	vectorKind
	exitKind
)

// make makes a call of the given kind. It is a switch so that calls stay off the heap.
func (c *call) make(k kind) uint32 {
	switch k {
	case allocateKind:
		return c.allocate()
	case clockKind:
		return c.clock()
	case filestatKind:
		return c.filestat()
	case noSocketsKind:
		return c.noSockets()
	case pollKind:
		return c.poll()
	case prestatKind:
		return c.prestat()
	case randomKind:
		return c.random()
	case readdirKind:
		return c.readdir()
	case readlinkKind:
		return c.readlink()
	case renumberKind:
		return c.renumber()
	case seekKind:
		return c.seek()
	case setFlagsKind:
		return c.setFlags()
	case setTimesKind:
		return c.setTimes()
	case twoPathsKind:
		return c.twoPaths()
	case vectorKind:
		return c.vector()
	}
	return c.raw()
}

// noSockets answers for the functions of sockets, which no guest has.
func (c *call) noSockets() uint32 { return eNotsup }

// clock answers the two CPU time clocks, which older libraries ask for, with
// the monotonic clock, as current ones do themselves.
func (c *call) clock() uint32 {
	switch id := uint32(c.stack[0]); {
	case id > 3:
		return eInval
	case id > 1:
		c.stack[0] = 1
	}
	return c.raw()
}

// allocate refuses sizes whose sum wraps around.
func (c *call) allocate() uint32 {
	off, n := c.stack[1], c.stack[2]
	switch {
	case off > math.MaxInt64 || n > math.MaxInt64 || n == 0:
		return eInval
	case off+n > math.MaxInt64:
		return eFbig
	}
	return c.raw()
}

const fdNonblock = 4

// setFlags takes non-blocking mode for files and directories, which never block.
func (c *call) setFlags() uint32 {
	fd, flags := uint32(c.stack[0]), c.stack[1]
	if flags&fdNonblock != 0 && !c.stdio(fd) {
		c.stack[1] = flags &^ fdNonblock
	}
	if errno := c.raw(); errno != eNosys {
		return errno
	}
	return eNotsup
}

// setTimes keeps wazero from falling back to the file system of a standard
// stream, which has none.
func (c *call) setTimes() uint32 {
	if fd := uint32(c.stack[0]); fd <= 2 && (c.v.size < 8 || c.stdio(fd)) {
		return eNotsup
	}
	return c.raw()
}

// prestat reports that a standard stream is no preopened directory.
func (c *call) prestat() uint32 {
	if c.stdio(uint32(c.stack[0])) {
		return eBadf
	}
	return c.raw()
}

const maxRenumber = 1024

// renumber bounds the target: wazero's table grows up to it. A descriptor
// renumbered to itself stays open.
func (c *call) renumber() uint32 {
	from, to := uint32(c.stack[0]), uint32(c.stack[1])
	switch {
	case !c.open(from), to >= maxRenumber && !c.open(to):
		return eBadf
	case from == to:
		return 0
	}
	return c.raw()
}

// seek translates the whence of wasi_unstable (current, end, start) and reports
// a standard stream as one that has no position.
func (c *call) seek() uint32 {
	if len(table[c.fn].args) > 2 { // fd_seek, not fd_tell
		whence := uint32(c.stack[2])
		if whence > 2 {
			return eInval
		}
		if c.old {
			c.stack[2] = uint64((whence + 1) % 3)
		}
	}
	if errno := c.raw(); errno != eNosys {
		return errno
	}
	return eSpipe
}

// twoPaths reports a rename or link over two mounts as such.
func (c *call) twoPaths() uint32 {
	if errno := c.raw(); errno != eNosys {
		return errno
	}
	return eXdev
}

// vector splits a read or write of several iovecs into one call each, so that
// an error after some bytes reports those bytes, and a short write ends it.
func (c *call) vector() uint32 {
	s := c.stack
	fd, iovs, n := s[0], uint32(s[1]), uint32(s[2])
	last := len(table[c.fn].args) - 1
	result := uint32(s[last])
	if n <= 1 {
		return c.spipe(fd, c.raw())
	}
	left := c.bytes - 4 // the sum of the lengths; the rest is the result
	var off uint64
	positioned := last == 4
	if positioned {
		off = s[3]
	}
	var done uint64
	for i := uint32(0); i < n && left > 0; i++ {
		// A result that overlaps the iovecs can change them; what was measured
		// stays the limit.
		size := uint64(c.v.u32(iovs + 8*i + 4))
		if size == 0 {
			continue
		}
		if size > left {
			break
		}
		s[0], s[1], s[2], s[last] = fd, uint64(iovs+8*i), 1, uint64(result)
		if positioned {
			s[3] = off + done
		}
		if errno := c.raw(); errno != 0 {
			if done == 0 {
				return c.spipe(fd, errno)
			}
			break
		}
		got := uint64(c.v.u32(result))
		done += got
		left -= size
		if got < size {
			break
		}
	}
	if done == 0 {
		// Nothing to do or nothing to read: let wazero look at fd.
		s[0], s[1], s[2], s[last] = fd, uint64(iovs), 0, uint64(result)
		if positioned {
			s[3] = off
		}
		return c.spipe(fd, c.raw())
	}
	c.v.mem.WriteUint32Le(result, uint32(done))
	return 0
}

// spipe corrects the error of pread and pwrite on a standard stream, and ends
// a guest whose read was cut short by Stop.
func (c *call) spipe(fd uint64, errno uint32) uint32 {
	switch {
	case errno == 0:
		return 0
	case errno == eIo && c.run.stopped():
		return c.run.interrupted()
	case errno == eBadf && len(table[c.fn].args) == 5 && c.stdio(uint32(fd)):
		return eSpipe
	}
	return errno
}

const randomChunk = 64 << 10

// random fills the buffer in pieces, between which the run can be stopped.
func (c *call) random() uint32 {
	ptr, n := uint32(c.stack[0]), uint32(c.stack[1])
	for n > 0 {
		step := min(n, randomChunk)
		c.stack[0], c.stack[1] = uint64(ptr), uint64(step)
		if errno := c.raw(); errno != 0 {
			return errno
		}
		ptr, n = ptr+step, n-step
		if n > 0 && c.run.stopped() {
			return c.run.interrupted()
		}
	}
	return 0
}

const (
	direntSize   = 24
	readdirChunk = 64 << 10
)

// readdir reads a large buffer in pieces: wazero collects, and keeps, as many
// entries as a buffer could hold.
func (c *call) readdir() uint32 {
	s := c.stack
	fd, buf, size, cookie, result := s[0], uint32(s[1]), uint32(s[2]), s[3], uint32(s[4])
	if size <= readdirChunk {
		return c.raw()
	}
	var used uint32
	for size-used >= direntSize {
		step := min(size-used, readdirChunk)
		s[0], s[1], s[2], s[3], s[4] = fd, uint64(buf+used), uint64(step), cookie, uint64(result)
		if errno := c.raw(); errno != 0 {
			if used == 0 {
				return errno
			}
			break
		}
		got := c.v.u32(result)
		if got < step { // the end of the directory
			used += got
			c.v.mem.WriteUint32Le(result, used)
			return 0
		}
		whole, next := wholeDirents(c.v.bytes(buf+used, step))
		if whole == 0 {
			break
		}
		used, cookie = used+whole, next
		if c.run.stopped() {
			return c.run.interrupted()
		}
	}
	// A full buffer says that there is more. The last entry in it is cut off,
	// or none is left and its header reads as too long for what is there.
	if rest := size - used; rest >= direntSize {
		s[0], s[1], s[2], s[3], s[4] = fd, uint64(buf+used), uint64(rest), cookie, uint64(result)
		if errno := c.raw(); errno != 0 && used == 0 {
			return errno
		}
	} else {
		clear(c.v.bytes(buf+used, rest))
	}
	c.v.mem.WriteUint32Le(result, size)
	return 0
}

// wholeDirents returns the length of the complete entries in b and the cookie
// that follows them.
func wholeDirents(b []byte) (n uint32, next uint64) {
	for {
		rest := b[n:]
		if len(rest) < direntSize {
			return n, next
		}
		name := uint64(binary.LittleEndian.Uint32(rest[16:]))
		if direntSize+name > uint64(len(rest)) {
			return n, next
		}
		next = binary.LittleEndian.Uint64(rest)
		n += direntSize + uint32(name)
	}
}

// readlink cuts a target that is longer than the buffer, as POSIX has it;
// wazero reports ERANGE.
func (c *call) readlink() uint32 {
	s := c.stack
	fd, path, pathLen := s[0], s[1], s[2]
	buf, size, result := uint32(s[3]), uint32(s[4]), uint32(s[5])
	if size == 0 {
		return eInval
	}
	errno := c.raw()
	if errno != eRange || size >= maxPath {
		return errno
	}
	var head []byte
	name := append([]byte(nil), c.v.bytes(uint32(path), uint32(pathLen))...)
	// The loan holds the path, the target and its length.
	ok := c.v.borrow(2*maxPath+4, func(ptr uint32, b []byte) {
		copy(b, name)
		s[0], s[1], s[2] = fd, uint64(ptr), uint64(len(name))
		s[3], s[4], s[5] = uint64(ptr+maxPath), maxPath, uint64(ptr+2*maxPath)
		if errno = c.raw(); errno == 0 {
			head = append(head, b[maxPath:maxPath+size]...)
		}
	})
	if !ok || errno != 0 {
		return either(errno, eRange)
	}
	copy(c.v.bytes(buf, size), head)
	c.v.mem.WriteUint32Le(result, size)
	return 0
}

// filestat converts the result for wasi_unstable: nlink is 32 bits there and
// moves everything after it. wazero's result is 8 bytes longer, and those
// belong to the guest.
func (c *call) filestat() uint32 {
	if !c.old {
		return c.raw()
	}
	last := len(table[c.fn].args) - 1
	dst := uint32(c.stack[last])
	// A path may lie where the loan is; wazero reads it before it answers.
	var st [64]byte
	var errno uint32
	c.v.borrow(64, func(ptr uint32, b []byte) {
		c.stack[last] = uint64(ptr)
		errno = c.raw()
		copy(st[:], b)
	})
	if errno != 0 {
		return errno
	}
	le := binary.LittleEndian
	nlink := min(le.Uint64(st[24:]), math.MaxUint32)
	b := c.v.bytes(dst, 56)
	copy(b[:16], st[:16])                // dev, ino
	le.PutUint32(b[16:], uint32(st[16])) // filetype and padding
	le.PutUint32(b[20:], uint32(nlink))  // nlink
	copy(b[24:56], st[32:64])            // size, atim, mtim, ctim
	return 0
}
