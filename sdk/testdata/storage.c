/* Asks a host for everything that the contract fixes of pixel files and maps and
 * prints the answers, one a line. Two hosts that keep the contract print the same.
 * Granted are pixelfs:/:write, infinitemap:w:write, infinitemap:part:read and
 * infinitemap:part:write:0,0,10,10. */
#include <stdio.h>
#include <string.h>

#include "pxos.h"

static char buffer[4096];
static uint32_t length, handle, number;

static void code(const char *what, pxos_code c) { printf("%s: %s\n", what, pxos_code_name(c)); }

/* stored prints a code and the text that a call stored, NUL as a bar. */
static void stored(const char *what, pxos_code c) {
  uint32_t n = c == PXOS_OK ? length : 0;
  printf("%s: %s length=%u ", what, pxos_code_name(c), (unsigned)length);
  for (uint32_t i = 0; i < n && i < 100; i++) putchar(buffer[i] ? buffer[i] : '|');
  putchar('\n');
  length = 4242;
}

/* bytes prints a code and the first bytes of the buffer. */
static void bytes(const char *what, pxos_code c, int n) {
  printf("%s: %s", what, pxos_code_name(c));
  for (int i = 0; i < n; i++) printf(" %02x", (unsigned char)buffer[i]);
  putchar('\n');
  memset(buffer, '?', sizeof buffer);
}

static pxos_code list(const char *path, uint32_t room) {
  return pxos_pixelfs_list(path, (uint32_t)strlen(path), buffer, room, &length);
}

static uint32_t opened(const char *what, const char *path, uint32_t flags) {
  handle = 0;
  pxos_code c = pxos_pixelfs_open_str(path, flags, &handle);
  code(what, c);
  return handle;
}

static void stat_of(const char *what, const char *path) {
  uint32_t kind = 42;
  uint64_t size = 42, modified = 42, version = 42;
  uint8_t digest[32] = {42};
  pxos_code c = pxos_pixelfs_stat_str(path, &kind, &size, &modified, digest, &version);
  printf("%s: %s kind=%u size=%u modified=%d version=%u digest=%02x%02x\n", what, pxos_code_name(c), (unsigned)kind,
         (unsigned)size, kind == 0 ? modified > 1600000000000000000ull : 0, (unsigned)version, digest[0], digest[31]);
}

/* versions prints numbers, sizes and which one is current. */
static void versions(const char *what, const char *path) {
  char *json;
  pxos_code c = pxos_pixelfs_versions_alloc(path, &json, NULL);
  printf("%s: %s", what, pxos_code_name(c));
  if (c == PXOS_OK) {
    for (char *p = json; (p = strstr(p, "\"version\":")) != NULL; p++) {
      unsigned v = 0, size = 0;
      sscanf(p, "\"version\":%u,\"size\":%u", &v, &size);
      char *end = strchr(p, '}'), *current = strstr(p, "\"current\":true");
      printf(" %u=%u%s", v, size, current != NULL && current < end ? "*" : "");
    }
    free(json);
  }
  putchar('\n');
}

static void write_file(const char *path, const char *text) {
  uint32_t h, n;
  if (pxos_pixelfs_open_str(path, PXOS_PIXELFS_WRITE | PXOS_PIXELFS_CREATE | PXOS_PIXELFS_TRUNCATE, &h) != PXOS_OK ||
      pxos_pixelfs_write(h, text, (uint32_t)strlen(text), &n) != PXOS_OK || pxos_pixelfs_close(h) != PXOS_OK)
    printf("cannot write %s\n", path);
}

