package wasi

import (
	"sort"

	"github.com/tetratelabs/wazero/api"
)

// The two module names that are served.
const (
	Preview1 = "wasi_snapshot_preview1"
	Unstable = "wasi_unstable"
)

// def is one function. args has a letter for each parameter, and says what a
// call may touch before it is made:
//
//	i  a plain i32                 l  a plain i64
//	a  pointer to a result whose size only wazero knows
//	2 4 8  pointer to a result of so many bytes
//	F  pointer to an fdstat, 24 bytes
//	S  pointer to a filestat, 64 bytes (56 in wasi_unstable)
//	p  pointer to a path, its length is next
//	b  pointer to a buffer, its length is next
//	v  pointer to iovecs, their count is next
//	n  such a length or count
type def struct {
	name string
	args string
	kind kind
}

// table is sorted by name; an index into it is the number of a function.
var table = [...]def{
	{"args_get", "aa", plain},
	{"args_sizes_get", "44", plain},
	{"clock_res_get", "i8", clockKind},
	{"clock_time_get", "il8", clockKind},
	{"environ_get", "aa", plain},
	{"environ_sizes_get", "44", plain},
	{"fd_advise", "illi", plain},
	{"fd_allocate", "ill", allocateKind},
	{"fd_close", "i", plain},
	{"fd_datasync", "i", plain},
	{"fd_fdstat_get", "iF", plain},
	{"fd_fdstat_set_flags", "ii", setFlagsKind},
	{"fd_fdstat_set_rights", "ill", plain},
	{"fd_filestat_get", "iS", filestatKind},
	{"fd_filestat_set_size", "il", plain},
	{"fd_filestat_set_times", "illi", setTimesKind},
	{"fd_pread", "ivnl4", vectorKind},
	{"fd_prestat_dir_name", "ibn", prestatKind},
	{"fd_prestat_get", "i8", prestatKind},
	{"fd_pwrite", "ivnl4", vectorKind},
	{"fd_read", "ivn4", vectorKind},
	{"fd_readdir", "ibnl4", readdirKind},
	{"fd_renumber", "ii", renumberKind},
	{"fd_seek", "ili8", seekKind},
	{"fd_sync", "i", plain},
	{"fd_tell", "i8", seekKind},
	{"fd_write", "ivn4", vectorKind},
	{"path_create_directory", "ipn", plain},
	{"path_filestat_get", "iipnS", filestatKind},
	{"path_filestat_set_times", "iipnlli", plain},
	{"path_link", "iipnipn", twoPathsKind},
	{"path_open", "iipnilli4", plain},
	{"path_readlink", "ipnbn4", readlinkKind},
	{"path_remove_directory", "ipn", plain},
	{"path_rename", "ipnipn", twoPathsKind},
	{"path_symlink", "pnipn", plain},
	{"path_unlink_file", "ipn", plain},
	{"poll_oneoff", "iii4", pollKind},
	{"proc_exit", "i", exitKind},
	{"proc_raise", "i", plain},
	{"random_get", "bn", randomKind},
	{"sched_yield", "", plain},
	{"sock_accept", "ii4", noSocketsKind},
	{"sock_recv", "ivni42", noSocketsKind},
	{"sock_send", "ivni4", noSocketsKind},
	{"sock_shutdown", "ii", noSocketsKind},
}

// Names returns the names of all functions, sorted. The number that
// [Run.Enter] gets for a function is its index here, for both modules.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}

// Index returns the number of a function, or -1 if it is not supported.
func Index(name string) int {
	i := sort.Search(len(table), func(i int) bool { return table[i].name >= name })
	if i < len(table) && table[i].name == name {
		return i
	}
	return -1
}

// Supported reports whether a guest can import name from module.
func Supported(module, name string) bool {
	switch module {
	case Preview1:
		return Index(name) >= 0
	case Unstable:
		return Index(name) >= 0 && name != "sock_accept" // younger than the snapshot
	}
	return false
}

// signature gives the WebAssembly type of a function.
func (d *def) signature() (params, results []api.ValueType) {
	params = make([]api.ValueType, len(d.args))
	for i := range d.args {
		params[i] = api.ValueTypeI32
		if d.args[i] == 'l' {
			params[i] = api.ValueTypeI64
		}
	}
	if d.kind != exitKind {
		results = []api.ValueType{api.ValueTypeI32}
	}
	return params, results
}

// Numbers of the functions that need more than the checks of their arguments.
var (
	fnAdvise    = Index("fd_advise")
	fnFdstat    = Index("fd_fdstat_get")
	fnFilestat  = Index("fd_filestat_get")
	fnClockTime = Index("clock_time_get")
	fnPrestat   = Index("fd_prestat_get")
	fnPoll      = Index("poll_oneoff")
)

// Error numbers of preview 1, which wasi_unstable shares.
const (
	eBadf        = 8
	eFault       = 21
	eFbig        = 22
	eIlseq       = 25
	eIntr        = 27
	eInval       = 28
	eIo          = 29
	eNametoolong = 37
	eNoent       = 44
	eNosys       = 52
	eNotsup      = 58
	eRange       = 68
	eSpipe       = 70
	eXdev        = 75
)
