/* SPDX-License-Identifier: Apache-2.0
 * A disk that takes its time: preloaded, it delays writes and syncs by the milliseconds that two files say.
 * SLOW_DISK names the folder of the files `write` and `sync`; one that is not there delays nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_as_told(const char *what) {
    const char *folder = getenv("SLOW_DISK");
    char path[4096], text[16] = {0};
    if (folder == NULL || snprintf(path, sizeof path, "%s/%s", folder, what) >= (int)sizeof path)
        return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length > 0)
        usleep((useconds_t)atoi(text) * 1000);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    wait_as_told("write");
    return real(file, bytes, count, at);
}

int fdatasync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_as_told("sync");
    return real(file);
}
