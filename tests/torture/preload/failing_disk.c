/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * For LD_PRELOAD: a disk that is full or broken, on order. FAILING_DISK names a file that holds
 * a struct order, mapped by us and by who gives the orders; FAILING_DISK_UNDER the directory
 * whose files are on that disk. What is written, synced or cut there is counted, and the nth
 * fails. A full disk takes the first half of the first write that doesn't fit, as they do.
 */
enum { KIND_WRITE, KIND_SYNC, KIND_CUT, N_KINDS };
enum { FILE_DATABASE, FILE_WAL, FILE_SHARED, FILE_OTHER, N_FILES };

struct order {
    int64_t nth; /* of what counts, from when this was set; 0: nothing fails */
    int64_t error;
    int64_t lasting; /* and all that follow */
    int64_t files;   /* a bit for each of FILE_ that counts */
    int64_t seen;
    int64_t failed;
    int64_t failed_kinds[N_KINDS];
    int64_t failed_files[N_FILES];
};

#define PATH_SIZE 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct order *order;
static const char *under;

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("FAILING_DISK");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd < 0
                       ? MAP_FAILED
                       : mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        (void)close(fd);
    under = getenv("FAILING_DISK_UNDER");
    if (mapped != MAP_FAILED && under)
        order = mapped;
}

/* -1: not on that disk. */
static int file_of(int fd)
{
    char link[64];
    char path[PATH_SIZE];
    size_t length = strlen(under);
    ssize_t size;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof(path) - 1);
    if (size < (ssize_t)length + 1 || strncmp(path, under, length) != 0 || path[length] != '/')
        return -1;
    path[size] = '\0';
    if (strstr(path, ".db-wal"))
        return FILE_WAL;
    if (strstr(path, ".db-shm"))
        return FILE_SHARED;
    return size > 3 && strcmp(path + size - 3, ".db") == 0 ? FILE_DATABASE : FILE_OTHER;
}

/* Does it fail? Then errno says why; *out_first: it is the first one. */
static bool fails(int fd, int kind, bool *out_first)
{
    int file = order && order->nth ? file_of(fd) : -1;
    int64_t past = -1;

    *out_first = false;
    if (file < 0 || !(order->files >> file & 1))
        return false;
    (void)pthread_mutex_lock(&lock);
    if (order->nth)
        past = ++order->seen - order->nth;
    if (past == 0 || (past > 0 && order->lasting)) {
        order->failed++;
        order->failed_kinds[kind]++;
        order->failed_files[file]++;
        *out_first = past == 0;
        errno = (int)order->error;
    } else {
        past = -1;
    }
    (void)pthread_mutex_unlock(&lock);
    return past >= 0;
}

/* How much of `size` is written, or -1. */
static ssize_t takes(int fd, size_t size)
{
    bool first;

    if (!fails(fd, KIND_WRITE, &first))
        return (ssize_t)size;
    return first && order->lasting && errno == ENOSPC && size > 1 ? (ssize_t)(size / 2) : -1;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    ssize_t (*below)(int, const void *, size_t) = NULL;
    ssize_t most = takes(fd, size);

    *(void **)&below = real("write");
    return most < 0 ? -1 : below(fd, bytes, (size_t)most);
}

static ssize_t write_at(const char *name, int fd, const void *bytes, size_t size, off_t at)
{
    ssize_t (*below)(int, const void *, size_t, off_t) = NULL;
    ssize_t most = takes(fd, size);

    *(void **)&below = real(name);
    return most < 0 ? -1 : below(fd, bytes, (size_t)most, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return write_at("pwrite", fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return write_at("pwrite64", fd, bytes, size, at);
}

static int sync_with(const char *name, int fd)
{
    int (*below)(int) = NULL;
    bool first;

    *(void **)&below = real(name);
    return fails(fd, KIND_SYNC, &first) ? -1 : below(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}

static int cut_with(const char *name, int fd, off_t size)
{
    int (*below)(int, off_t) = NULL;
    bool first;

    *(void **)&below = real(name);
    return fails(fd, KIND_CUT, &first) ? -1 : below(fd, size);
}

int ftruncate(int fd, off_t size)
{
    return cut_with("ftruncate", fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return cut_with("ftruncate64", fd, size);
}
