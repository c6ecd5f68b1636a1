/* wc counts lines, words, characters and bytes, as wc(1) does. It is a plain WASI
 * command: it knows nothing of pxOS.
 *
 * Characters are those of UTF-8. Bytes that are not UTF-8 are no characters; they
 * still are part of a word. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct counts {
  uint64_t lines, words, chars, bytes;
};

static int show_lines, show_words, show_chars, show_bytes;
static int width = 1;
static int status;

/* separates says whether a character ends a word: white space of Unicode, spaces
 * that do not break a line included. */
static int separates(uint32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x2060 || c == 0x3000;
}

/* text is the state of counting between two buffers: inside a word or not, and the
 * part of a character that was seen. */
struct text {
  int in_word;
  int missing;          /* bytes that the character still needs */
  uint32_t c;           /* what its bytes so far say */
  unsigned char lo, hi; /* range of its next byte */
};

static void see(struct text *t, struct counts *n, int separator) {
  n->words += !separator & !t->in_word;
  t->in_word = !separator;
}

/* begin takes a byte that is not ASCII and does not continue a character. */
static void begin(struct text *t, struct counts *n, unsigned char b) {
  t->lo = 0x80;
  t->hi = 0xbf;
  if (b >= 0xc2 && b <= 0xdf) {
    t->missing = 1;
    t->c = b & 0x1f;
  } else if (b >= 0xe0 && b <= 0xef) {
    t->missing = 2;
    t->c = b & 0x0f;
    if (b == 0xe0) t->lo = 0xa0; /* shorter forms exist */
    if (b == 0xed) t->hi = 0x9f; /* surrogates */
  } else if (b >= 0xf0 && b <= 0xf4) {
    t->missing = 3;
    t->c = b & 0x07;
    if (b == 0xf0) t->lo = 0x90;
    if (b == 0xf4) t->hi = 0x8f; /* beyond U+10FFFF */
  } else {
    see(t, n, 0);
  }
}

static void count_text(struct text *t, struct counts *n, const unsigned char *p, size_t size) {
  for (const unsigned char *end = p + size; p < end; p++) {
    unsigned char b = *p;
    if (t->missing > 0) {
      if (b >= t->lo && b <= t->hi) {
        t->c = t->c << 6 | (b & 0x3f);
        t->lo = 0x80;
        t->hi = 0xbf;
        if (--t->missing == 0) {
          n->chars++;
          see(t, n, separates(t->c));
        }
        continue;
      }
      t->missing = 0; /* a broken character; b begins something new */
      see(t, n, 0);
    }
    if (b < 0x80) {
      n->chars++;
      n->lines += b == '\n';
      see(t, n, b == ' ' || (b >= '\t' && b <= '\r'));
    } else {
      begin(t, n, b);
    }
  }
}

static void count_lines(struct counts *n, const unsigned char *p, size_t size) {
  const unsigned char *end = p + size;
  while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    n->lines++;
    p++;
  }
}

static int complain(const char *name) {
  fprintf(stderr, "wc: %s: %s\n", name, strerror(errno));
  status = 1;
  return -1;
}

static int count(int fd, const char *name, struct counts *n) {
  static unsigned char buffer[64 * 1024];
  struct text t = {0};
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return complain(name);
    }
    if (got == 0) break;
    n->bytes += (uint64_t)got;
    if (show_words || show_chars) {
      count_text(&t, n, buffer, (size_t)got);
    } else if (show_lines) {
      count_lines(n, buffer, (size_t)got);
    }
  }
  if (t.missing > 0) see(&t, n, 0); /* cut off in the middle of a character */
  return 0;
}

static void print(const struct counts *n, const char *name) {
  const char *gap = "";
  const struct {
    int show;
    uint64_t value;
  } columns[] = {{show_lines, n->lines}, {show_words, n->words}, {show_chars, n->chars}, {show_bytes, n->bytes}};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    if (!columns[i].show) continue;
    printf("%s%*" PRIu64, gap, width, columns[i].value);
    gap = " ";
  }
  if (name != NULL) printf(" %s", name);
  putchar('\n');
}

/* set_width makes the columns as wide as the largest number can become: the sum of
 * the sizes of all files, and seven digits where a size is not known beforehand. */
static void set_width(char **names, int files) {
  if (files <= 1 && show_lines + show_words + show_chars + show_bytes == 1) return;
  uint64_t total = 0;
  int least = 1;
  for (int i = 0; i < files || i == 0; i++) {
    struct stat st;
    int known = files == 0 || strcmp(names[i], "-") == 0 ? fstat(0, &st) == 0 : stat(names[i], &st) == 0;
    if (known && S_ISREG(st.st_mode)) {
      total += (uint64_t)st.st_size;
    } else if (known || files == 0) {
      least = 7;
    }
  }
  for (width = 1; total >= 10; total /= 10) width++;
  if (width < least) width = least;
}

static void count_file(const char *name, struct counts *total) {
  struct counts n = {0};
  int fd = 0;
  if (strcmp(name, "-") != 0 && (fd = open(name, O_RDONLY)) < 0) {
    complain(name);
    return;
  }
  count(fd, name, &n);
  print(&n, name);
  if (fd != 0) close(fd);
  total->lines += n.lines;
  total->words += n.words;
  total->chars += n.chars;
  total->bytes += n.bytes;
}

static const char usage[] =
    "usage: wc [-lwmc] [FILE...]\n"
    "Count lines, words and bytes of each FILE, or of standard input without one or\n"
    "where FILE is -.\n"
    "\n"
    "  -l, --lines   count line feeds\n"
    "  -w, --words   count words\n"
    "  -m, --chars   count characters of UTF-8\n"
    "  -c, --bytes   count bytes\n"
    "      --help    show this text\n";

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"lines", no_argument, NULL, 'l'}, {"words", no_argument, NULL, 'w'}, {"chars", no_argument, NULL, 'm'},
      {"bytes", no_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0},
  };
  int option;
  argv[0] = "wc"; /* what getopt calls itself in messages */
  while ((option = getopt_long(argc, argv, "lwmc", options, NULL)) != -1) {
    switch (option) {
      case 'l': show_lines = 1; break;
      case 'w': show_words = 1; break;
      case 'm': show_chars = 1; break;
      case 'c': show_bytes = 1; break;
      case 'h': fputs(usage, stdout); return fflush(stdout) == 0 ? 0 : 1;
      default: fputs(usage, stderr); return 1;
    }
  }
  if (!(show_lines | show_words | show_chars | show_bytes)) show_lines = show_words = show_bytes = 1;

  int files = argc > optind ? argc - optind : 0;
  set_width(argv + optind, files);
  struct counts total = {0};
  if (files == 0) {
    if (count(0, "standard input", &total) == 0) print(&total, NULL);
  }
  for (int i = optind; i < argc; i++) count_file(argv[i], &total);
  if (files > 1) print(&total, "total");
  if (fflush(stdout) != 0 || ferror(stdout)) complain("standard output");
  return status;
}
