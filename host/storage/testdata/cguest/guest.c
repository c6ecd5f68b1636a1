// Uses the pixel files as any C program uses files. It says what is wrong and fails, or
// says nothing.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(x)                                                          \
	do {                                                                  \
		if (!(x)) {                                                       \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #x, strerror(errno)); \
			exit(1);                                                      \
		}                                                                 \
	} while (0)

int main(void) {
	char buf[64];
	struct stat st;
	CHECK(mkdir("/pixelfs/dir", 0755) == 0);
	CHECK(mkdir("/pixelfs/dir", 0755) < 0 && errno == EEXIST);

	FILE *f = fopen("/pixelfs/dir/a.txt", "w+");
	CHECK(f);
	CHECK(fputs("hello, world", f) >= 0);
	CHECK(fseek(f, 7, SEEK_SET) == 0);
	CHECK(fwrite("pixel", 1, 5, f) == 5);
	CHECK(fflush(f) == 0);
	rewind(f);
	CHECK(fgets(buf, sizeof buf, f) && strcmp(buf, "hello, pixel") == 0);
	CHECK(ftruncate(fileno(f), 5) == 0);
	CHECK(fstat(fileno(f), &st) == 0 && st.st_size == 5);
	CHECK(fclose(f) == 0);

	f = fopen("/pixelfs/dir/a.txt", "a");
	CHECK(f && fputs("!", f) >= 0 && fclose(f) == 0);
	CHECK(stat("/pixelfs/dir/a.txt", &st) == 0 && st.st_size == 6 && S_ISREG(st.st_mode));

	int fd = open("/pixelfs/dir/b", O_CREAT | O_EXCL | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK(pwrite(fd, "xyz", 3, 100000) == 3);
	CHECK(pread(fd, buf, 4, 99999) == 4 && memcmp(buf, "\0xyz", 4) == 0);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(lseek(fd, 0, SEEK_END) == 100003);
	CHECK(close(fd) == 0);
	CHECK(open("/pixelfs/dir/b", O_CREAT | O_EXCL | O_RDWR, 0644) < 0 && errno == EEXIST);
	CHECK(open("/pixelfs/none", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(open("/pixelfs/dir", O_WRONLY) < 0 && errno == EISDIR);
	CHECK(open("/pixelfs/dir/a.txt", O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR);

	int seen = 0;
	DIR *d = opendir("/pixelfs/dir");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.') {
			CHECK(strcmp(e->d_name, "a.txt") == 0 || strcmp(e->d_name, "b") == 0);
			seen++;
		}
	CHECK(seen == 2 && closedir(d) == 0);

	CHECK(rename("/pixelfs/dir/a.txt", "/pixelfs/dir/b") == 0);
	CHECK(rename("/pixelfs/dir", "/pixelfs/folder") == 0);
	CHECK(rmdir("/pixelfs/folder") < 0 && errno == ENOTEMPTY);
	f = fopen("/pixelfs/folder/b", "r");
	CHECK(f && fgets(buf, sizeof buf, f) && strcmp(buf, "hello!") == 0 && fclose(f) == 0);
	CHECK(link("/pixelfs/folder/b", "/pixelfs/c") < 0);
	CHECK(unlink("/pixelfs/folder") < 0);

	f = fopen("/pixelfs/kept.txt", "w");
	CHECK(f && fputs("left open, and written when the program returns", f) >= 0);
	return 0;
}