static void files(void) {
  static char name[2000];
  uint64_t pos = 42;
  const uint32_t rw = PXOS_PIXELFS_READ | PXOS_PIXELFS_WRITE, make = rw | PXOS_PIXELFS_CREATE;

  length = 4242;
  stored("list of nothing", list("/", sizeof buffer));
  stat_of("root", "");
  stat_of("root as a slash", "/");
  stat_of("root as a dot", ".");
  opened("no flags", "a", 0);
  opened("create to read", "a", PXOS_PIXELFS_READ | PXOS_PIXELFS_CREATE);
  opened("exclusive alone", "a", rw | PXOS_PIXELFS_EXCLUSIVE);
  opened("flag 64", "a", rw | 64);
  opened("missing", "a", rw);
  opened("missing directory", "x/a", make);
  opened("root", "/", PXOS_PIXELFS_READ);
  opened("two slashes", "//a", make);
  opened("slash at the end", "a/", make);
  opened("empty part", "a//b", make);
  opened("dots", "a/../b", make);
  opened("control character", "a\nb", make);
  opened("DEL", "a\x7f", make);
  opened("C1", "a\xc2\x80", make);
  opened("not UTF-8", "a\xff", make);
  code("NUL", pxos_pixelfs_open("a\0b", 3, make, &handle));
  memset(name, 'n', sizeof name);
  code("part of 201 bytes", pxos_pixelfs_open(name, 201, make, &handle));
  code("part of 200 bytes", pxos_pixelfs_open(name, 200, make, &handle));
  code("close", pxos_pixelfs_close(handle));
  code("trash", pxos_pixelfs_trash(name, 200));
  for (int i = 1; i < 2000; i += 2) name[i] = '/';
  code("33 parts", pxos_pixelfs_mkdir(name, 65));
  memset(name, 'n', sizeof name);
  for (int i = 100; i < 2000; i += 101) name[i] = '/';
  code("1025 bytes", pxos_pixelfs_mkdir(name, 1025));

  uint32_t h = opened("create", "/a", make | PXOS_PIXELFS_EXCLUSIVE);
  opened("create again", "a", make | PXOS_PIXELFS_EXCLUSIVE);
  stat_of("exists at once", "a");
  code("write", pxos_pixelfs_write(h, "hello", 5, &number));
  printf("wrote %u\n", (unsigned)number);
  code("write nothing", pxos_pixelfs_write(h, "", 0, &number));
  code("write behind a gap", pxos_pixelfs_write_at(h, 8, "!", 1, &number));
  stored("read at the position", pxos_pixelfs_read(h, buffer, sizeof buffer, &length));
  stored("read at the end", pxos_pixelfs_read(h, buffer, sizeof buffer, &length));
  stored("read at", pxos_pixelfs_read_at(h, 1, buffer, 4, &length));
  stored("read at far beyond", pxos_pixelfs_read_at(h, UINT64_MAX, buffer, 4, &length));
  code("write far beyond", pxos_pixelfs_write_at(h, UINT64_MAX, "x", 1, &number));
  code("truncate far beyond", pxos_pixelfs_truncate(h, UINT64_MAX));
  code("seek", pxos_pixelfs_seek(h, -4, PXOS_PIXELFS_SEEK_END, &pos));
  printf("at %u\n", (unsigned)pos);
  code("seek on", pxos_pixelfs_seek(h, 2, PXOS_PIXELFS_SEEK_CURRENT, &pos));
  printf("at %u\n", (unsigned)pos);
  code("seek before the start", pxos_pixelfs_seek(h, -8, PXOS_PIXELFS_SEEK_CURRENT, &pos));
  code("seek round", pxos_pixelfs_seek(h, INT64_MAX, PXOS_PIXELFS_SEEK_CURRENT, &pos));
  code("seek from 3", pxos_pixelfs_seek(h, 0, 3, &pos));
  code("seek to the last", pxos_pixelfs_seek(h, INT64_MAX, PXOS_PIXELFS_SEEK_START, &pos));
  stored("read there", pxos_pixelfs_read(h, buffer, 4, &length));
  code("size", pxos_pixelfs_size(h, &pos));
  printf("size %u\n", (unsigned)pos);
  stat_of("before sync", "a");
  code("sync", pxos_pixelfs_sync(h));
  stat_of("after sync", "a");
  code("extend", pxos_pixelfs_truncate(h, 12));
  code("cut", pxos_pixelfs_truncate(h, 2));
  uint32_t other = opened("a reader beside it", "a", PXOS_PIXELFS_READ);
  stored("sees it", pxos_pixelfs_read(other, buffer, sizeof buffer, &length));
  code("writes", pxos_pixelfs_write(other, "x", 1, &number));
  code("syncs", pxos_pixelfs_sync(other));
  code("truncates", pxos_pixelfs_truncate(other, 0));
  code("rename what is open", pxos_pixelfs_rename_str("a", "b"));
  code("trash what is open", pxos_pixelfs_trash_str("a"));
  code("restore what is open", pxos_pixelfs_restore_str("a", 1));
  code("close", pxos_pixelfs_close(h));
  code("close again", pxos_pixelfs_close(h));
  code("read closed", pxos_pixelfs_read(h, buffer, 1, &length));
  code("size of none", pxos_pixelfs_size(UINT32_MAX, &pos));
  code("close the reader", pxos_pixelfs_close(other));
  versions("one open is one version", "a");
  h = opened("write only", "a", PXOS_PIXELFS_WRITE | PXOS_PIXELFS_APPEND);
  code("reads", pxos_pixelfs_read(h, buffer, 1, &length));
  code("appends", pxos_pixelfs_write(h, "llo", 3, &number));
  code("writes at", pxos_pixelfs_write_at(h, 0, "x", 1, &number));
  code("close", pxos_pixelfs_close(h));
  stat_of("appended", "a");
  versions("two", "a");
  h = opened("open without a change", "a", rw);
  code("close", pxos_pixelfs_close(h));
  versions("still two", "a");

  code("mkdir", pxos_pixelfs_mkdir_str("d"));
  code("mkdir again", pxos_pixelfs_mkdir_str("d"));
  code("mkdir over a file", pxos_pixelfs_mkdir_str("a"));
  code("mkdir below a file", pxos_pixelfs_mkdir_str("a/x"));
  code("mkdir in nothing", pxos_pixelfs_mkdir_str("x/y"));
  code("mkdir the root", pxos_pixelfs_mkdir_str("/"));
  write_file("d/b", "beta");
  write_file("d-", "gamma");
  code("mkdir", pxos_pixelfs_mkdir_str("d/e"));
  stored("list", list("", sizeof buffer));
  stored("list without room", list("", 7));
  stored("list below", list("/d", sizeof buffer));
  stored("list a file", list("a", sizeof buffer));
  stored("list nothing", list("x", sizeof buffer));
  stored("list below a file", list("a/x", sizeof buffer));
  stat_of("directory", "d");
  stat_of("missing", "x");
  stat_of("below a file", "a/x");
  opened("a directory", "d", PXOS_PIXELFS_READ);
  opened("a directory to write", "d", make);
  code("verify", pxos_pixelfs_verify_str("a"));
  code("verify a directory", pxos_pixelfs_verify_str("d"));
  code("verify nothing", pxos_pixelfs_verify_str("x"));

  code("rename", pxos_pixelfs_rename_str("d/b", "d/c"));
  code("rename over", pxos_pixelfs_rename_str("a", "d/c"));
  versions("histories", "d/c");
  code("rename to itself", pxos_pixelfs_rename_str("d/c", "d/c"));
  code("rename a directory", pxos_pixelfs_rename_str("d", "f"));
  code("rename into itself", pxos_pixelfs_rename_str("f", "f/e/g"));
  code("rename onto a directory", pxos_pixelfs_rename_str("d-", "f"));
  code("rename a directory onto a file", pxos_pixelfs_rename_str("f", "d-"));
  code("rename nothing", pxos_pixelfs_rename_str("x", "y"));
  code("rename into nothing", pxos_pixelfs_rename_str("d-", "x/y"));
  code("rename the root", pxos_pixelfs_rename_str("/", "y"));

  h = 0;
  code("open version", pxos_pixelfs_open_version_str("f/c", 1, &h));
  stored("read it", pxos_pixelfs_read(h, buffer, sizeof buffer, &length));
  code("write it", pxos_pixelfs_write(h, "x", 1, &number));
  code("close it", pxos_pixelfs_close(h));
  code("open version 0", pxos_pixelfs_open_version_str("f/c", 0, &h));
  code("open version 9", pxos_pixelfs_open_version_str("f/c", 9, &h));
  code("open version of nothing", pxos_pixelfs_open_version_str("x", 1, &h));
  code("open version of a directory", pxos_pixelfs_open_version_str("f", 1, &h));
  code("restore", pxos_pixelfs_restore_str("f/c", 1));
  versions("restored", "f/c");
  code("restore version 9", pxos_pixelfs_restore_str("f/c", 9));
  code("restore a directory", pxos_pixelfs_restore_str("f", 1));
  code("restore the root", pxos_pixelfs_restore_str("", 1));
  code("restore nothing", pxos_pixelfs_restore_str("x", 1));
  versions("versions of nothing", "x");
  versions("versions of a directory", "f");
  code("trash a file", pxos_pixelfs_trash_str("d-"));
  stat_of("gone", "d-");
  versions("its versions", "d-");
  code("its version", pxos_pixelfs_open_version_str("d-", 1, &h));
  stored("read it", pxos_pixelfs_read(h, buffer, sizeof buffer, &length));
  write_file("d-", "new");
  versions("a new one", "d-");
  code("bring back over it", pxos_pixelfs_restore_str("d-", 0));
  code("move it away", pxos_pixelfs_rename_str("d-", "away"));
  code("bring back", pxos_pixelfs_restore_str("d-", 0));
  code("bring back again", pxos_pixelfs_restore_str("away", 0));
  versions("brought back", "d-");
  code("trash a directory", pxos_pixelfs_trash_str("f"));
  stored("list after it", list("", sizeof buffer));
  code("bring it back", pxos_pixelfs_restore_str("f", 0));
  stored("list it", list("f", sizeof buffer));
  versions("with its histories", "f/c");
  code("trash nothing", pxos_pixelfs_trash_str("x"));
  code("trash the root", pxos_pixelfs_trash_str("/"));
}

