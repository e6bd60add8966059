/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * For LD_PRELOAD: a disk that takes $BENCH_FSYNC_US (1000) longer to say that it has written.
 * The machines that benches run on have disks that answer out of a cache.
 */
#define DEFAULT_US 1000

static void wait_for_disk(void)
{
    const char *text = getenv("BENCH_FSYNC_US");
    long us = text ? strtol(text, NULL, 10) : DEFAULT_US;
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static int sync_with(const char *name, int fd)
{
    int (*real)(int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    wait_for_disk();
    return real(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}
