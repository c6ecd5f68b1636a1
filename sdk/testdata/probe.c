/* A guest that calls every host function through pxos.h; wasm_test.go runs it. */
#include <stdio.h>

#include "pxos.h"

static int check(const char *what, pxos_code code) {
  if (code == PXOS_OK) return 0;
  pxos_fail_str("check", what);
  fprintf(stderr, "%s: %s\n", what, pxos_code_name(code));
  return 1;
}

int main(int argc, char **argv) {
  char *program, *arguments, *paths, *caps;
  uint32_t version, paths_length, got;
  uint64_t now, resolution, size;
  uint8_t random[4], digest[32];
  char part[5] = {0}, small[1], result[1024];

  if (check("abi_version", pxos_abi_version(&version))) return 1;
  if (check("program_name", pxos_program_name_alloc(&program, NULL))) return 1;
  if (check("arguments", pxos_arguments_alloc(&arguments, NULL))) return 1;
  if (check("capabilities", pxos_capabilities_alloc(&caps, NULL))) return 1;
  if (check("random", pxos_random(random, sizeof random))) return 1;
  if (check("clock", pxos_clock(PXOS_CLOCK_REAL, &now, &resolution))) return 1;
  if (check("archive_list", pxos_archive_list_alloc("data/", &paths, &paths_length))) return 1;
  if (check("archive_stat", pxos_archive_stat_str(paths, &size, digest))) return 1;
  if (check("archive_read", pxos_archive_read_str(paths, 2, part, 4, &got))) return 1;
  if (check("log", pxos_log_str(PXOS_LOG_WARN, "probing"))) return 1;

  pxos_code too_small = pxos_arguments(small, sizeof small, &got);
  pxos_code missing = pxos_archive_stat_str("nope", &size, digest);
  pxos_code invalid = pxos_result_str("{");
  if (argc > 1) {
    pxos_fail_str("asked_to", argv[1]);
    return 1;
  }
  snprintf(result, sizeof result,
           "{\"abi\":\"%d.%d\",\"program\":\"%s\",\"args\":%s,\"caps\":%s,\"random\":%d,\"year\":%d,"
           "\"list\":%u,\"first\":\"%s\",\"size\":%d,\"part\":\"%s\",\"codes\":\"%s %s %s\"}",
           (int)(version >> 16), (int)(version & 0xffff), program, arguments, caps,
           random[0] + random[1] + random[2] + random[3] > 0, (int)(1970 + now / 31556952000000000ull),
           (unsigned)paths_length, paths, (int)size, part, pxos_code_name(too_small), pxos_code_name(missing),
           pxos_code_name(invalid));
  free(program);
  free(arguments);
  free(paths);
  free(caps);
  printf("%d words\n", argc);
  return check("result", pxos_result_str(result));
}
