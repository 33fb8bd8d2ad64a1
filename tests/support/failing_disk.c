/* SPDX-License-Identifier: Apache-2.0
 * A disk that fails at a chosen step: preloaded into a gate and everything it starts, it counts what is done to files of
 * evidence (create, write, sync, cut, rename, remove), and fails one of them, or all from one on, in one of five ways.
 * FAULT_STATE names a file that tests and processes share (see failing_disk.py), FAULT_DATA the data folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASS, FAILS, PERSISTS, SLOW, SHORT, DIES };
enum { SLOW_US = 700000 };

struct state {
    _Atomic uint64_t armed, steps, at, mode, hits;
    char name[16], path[256];
};

static struct state *shared;
static const char *data;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("FAULT_STATE");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    data = getenv("FAULT_DATA");
    if (file < 0 || data == NULL)
        return;
    void *mapped = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        shared = mapped;
}

static int is_evidence(const char *path) {
    static const char *const folders[] = {"/journal/", "/recordings/", "/ledger/", "/notary/"};
    size_t length = strlen(data);
    if (strncmp(path, data, length) != 0)
        return 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path + length, folders[i], strlen(folders[i])) == 0)
            return 1;
    return 0;
}

static int step_at(const char *name, const char *path) {
    if (shared == NULL || path == NULL || !atomic_load(&shared->armed) || !is_evidence(path))
        return PASS;
    uint64_t number = atomic_fetch_add(&shared->steps, 1) + 1, at = atomic_load(&shared->at);
    int mode = (int)atomic_load(&shared->mode);
    if (at == 0 || (number != at && !(mode == DIES && number > at)))
        return PASS;
    if (atomic_fetch_add(&shared->hits, 1) == 0) {
        snprintf(shared->name, sizeof shared->name, "%s", name);
        snprintf(shared->path, sizeof shared->path, "%s", path + strlen(data));
    }
    if (mode == SLOW)
        usleep(SLOW_US);
    return mode == SLOW ? PASS : mode == DIES ? FAILS : mode;
}

static int step_of(const char *name, int file) {
    char link[64], path[1024];
    if (shared == NULL || !atomic_load(&shared->armed))
        return PASS;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return PASS;
    path[length] = 0;
    return step_at(name, path);
}

/* Calls the real thing, unless the step fails; what persists is done and fails all the same. */
#define OUTCOME(type, step, call)                                                                                      \
    do {                                                                                                               \
        int how = (step);                                                                                              \
        if (how == PASS)                                                                                               \
            return (call);                                                                                             \
        if (how == PERSISTS)                                                                                           \
            (void)!(call);                                                                                             \
        errno = EIO;                                                                                                   \
        return (type)-1;                                                                                               \
    } while (0)

#define REAL(name, ...) ((__VA_ARGS__)dlsym(RTLD_NEXT, name))

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = REAL("pwrite64", ssize_t(*)(int, const void *, size_t, off64_t));
    int step = step_of("pwrite", file);
    if (step == SHORT)
        return real(file, bytes, count / 2, at);
    OUTCOME(ssize_t, step, real(file, bytes, count, at));
}

ssize_t write(int file, const void *bytes, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = REAL("write", ssize_t(*)(int, const void *, size_t));
    int step = step_of("write", file);
    if (step == SHORT && count > 1)
        return real(file, bytes, count / 2);
    OUTCOME(ssize_t, step, real(file, bytes, count));
}

int fdatasync(int file) {
    int (*real)(int) = REAL("fdatasync", int (*)(int));
    OUTCOME(int, step_of("fdatasync", file), real(file));
}

int fsync(int file) {
    int (*real)(int) = REAL("fsync", int (*)(int));
    OUTCOME(int, step_of("fsync", file), real(file));
}

int ftruncate64(int file, off64_t size) {
    int (*real)(int, off64_t) = REAL("ftruncate64", int (*)(int, off64_t));
    OUTCOME(int, step_of("ftruncate", file), real(file, size));
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = REAL("rename", int (*)(const char *, const char *));
    OUTCOME(int, step_at("rename", to), real(from, to));
}

int unlink(const char *path) {
    int (*real)(const char *) = REAL("unlink", int (*)(const char *));
    OUTCOME(int, step_at("unlink", path), real(path));
}

int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = REAL("mkdir", int (*)(const char *, mode_t));
    OUTCOME(int, step_at("mkdir", path), real(path, mode));
}

int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = REAL("open64", int (*)(const char *, int, ...));
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    int step = flags & O_CREAT ? step_at("create", path) : PASS;
    if (step == PERSISTS) {
        int file = real(path, flags, mode);
        if (file >= 0)
            close(file);
    }
    if (step == PASS)
        return real(path, flags, mode);
    errno = EIO;
    return -1;
}