static void put64(char *p, int64_t v) {
  for (int i = 0; i < 8; i++) p[i] = (char)((uint64_t)v >> (8 * i));
}

static uint32_t map(const char *what, const char *name, uint32_t flags) {
  handle = 0;
  pxos_code c = pxos_infinitemap_open_str(name, flags, &handle);
  code(what, c);
  return handle;
}

static void pixel(const char *what, uint32_t h, int64_t x, int64_t y) {
  uint32_t rgb = 42;
  pxos_code c = pxos_infinitemap_get(h, x, y, &rgb);
  printf("%s: %s %06x\n", what, pxos_code_name(c), (unsigned)rgb);
}

static void bounds(const char *what, uint32_t h) {
  uint64_t box[4] = {42, 42, 42, 42};
  pxos_code c = pxos_infinitemap_bounds(h, &box[0], &box[1], &box[2], &box[3]);
  printf("%s: %s %lld %lld %lld %lld\n", what, pxos_code_name(c), (long long)box[0], (long long)box[1], (long long)box[2], (long long)box[3]);
}

static void stats(const char *what, uint32_t h) {
  char *json;
  pxos_code c = pxos_infinitemap_stats_alloc(h, &json, NULL);
  printf("%s: %s", what, pxos_code_name(c));
  static const char *const keys[] = {"\"tile_size\":", "\"tiles\":", "\"levels\":", "\"dirty\":", "\"generation\":", "\"writable\":"};
  for (int i = 0; c == PXOS_OK && i < 6; i++) {
    char *at = strstr(json, keys[i]);
    printf(" %s%.*s", keys[i], at == NULL ? 0 : (int)strcspn(at + strlen(keys[i]), ",}"), at == NULL ? "" : at + strlen(keys[i]));
  }
  putchar('\n');
  if (c == PXOS_OK) free(json);
}

