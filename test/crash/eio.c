// Makes writes and flushes of some files fail with EIO: of those whose path holds $EIO_PATH, while $EIO_WHILE exists. With
// $EIO_SYNC only flushes fail. With $EIO_ONCE the first failure removes $EIO_WHILE, as a system that says so only once.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
  const char *part = getenv("EIO_PATH"), *flag = getenv("EIO_WHILE");
  char link[32], path[4096];
  int kept = errno;
  if (!part || !flag || access(flag, F_OK) != 0) return errno = kept, 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = kept;
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, part)) return 0;
  if (getenv("EIO_ONCE")) unlink(flag);
  return errno = EIO, 1;
}

#define PASS(type, name, syncs, params, args) \
  type name params { \
    static type(*real) params; \
    if (!real) real = (type(*) params)dlsym(RTLD_NEXT, #name); \
    return (syncs || !getenv("EIO_SYNC")) && fails(fd) ? -1 : real args; \
  }

PASS(int, fdatasync, 1, (int fd), (fd))
PASS(int, fsync, 1, (int fd), (fd))
PASS(ssize_t, write, 0, (int fd, const void *from, size_t size), (fd, from, size))
PASS(ssize_t, pwrite, 0, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
PASS(ssize_t, pwrite64, 0, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
