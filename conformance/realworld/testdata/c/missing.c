/* Functions of POSIX that wasi-libc leaves out because WASI has no such thing. Each
 * fails as the manual says that it may. */
#include <errno.h>
#include <stdio.h>

int chmod(const char *path, unsigned mode) { errno = ENOSYS; return -1; }
int fchmod(int fd, unsigned mode) { errno = ENOSYS; return -1; }
int chown(const char *path, unsigned owner, unsigned group) { errno = ENOSYS; return -1; }
int fchown(int fd, unsigned owner, unsigned group) { errno = ENOSYS; return -1; }
int system(const char *command) { errno = ENOSYS; return command ? -1 : 0; }
char *tmpnam(char *name) { return NULL; }
FILE *tmpfile(void) { errno = ENOSYS; return NULL; }