static void tiles(const char *what, uint32_t h, int64_t x, int64_t y, uint64_t w, uint64_t r) {
  length = 42;
  pxos_code c = pxos_infinitemap_tiles(h, x, y, w, r, buffer, sizeof buffer, &length);
  printf("%s: %s %u", what, pxos_code_name(c), (unsigned)length);
  for (uint32_t i = 0; c == PXOS_OK && i < length; i += 8) {
    int64_t v = 0;
    for (int k = 7; k >= 0; k--) v = (int64_t)((uint64_t)v << 8 | (unsigned char)buffer[i + k]);
    printf(" %lld", (long long)v);
  }
  putchar('\n');
}

static void maps(void) {
  const uint32_t rw = PXOS_INFINITEMAP_READ | PXOS_INFINITEMAP_WRITE, make = rw | PXOS_INFINITEMAP_CREATE;
  static char data[4000];

  length = 4242;
  stored("no maps", pxos_infinitemap_list(buffer, sizeof buffer, &length));
  map("no flags", "w", 0);
  map("create to read", "w", PXOS_INFINITEMAP_READ | PXOS_INFINITEMAP_CREATE);
  map("flag 8", "w", rw | 8);
  map("missing", "w", rw);
  map("missing to read", "w", PXOS_INFINITEMAP_READ);
  map("not granted", "other", PXOS_INFINITEMAP_READ);
  map("empty name", "", make);
  map("capitals", "W", make);
  map("path", "w/x", make);
  map("star", "*", make);
  map("device", "nul", make);
  map("not UTF-8", "\xff", make);
  uint32_t h = map("create", "w", make);
  bounds("bounds of nothing", h);
  tiles("tiles of nothing", h, INT64_MIN, INT64_MIN, 0, 0);
  stats("stats of nothing", h);
  pixel("black", h, 5, 5);
  code("set", pxos_infinitemap_set(h, -1, -1, 0x010203));
  code("set the first", pxos_infinitemap_set(h, INT64_MIN, INT64_MIN, 0xff0000));
  code("set the last", pxos_infinitemap_set(h, INT64_MAX, INT64_MAX, 0x0000ff));
  code("set too much", pxos_infinitemap_set(h, 0, 0, 0x1000000));
  pixel("get", h, -1, -1);
  pixel("get the first", h, INT64_MIN, INT64_MIN);
  pixel("get the last", h, INT64_MAX, INT64_MAX);
  bounds("bounds", h);
  tiles("tiles", h, INT64_MIN, INT64_MIN, 0, 0);
  tiles("tiles of a part", h, -1, -1, 1, 1);
  tiles("tiles beside it", h, 0, -1, 1, 0);
  tiles("tiles beyond", h, 1, 0, 1ull << 63, 0);
  code("tiles without room", pxos_infinitemap_tiles(h, INT64_MIN, INT64_MIN, 0, 0, buffer, 17, &length));
  printf("need %u\n", (unsigned)length);
  stats("stats before", h);
  code("flush", pxos_infinitemap_flush(h));
  stats("stats after", h);
  code("flush again", pxos_infinitemap_flush(h));

  for (int i = 0; i < 3; i++) {
    put64(data + 20 * i, i == 1 ? -1 : 100 * i);
    put64(data + 20 * i + 8, i == 1 ? -1 : 7);
    memcpy(data + 20 * i + 16, "abc", 4);
    data[20 * i + 16] += (char)i;
  }
  code("set many", pxos_infinitemap_set_many(h, data, 60));
  code("set a part of one", pxos_infinitemap_set_many(h, data, 59));
  data[19] = 1;
  code("set with a byte that is not 0", pxos_infinitemap_set_many(h, data, 60));
  data[19] = 0;
  code("set none", pxos_infinitemap_set_many(h, data, 0));
  for (int i = 0; i < 3; i++) memmove(data + 16 * i, data + 20 * i, 16);
  bytes("get many", pxos_infinitemap_get_many(h, data, 48, buffer, 9), 9);
  bytes("get too few", pxos_infinitemap_get_many(h, data, 48, buffer, 8), 0);
  bytes("get too many", pxos_infinitemap_get_many(h, data, 48, buffer, 12), 0);
  bytes("get a part of one", pxos_infinitemap_get_many(h, data, 47, buffer, 9), 0);

  for (int i = 0; i < 18; i++) data[i] = (char)(i + 1);
  code("write region", pxos_infinitemap_write_region(h, 254, -1, 3, 2, data, 18));
  bytes("read region", pxos_infinitemap_read_region(h, 254, -1, 3, 2, 0, buffer, 18), 18);
  bytes("read around it", pxos_infinitemap_read_region(h, 255, 0, 2, 2, 0, buffer, 12), 12);
  bytes("read short", pxos_infinitemap_read_region(h, 254, -1, 3, 2, 0, buffer, 17), 1);
  bytes("read nothing", pxos_infinitemap_read_region(h, INT64_MAX, 0, 0, 9, 0, buffer, 0), 0);
  bytes("read nothing with room", pxos_infinitemap_read_region(h, 0, 0, 0, 9, 0, buffer, 3), 0);
  bytes("read beyond", pxos_infinitemap_read_region(h, INT64_MAX, 0, 2, 1, 0, buffer, 6), 0);
  code("write beyond", pxos_infinitemap_write_region(h, 0, INT64_MAX, 1, 2, data, 6));
  code("write a huge region", pxos_infinitemap_write_region(h, 0, 0, UINT32_MAX, UINT32_MAX, data, 3));
  bytes("read level 1", pxos_infinitemap_read_region(h, 127, -1, 2, 2, 1, buffer, 12), 12);
  bytes("read level 2", pxos_infinitemap_read_region(h, 63, -1, 2, 2, 2, buffer, 12), 12);
  bytes("read level 20", pxos_infinitemap_read_region(h, -1, -1, 2, 2, 20, buffer, 12), 12);
  bytes("read level 62", pxos_infinitemap_read_region(h, -2, -2, 4, 4, 62, buffer, 48), 48);
  bytes("read level 63", pxos_infinitemap_read_region(h, -1, -1, 2, 2, 63, buffer, 12), 12);
  bytes("read level 64", pxos_infinitemap_read_region(h, -1, -1, 2, 2, 64, buffer, 12), 1);
  bytes("read beyond level 62", pxos_infinitemap_read_region(h, -3, -2, 4, 4, 62, buffer, 48), 1);
  code("dark", pxos_infinitemap_write_region(h, 1000, 1000, 2, 2, "\1\0\0\0\1\0\0\0\1\0\0\0", 12));
  bytes("never black", pxos_infinitemap_read_region(h, 500, 500, 1, 1, 1, buffer, 3), 3);

  memset(data, 'z', sizeof data);
  code("write bytes", pxos_infinitemap_write_bytes(h, -2000, -2000, data, 2000));
  bytes("read bytes", pxos_infinitemap_read_bytes(h, -2000, -2000, buffer, 2000), 2000 % 100);
  bytes("end of the bytes", pxos_infinitemap_read_region(h, -2000 + 153, -2000 + 2, 3, 1, 0, buffer, 9), 9);
  code("write no bytes", pxos_infinitemap_write_bytes(h, INT64_MAX, INT64_MAX, data, 0));
  code("write one byte", pxos_infinitemap_write_bytes(h, INT64_MAX, INT64_MAX, data, 1));
  pixel("one byte", h, INT64_MAX, INT64_MAX);
  code("write bytes beyond", pxos_infinitemap_write_bytes(h, INT64_MAX, 0, data, 4));
  bytes("neighbours", pxos_infinitemap_neighbours(h, 255, 0, 1, buffer, 27), 27);
  bytes("neighbours of the corner", pxos_infinitemap_neighbours(h, INT64_MAX, INT64_MIN, 1, buffer, 27), 27);
  bytes("itself", pxos_infinitemap_neighbours(h, 255, 0, 0, buffer, 3), 3);
  bytes("neighbours short", pxos_infinitemap_neighbours(h, 255, 0, 1, buffer, 26), 1);
  bytes("neighbours of all", pxos_infinitemap_neighbours(h, 255, 0, UINT32_MAX, buffer, 3), 1);

  /* Black is as if nobody wrote. */
  memset(data, 0, sizeof data);
  code("black", pxos_infinitemap_write_region(h, -2000, -2000, 256, 3, data, 256 * 3 * 3));
  tiles("tiles without it", h, -2304, -2304, 512, 512);

  code("snapshot", pxos_infinitemap_snapshot_str(h, "first"));
  code("snapshot again", pxos_infinitemap_snapshot_str(h, "first"));
  code("snapshot without a name", pxos_infinitemap_snapshot_str(h, ""));
  code("snapshot by a path", pxos_infinitemap_snapshot_str(h, "../x"));
  uint32_t other = map("a reader beside it", "w", PXOS_INFINITEMAP_READ);
  pixel("sees it", other, -1, -1);
  code("writes", pxos_infinitemap_set(other, 0, 0, 1));
  code("writes many", pxos_infinitemap_set_many(other, data, 0));
  code("writes a region", pxos_infinitemap_write_region(other, 0, 0, 0, 0, data, 0));
  code("writes bytes", pxos_infinitemap_write_bytes(other, 0, 0, data, 0));
  code("flushes", pxos_infinitemap_flush(other));
  code("snapshots", pxos_infinitemap_snapshot_str(other, "second"));
  stats("stats of a reader", other);
  code("close", pxos_infinitemap_close(h));
  code("close again", pxos_infinitemap_close(h));
  pixel("closed", h, 0, 0);
  pixel("still open", other, -1, -1);
  code("close the reader", pxos_infinitemap_close(other));

  h = map("a part", "part", PXOS_INFINITEMAP_WRITE | PXOS_INFINITEMAP_CREATE);
  code("inside", pxos_infinitemap_set(h, 9, 9, 7));
  code("outside", pxos_infinitemap_set(h, 10, 9, 7));
  code("over the edge", pxos_infinitemap_write_region(h, 8, 8, 3, 1, "abcdefghi", 9));
  pixel("reading outside", h, 10, 9);
  code("snapshot of a part", pxos_infinitemap_snapshot_str(h, "x"));
  bounds("bounds", h);
  length = 4242;
  stored("maps", pxos_infinitemap_list(buffer, sizeof buffer, &length));
}

int main(void) {
  files();
  maps();
  return 0;
}
