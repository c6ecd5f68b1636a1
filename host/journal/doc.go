// Package journal is the log of a pxOS host: append-only, hash-chained, and
// made of pixels. Every run leaves one entry before it starts and one after it
// ended; the registry and later rooms append their own kinds of entry to the
// same log and fold over it.
//
// A journal is a directory of segment files. The byte layout, the limits and
// the version rule are in JOURNAL.md beside this file; in short:
//
//	segment  = header (192 bytes, 64 pixels) record*
//	record   = tint length seq time type body hash length   (whole pixels)
//	hash     = SHA-256(hash of the record before || the record up to its hash)
//
// The last record is found from the end of the file by its trailing length, so
// opening, appending and reading newest first cost the same in a log of one
// kilobyte and of many gigabytes.
//
// Several processes may append to one journal. An append holds an advisory
// lock on the directory's lock file for its own duration only; the operating
// system drops the lock when its holder dies. An append that was cut short by a
// crash is found by the next one, whose first act is to set the torn bytes
// aside in a file of their own and to say so in an entry of type
// [TypeRecovered].
//
// What the chain proves: [View.Verify] finds every edit, removal, exchange and
// repetition inside the log, and, against a [Head] that was saved elsewhere, a
// log that was cut short or written anew. A person who may write the files and
// holds no saved head to account for can rewrite the whole log; the chain does
// not sign anything.
//
// Nothing in this package deletes an entry.
package journal
