/* ledger keeps accounts by double entry: every amount leaves one account and reaches
 * another, so that all accounts together are always zero. It is an ordinary C program
 * over an ordinary SQLite; that its database ends up as pixels is the host's doing. */

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include("third_party/sqlite/sqlite3-binding.h")
#include "third_party/sqlite/sqlite3-binding.h"

#define DATABASE "/pixelfs/ledger/ledger.db"
#define APPLICATION 0x50784c64 /* "PxLd", in the header of the database */
#define MAX_LINE 4096

static const char usage[] =
	"usage: ledger COMMAND\n"
	"\n"
	"  init                           begin a ledger\n"
	"  add DATE FROM TO AMOUNT TEXT   move an amount from one account to another;\n"
	"                                 DATE is YYYY-MM-DD or today\n"
	"  add -                          the same for each line of standard input, where\n"
	"                                 spaces or tabs divide the words\n"
	"  list [ACCOUNT]                 show the entries\n"
	"  balance [ACCOUNT]              show what is in the accounts\n"
	"  check                          verify the database and the books\n"
	"  sql STATEMENTS                 run SQL: the table entry has id, day, text;\n"
	"                                 posting has entry, account, cents\n"
	"\n"
	"An account is a word such as bank or food:bread; what lies below it, with a colon\n"
	"between, belongs to it. An entry that was acknowledged with its number is kept for\n"
	"good.\n";

static sqlite3 *db;

