// Kernels for the overhead benchmark. Built with
//   clang --target=wasm32 -O2 -fno-builtin -nostdlib -Wl,--no-entry kernels.c
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

static uint32_t seed;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }

// SHA-256 of n blocks of 64 bytes.
static const uint32_t K[64] = {
	0x428a2f98,0x71374491,0xb5c0fbcf,0xe9b5dba5,0x3956c25b,0x59f111f1,0x923f82a4,0xab1c5ed5,0xd807aa98,0x12835b01,0x243185be,
	0x550c7dc3,0x72be5d74,0x80deb1fe,0x9bdc06a7,0xc19bf174,0xe49b69c1,0xefbe4786,0x0fc19dc6,0x240ca1cc,0x2de92c6f,0x4a7484aa,
	0x5cb0a9dc,0x76f988da,0x983e5152,0xa831c66d,0xb00327c8,0xbf597fc7,0xc6e00bf3,0xd5a79147,0x06ca6351,0x14292967,0x27b70a85,
	0x2e1b2138,0x4d2c6dfc,0x53380d13,0x650a7354,0x766a0abb,0x81c2c92e,0x92722c85,0xa2bfe8a1,0xa81a664b,0xc24b8b70,0xc76c51a3,
	0xd192e819,0xd6990624,0xf40e3585,0x106aa070,0x19a4c116,0x1e376c08,0x2748774c,0x34b0bcb5,0x391c0cb3,0x4ed8aa4a,0x5b9cca4f,
	0x682e6ff3,0x748f82ee,0x78a5636f,0x84c87814,0x8cc70208,0x90befffa,0xa4506ceb,0xbef9a3f7,0xc67178f2};
#define R(x, n) ((x) >> (n) | (x) << (32 - (n)))

EXPORT("sha256") uint32_t sha256(uint32_t n) {
	uint32_t h[8] = {0x6a09e667,0xbb67ae85,0x3c6ef372,0xa54ff53a,0x510e527f,0x9b05688c,0x1f83d9ab,0x5be0cd19};
	uint32_t w[64];
	seed = 1;
	while (n--) {
		for (int i = 0; i < 16; i++) w[i] = next();
		for (int i = 16; i < 64; i++) {
			uint32_t a = w[i - 15], b = w[i - 2];
			w[i] = w[i - 16] + w[i - 7] + (R(a, 7) ^ R(a, 18) ^ a >> 3) + (R(b, 17) ^ R(b, 19) ^ b >> 10);
		}
		uint32_t v[8];
		for (int i = 0; i < 8; i++) v[i] = h[i];
		for (int i = 0; i < 64; i++) {
			uint32_t t1 = v[7] + (R(v[4], 6) ^ R(v[4], 11) ^ R(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
			uint32_t t2 = (R(v[0], 2) ^ R(v[0], 13) ^ R(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
			v[7] = v[6]; v[6] = v[5]; v[5] = v[4]; v[4] = v[3] + t1;
			v[3] = v[2]; v[2] = v[1]; v[1] = v[0]; v[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++) h[i] += v[i];
	}
	return h[0];
}

// Quicksort through a comparison function, with insertion sort for short runs.
static uint32_t data[1 << 16];
typedef int (*cmp)(const void *, const void *);
static int less(const void *a, const void *b) { return *(const uint32_t *)a < *(const uint32_t *)b; }
static cmp volatile compare = less;

static void sort(uint32_t *a, int n, cmp c) {
	while (n > 12) {
		uint32_t p = a[n / 2];
		int i = 0, j = n - 1;
		for (;;) {
			while (c(&a[i], &p)) i++;
			while (c(&p, &a[j])) j--;
			if (i >= j) break;
			uint32_t t = a[i]; a[i] = a[j]; a[j] = t;
			i++; j--;
		}
		sort(a + i, n - i, c);
		n = i;
	}
	for (int i = 1; i < n; i++) {
		uint32_t t = a[i];
		int j = i;
		for (; j > 0 && t < a[j - 1]; j--) a[j] = a[j - 1];
		a[j] = t;
	}
}

EXPORT("sort") uint32_t run_sort(uint32_t n) {
	seed = 7;
	for (uint32_t i = 0; i < n; i++) data[i] = next();
	sort(data, (int)n, compare);
	return data[n / 2];
}

// A JSON reader over a generated text: recursive descent, numbers, strings.
static char text[1 << 16];
static const char *at, *end;
static uint32_t value(void);
static void skip(void) { while (at < end && (*at == ' ' || *at == '\n')) at++; }
static uint32_t string(void) {
	uint32_t h = 2166136261u;
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\') at++;
		h = (h ^ (uint8_t)*at) * 16777619u;
	}
	at++;
	return h;
}
static uint32_t value(void) {
	skip();
	uint32_t h = 1;
	if (at >= end) return 0;
	switch (*at) {
	case '{':
		for (at++, skip(); *at != '}'; skip()) {
			h = h * 31 + string();
			skip();
			at++;
			h = h * 31 + value();
			skip();
			if (*at == ',') at++, skip();
		}
		at++;
		return h;
	case '[':
		for (at++, skip(); *at != ']'; skip()) {
			h = h * 33 + value();
			skip();
			if (*at == ',') at++;
		}
		at++;
		return h;
	case '"': return string();
	default:
		for (; at < end && *at >= '0' && *at <= '9'; at++) h = h * 10 + (uint32_t)(*at - '0');
		return h;
	}
}
static char *put(char *p, const char *s) { while (*s) *p++ = *s++; return p; }
EXPORT("json") uint32_t json(uint32_t n) {
	char *p = put(text, "[");
	for (int i = 0; i < 600; i++) {
		if (i) p = put(p, ", ");
		p = put(p, "{\"name\": \"some words here\", \"list\": [1, 22, 333, 4444], \"nested\": {\"a\": 1234567}}");
	}
	p = put(p, "]");
	uint32_t h = 0;
	while (n--) { at = text; end = p; h += value(); }
	return h;
}

EXPORT("fib") uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

// A sum that the compiler cannot fold.
EXPORT("tight") uint32_t tight(uint32_t n) {
	uint32_t x = 1;
	for (uint32_t i = 0; i < n; i++) x = x * 3 + (i ^ x >> 3);
	return x;
}

EXPORT("walk") uint32_t walk(uint32_t n) {
	uint32_t s = 0;
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t i = 0; i < 1 << 16; i += 4) { data[i] += i ^ s; s += data[i]; }
	return s;
}

static double m1[64][64], m2[64][64], m3[64][64];
EXPORT("matrix") uint32_t matrix(uint32_t n) {
	for (int i = 0; i < 64; i++) for (int j = 0; j < 64; j++) { m1[i][j] = i + j; m2[i][j] = i - j; }
	while (n--)
		for (int i = 0; i < 64; i++) for (int j = 0; j < 64; j++) {
			double s = 0;
			for (int k = 0; k < 64; k++) s += m1[i][k] * m2[k][j];
			m3[i][j] = s;
		}
	return (uint32_t)(int64_t)m3[5][7];
}

EXPORT("sieve") uint32_t sieve(uint32_t n) {
	uint32_t count = 0;
	while (n--) {
		for (int i = 0; i < 1 << 16; i++) text[i] = 1;
		count = 0;
		for (int i = 2; i < 1 << 16; i++) if (text[i]) {
			count++;
			for (int j = i + i; j < 1 << 16; j += i) text[j] = 0;
		}
	}
	return count;
}
