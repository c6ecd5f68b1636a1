/* SQLite as it is published, with the options that a program without threads, without
 * dynamic libraries and without file locks wants. */

#if !__has_include("third_party/sqlite/sqlite3-binding.c")
#error SQLite is not here yet. Bring it with: go run ./cartridges/ledger/fetch (in an unpacked cartridge: go run fetch/main.go)
#else

#define SQLITE_THREADSAFE 0
#define SQLITE_OMIT_LOAD_EXTENSION 1
#define SQLITE_OMIT_SHARED_CACHE 1
#define SQLITE_OMIT_DEPRECATED 1
#define SQLITE_DEFAULT_FOREIGN_KEYS 1
#define SQLITE_DQS 0
#define SQLITE_TEMP_STORE 3 /* in memory */

/* The host lets one run write a file at a time and frees it when that run dies. SQLite's
 * own choice under WASI, a directory as a lock, would outlive a run that is killed. */
#define SQLITE_DEFAULT_UNIX_VFS "unix-none"

#include "third_party/sqlite/sqlite3-binding.c"
#endif
