/* Notes, after each fsync of an append-only file, how long it was: "LENGTH PATH\n" at the start of ./fsync-notes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(int fd, off_t length) {
  char link[64], path[PATH_MAX + 1], line[PATH_MAX + 64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX);
  if (size <= 0) return;
  path[size] = 0;
  if (!strstr(path, ".incr.aof")) return;
  int notes = open("fsync-notes", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (notes < 0) return;
  int count = snprintf(line, sizeof line, "%lld %s\n", (long long)length, path);
  if (pwrite(notes, line, count, 0) != count) unlink("fsync-notes");
  close(notes);
}

/* The length is taken before: what is written while the fsync runs may or may not be on the disk. */
static int synced(int fd, const char *name) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  struct stat before;
  int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  int result = real(fd);
  if (result == 0 && known) note(fd, before.st_size);
  return result;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }
