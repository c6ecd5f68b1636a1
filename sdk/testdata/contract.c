/* Asks a host for everything that the contract fixes and prints the answers, one a
 * line. Two hosts that keep the contract print the same. */
#include <stdio.h>
#include <string.h>

#include "pxos.h"

static char buffer[64];
static uint32_t length;

/* answer prints a code, and what it came with. */
static void answer(const char *what, pxos_code code) {
  printf("%s: %s length=%u buffer=%.40s\n", what, pxos_code_name(code), (unsigned)length, buffer);
  memset(buffer, 0, sizeof buffer);
  memset(buffer, '?', 8);
  length = 4242;
}

static void code(const char *what, pxos_code c) { printf("%s: %s\n", what, pxos_code_name(c)); }

static char *repeat(size_t n) {
  char *p = malloc(n + 1);
  if (p == NULL) abort();
  memset(p, 'x', n);
  p[n] = 0;
  return p;
}

int main(void) {
  uint64_t size = 4242, now, later, resolution;
  uint32_t version = 0;
  uint8_t digest[32] = {0}, bytes[16] = {0}, zero[16] = {0};

  answer("start", PXOS_OK);
  code("version", pxos_abi_version(&version));
  printf("major %u\n", (unsigned)(version >> 16));

  answer("name without room", pxos_program_name(buffer, 0, &length));
  answer("name one byte short", pxos_program_name(buffer, 13, &length));
  answer("name", pxos_program_name(buffer, 14, &length));
  answer("arguments one byte short", pxos_arguments(buffer, 6, &length));
  answer("arguments", pxos_arguments(buffer, 7, &length));
  answer("capabilities", pxos_capabilities(buffer, sizeof buffer, &length));

  code("result empty", pxos_result("", 0));
  code("result two values", pxos_result_str("1 2"));
  code("result not UTF-8", pxos_result_str("\"\xff\""));
  char *large = repeat(PXOS_MAX_RESULT + 2);
  large[0] = large[PXOS_MAX_RESULT] = '"';
  code("result too large", pxos_result(large, PXOS_MAX_RESULT + 1));
  code("result spaces around", pxos_result_str(" [1] "));

  code("fail without type", pxos_fail_str("", "x"));
  code("fail capitals", pxos_fail_str("Bad", "x"));
  code("fail dash", pxos_fail_str("a-b", "x"));
  code("fail long type", pxos_fail(large + 1, 65, "x", 1));
  code("fail long text", pxos_fail("a", 1, large + 1, PXOS_MAX_ERROR_TEXT));
  code("fail not UTF-8", pxos_fail_str("a", "\xc0\x80"));

  code("log level 4", pxos_log_str(4, "x"));
  code("log not UTF-8", pxos_log_str(PXOS_LOG_INFO, "\xed\xa0\x80"));
  code("log nothing", pxos_log_str(PXOS_LOG_DEBUG, ""));
  code("log controls", pxos_log_str(PXOS_LOG_WARN, "a\nb\tc\x1b[0m\x7f\xc2\x9b"));
  code("log long", pxos_log(PXOS_LOG_ERROR, large + 1, PXOS_MAX_LOG_LINE + 1));
  free(large);

  code("random nothing", pxos_random(bytes, 0));
  code("random", pxos_random(bytes, sizeof bytes));
  printf("filled %d\n", memcmp(bytes, zero, sizeof bytes) != 0);
  code("clock 2", pxos_clock(2, &now, &resolution));
  code("clock", pxos_clock(PXOS_CLOCK_MONOTONIC, &now, &resolution));
  code("clock", pxos_clock(PXOS_CLOCK_MONOTONIC, &later, &resolution));
  printf("resolution %u, multiple %d, forward %d\n", (unsigned)resolution, now % resolution == 0, later >= now);
  code("clock", pxos_clock(PXOS_CLOCK_REAL, &now, &resolution));
  printf("multiple %d, after 2025 %d\n", now % resolution == 0, now > 1767225599000000000ull);

  answer("list without a match", pxos_archive_list("nope", 4, buffer, 0, &length));
  answer("list one byte short", pxos_archive_list("data/", 5, buffer, 21, &length));
  answer("list", pxos_archive_list("data/", 5, buffer, 22, &length));
  answer("list not UTF-8", pxos_archive_list("\xff", 1, buffer, 22, &length));
  code("stat missing", pxos_archive_stat_str("data/c.txt", &size, digest));
  code("stat directory", pxos_archive_stat_str("data", &size, digest));
  code("stat slash in front", pxos_archive_stat_str("/data/a.txt", &size, digest));
  printf("untouched %u\n", (unsigned)size);
  code("stat", pxos_archive_stat_str("data/a.txt", &size, digest));
  printf("size %u digest %02x%02x\n", (unsigned)size, digest[0], digest[31]);
  answer("read", pxos_archive_read_str("data/a.txt", 0, buffer, sizeof buffer, &length));
  answer("read middle", pxos_archive_read_str("data/a.txt", 2, buffer, 3, &length));
  answer("read nothing", pxos_archive_read_str("data/a.txt", 2, buffer, 0, &length));
  answer("read at the end", pxos_archive_read_str("data/a.txt", 6, buffer, 3, &length));
  answer("read far beyond", pxos_archive_read_str("data/a.txt", UINT64_MAX, buffer, 3, &length));
  answer("read end of second", pxos_archive_read_str("data/b.txt", 4998, buffer, 8, &length));
  answer("read missing", pxos_archive_read_str("data/c.txt", 0, buffer, 8, &length));
  answer("read not UTF-8", pxos_archive_read_str("\xff", 0, buffer, 8, &length));
  return 0;
}