static _Noreturn void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fflush(stdout);
	fputs("ledger: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static _Noreturn void misuse(const char *message)
{
	fprintf(stderr, "ledger: %s\n%s", message, usage);
	exit(2);
}

/* refuse ends the program with what SQLite says, in words for the reader where the
 * reason is that another run is at work. */
static _Noreturn void refuse(const char *what)
{
	int code = sqlite3_extended_errcode(db);
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_READONLY:
		fail("%s: another run is writing the ledger; try again when it is done", what);
	case SQLITE_FULL:
		fail("%s: there is no room left", what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		fail("%s: the database is damaged (%s); pxos-host fs versions and restore bring an earlier one back", what, sqlite3_errmsg(db));
	}
	fail("%s: %s", what, sqlite3_errmsg(db));
}

static void exec(const char *what, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		refuse(what);
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		refuse("read the ledger");
	return stmt;
}

static int64_t number(const char *sql)
{
	sqlite3_stmt *stmt = prepare(sql);
	if (sqlite3_step(stmt) != SQLITE_ROW)
		refuse("read the ledger");
	int64_t n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE entry(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  day TEXT NOT NULL CHECK(day IS date(day)), text TEXT NOT NULL) STRICT;"
	"CREATE TABLE posting(entry INTEGER NOT NULL REFERENCES entry(id),"
	"  account TEXT NOT NULL CHECK(account <> ''), cents INTEGER NOT NULL CHECK(cents <> 0),"
	"  PRIMARY KEY(entry, account)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX posting_account ON posting(account, entry);"
	"CREATE INDEX entry_day ON entry(day, id);"
	"PRAGMA application_id = 1350061156;"
	"PRAGMA user_version = 1;"
	"COMMIT";

/* begin opens the database, and makes it where create says so. */
static void begin(int create)
{
	_Static_assert(APPLICATION == 1350061156, "the number in schema");
	if (sqlite3_open_v2(DATABASE, &db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), NULL) != SQLITE_OK) {
		FILE *f = fopen(DATABASE, "rb");
		if (f == NULL && !create)
			fail("there is no ledger yet: begin one with init");
		if (f != NULL)
			fclose(f);
		fail("open %s: %s; was pixelfs:/ledger:write granted?", DATABASE, sqlite3_errmsg(db));
	}
	/* Kept means kept: also the end of a journal reaches the disk before a commit
	 * returns. */
	exec("open the ledger", "PRAGMA synchronous = EXTRA");
	int64_t version = number("PRAGMA user_version"), application = number("PRAGMA application_id");
	if (create) {
		if (application != 0 || version != 0 || number("SELECT count(*) FROM sqlite_schema") != 0)
			fail("there is a ledger already, with %lld entries", (long long)number("SELECT count(*) FROM entry"));
		exec("begin the ledger", schema);
		return;
	}
	if (application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema") == 0)
		fail("there is no ledger yet: begin one with init");
	if (application != APPLICATION || version != 1)
		fail("%s is not a ledger that this version can read", DATABASE);
}

/* cents parses a positive amount such as 12, 12.5 or 12.50. */
static int64_t cents(const char *s)
{
	int64_t n = 0;
	const char *p = s;
	for (; isdigit((unsigned char)*p) && n < 1000000000000; p++)
		n = 10 * n + (*p - '0');
	int digits = p > s;
	n *= 100;
	if (digits && *p == '.') {
		for (int unit = 10; unit > 0 && isdigit((unsigned char)*++p); unit /= 10)
			n += unit * (*p - '0');
		if (isdigit((unsigned char)*p))
			p++;
	}
	return digits && *p == 0 ? n : 0;
}

/* money writes an amount of cents as a person does. */
static const char *money(int64_t n)
{
	static char text[32];
	uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
	snprintf(text, sizeof text, "%s%llu.%02d", n < 0 ? "-" : "", (unsigned long long)(u / 100), (int)(u % 100));
	return text;
}

/* An account is one word of printable characters; colons divide it. */
static int account(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p <= ' ' || *p == 0x7f || (*p == ':' && (p[1] == ':' || p[1] == 0)))
			return 0;
	return *s != 0 && *s != ':' && strlen(s) <= 200;
}

/* add makes an entry and returns its number. It is kept for good when add returns. The
 * message of a refusal is the result, NULL otherwise. */
static const char *add(const char *day, const char *from, const char *to, const char *amount, const char *text, int64_t *id)
{
	int64_t n = cents(amount);
	if (n <= 0)
		return "an amount is a positive number such as 12 or 12.50";
	if (!account(from) || !account(to))
		return "an account is a word such as bank or food:bread";
	if (strcmp(from, to) == 0)
		return "the two accounts of an entry differ";
	static sqlite3_stmt *entry, *posting;
	if (entry == NULL) {
		entry = prepare("INSERT INTO entry(day, text) VALUES(CASE ?1 WHEN 'today' THEN date() ELSE ?1 END, ?2)");
		posting = prepare("INSERT INTO posting(entry, account, cents) VALUES(?1, ?2, ?3)");
	}
	exec("add an entry", "BEGIN IMMEDIATE");
	sqlite3_bind_text(entry, 1, day, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(entry, 2, text, -1, SQLITE_TRANSIENT);
	int rc = sqlite3_step(entry);
	sqlite3_reset(entry);
	if (rc != SQLITE_DONE) {
		if ((sqlite3_errcode(db) & 0xff) != SQLITE_CONSTRAINT)
			refuse("add an entry");
		exec("add an entry", "ROLLBACK");
		return "a date is a day such as 2026-02-28, or today";
	}
	*id = sqlite3_last_insert_rowid(db);
	for (int side = 0; side < 2; side++) {
		sqlite3_bind_int64(posting, 1, *id);
		sqlite3_bind_text(posting, 2, side == 0 ? from : to, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(posting, 3, side == 0 ? -n : n);
		rc = sqlite3_step(posting);
		sqlite3_reset(posting);
		if (rc != SQLITE_DONE)
			refuse("add an entry");
	}
	exec("keep the entry", "COMMIT");
	return NULL;
}

/* word cuts the next word off a line and returns it, or NULL. */
static char *word(char **line)
{
	char *p = *line + strspn(*line, " \t");
	if (*p == 0)
		return NULL;
	size_t n = strcspn(p, " \t");
	*line = p + n;
	if (**line != 0)
		*(*line)++ = 0;
	return p;
}

static void add_lines(void)
{
	static char buffer[MAX_LINE + 2];
	for (long row = 1; fgets(buffer, sizeof buffer, stdin) != NULL; row++) {
		size_t n = strlen(buffer);
		if (n > MAX_LINE)
			fail("line %ld is longer than %d bytes", row, MAX_LINE);
		while (n > 0 && (buffer[n - 1] == '\n' || buffer[n - 1] == '\r'))
			buffer[--n] = 0;
		char *rest = buffer, *day = word(&rest);
		if (day == NULL || *day == '#')
			continue;
		char *from = word(&rest), *to = word(&rest), *amount = word(&rest);
		if (amount == NULL)
			fail("line %ld: write DATE FROM TO AMOUNT TEXT", row);
		int64_t id;
		const char *fault = add(day, from, to, amount, rest + strspn(rest, " \t"), &id);
		if (fault != NULL)
			fail("line %ld: %s", row, fault);
		printf("%lld\n", (long long)id);
		fflush(stdout); /* told as soon as it is kept */
	}
}

/* columns is how many columns a terminal needs for UTF-8 text, about. */
static int columns(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void left(const char *s, int width)
{
	printf("%s%*s", s, width > columns(s) ? width - columns(s) : 0, "");
}

/* below is a condition on an account: it, or what lies below it. */
#define BELOW(column) "(?1 IS NULL OR " column " = ?1 OR substr(" column ", 1, length(?1) + 1) = ?1 || ':')"

static void list(const char *of)
{
	sqlite3_stmt *stmt = prepare(
		"SELECT e.id, e.day, f.account, t.account, t.cents, e.text FROM entry e"
		" JOIN posting t ON t.entry = e.id AND t.cents > 0 JOIN posting f ON f.entry = e.id AND f.cents < 0"
		" WHERE " BELOW("f.account") " OR " BELOW("t.account") " ORDER BY e.day, e.id");
	if (of != NULL)
		sqlite3_bind_text(stmt, 1, of, -1, SQLITE_STATIC);
	int wide[2] = {0, 0}, rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		for (int i = 0; i < 2; i++) {
			int n = columns((const char *)sqlite3_column_text(stmt, 2 + i));
			wide[i] = n > wide[i] ? n : wide[i];
		}
	if (rc != SQLITE_DONE)
		refuse("list the entries");
	sqlite3_reset(stmt);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		printf("%5lld  %s  ", (long long)sqlite3_column_int64(stmt, 0), (const char *)sqlite3_column_text(stmt, 1));
		left((const char *)sqlite3_column_text(stmt, 2), wide[0]);
		printf(" > ");
		left((const char *)sqlite3_column_text(stmt, 3), wide[1]);
		printf("  %12s", money(sqlite3_column_int64(stmt, 4)));
		const char *text = (const char *)sqlite3_column_text(stmt, 5);
		printf("%s%s\n", *text ? "  " : "", text);
	}
	if (rc != SQLITE_DONE)
		refuse("list the entries");
	sqlite3_finalize(stmt);
}

static void balance(const char *of)
{
	sqlite3_stmt *stmt = prepare("SELECT account, sum(cents) FROM posting WHERE " BELOW("account") " GROUP BY account ORDER BY account");
	if (of != NULL)
		sqlite3_bind_text(stmt, 1, of, -1, SQLITE_STATIC);
	int64_t total = 0;
	int rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t n = sqlite3_column_int64(stmt, 1);
		printf("%14s  %s\n", money(n), (const char *)sqlite3_column_text(stmt, 0));
		total += n;
	}
	if (rc != SQLITE_DONE)
		refuse("add up the accounts");
	sqlite3_finalize(stmt);
	printf("%14s\n", "--------------");
	printf("%14s\n", money(total));
}

/* check says whether the database is sound and the books are. */
static void check(void)
{
	sqlite3_stmt *stmt = prepare("PRAGMA integrity_check(10)");
	int faults = 0, rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *said = (const char *)sqlite3_column_text(stmt, 0);
		if (strcmp(said, "ok") != 0) {
			printf("%s\n", said);
			faults++;
		}
	}
	if (rc != SQLITE_DONE)
		refuse("check the database");
	sqlite3_finalize(stmt);
	int64_t open = number("SELECT count(*) FROM (SELECT e.id FROM entry e LEFT JOIN posting p ON p.entry = e.id"
			      " GROUP BY e.id HAVING count(p.cents) < 2 OR sum(p.cents) <> 0)");
	int64_t lost = number("SELECT count(*) FROM pragma_foreign_key_check");
	if (open != 0 || lost != 0) {
		printf("%lld entries do not add up to zero, %lld amounts belong to none\n", (long long)open, (long long)lost);
		faults++;
	}
	if (faults)
		fail("the ledger is damaged");
	printf("ok: %lld entries\n", (long long)number("SELECT count(*) FROM entry"));
}

/* sql runs statements and prints their rows, columns divided by tabs, under the names of
 * the columns. */
static void sql(const char *text)
{
	while (*text != 0) {
		sqlite3_stmt *stmt;
		if (sqlite3_prepare_v2(db, text, -1, &stmt, &text) != SQLITE_OK)
			refuse("sql");
		if (stmt == NULL)
			continue; /* a comment, or the space behind the last one */
		int n = sqlite3_column_count(stmt), rc;
		for (int i = 0; i < n; i++)
			printf("%s%s", sqlite3_column_name(stmt, i), i + 1 < n ? "\t" : "\n");
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			for (int i = 0; i < n; i++) {
				const char *s = (const char *)sqlite3_column_text(stmt, i);
				printf("%s%s", s ? s : "NULL", i + 1 < n ? "\t" : "\n");
			}
		if (rc != SQLITE_DONE)
			refuse("sql");
		sqlite3_finalize(stmt);
	}
	if (!sqlite3_get_autocommit(db))
		fail("the statements end within a transaction, which is rolled back: add COMMIT");
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	int rest = argc - 2;
	if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(command, "init") == 0 && rest == 0) {
		begin(1);
		printf("began a ledger\n");
	} else if (strcmp(command, "add") == 0 && rest == 1 && strcmp(argv[2], "-") == 0) {
		begin(0);
		add_lines();
	} else if (strcmp(command, "add") == 0 && (rest == 4 || rest == 5)) {
		begin(0);
		int64_t id;
		const char *fault = add(argv[2], argv[3], argv[4], argv[5], rest == 5 ? argv[6] : "", &id);
		if (fault != NULL)
			fail("%s", fault);
		printf("%lld\n", (long long)id);
	} else if (strcmp(command, "list") == 0 && rest <= 1) {
		begin(0);
		list(rest == 1 ? argv[2] : NULL);
	} else if (strcmp(command, "balance") == 0 && rest <= 1) {
		begin(0);
		balance(rest == 1 ? argv[2] : NULL);
	} else if (strcmp(command, "check") == 0 && rest == 0) {
		begin(0);
		check();
	} else if (strcmp(command, "sql") == 0 && rest == 1) {
		begin(0);
		sql(argv[2]);
	} else if (command[0] == 0) {
		misuse("what shall be done?");
	} else {
		misuse("no such command, or not so many words");
	}
	if (fflush(stdout) != 0)
		fail("write the output");
	sqlite3_close(db);
	return 0;
}

#endif /* sqlite.c says what is missing */
