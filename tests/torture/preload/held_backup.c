/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * For LD_PRELOAD: a backup that doesn't get on. Where `dispatchd backup` first rests, between
 * two pieces of the copy, the file NAME.held is made, and it rests until NAME.go is there; NAME
 * is what HELD_BACKUP says.
 */
#define LOOK_EVERY_US 10000
#define PATH_SIZE 4096

typedef int (*usleep_fn)(useconds_t);

int usleep(useconds_t us)
{
    static int held;
    const char *name = getenv("HELD_BACKUP");
    char path[PATH_SIZE];
    usleep_fn real;
    int fd;

    *(void **)&real = dlsym(RTLD_NEXT, "usleep");
    if (!name || held)
        return real(us);
    held = 1;
    (void)snprintf(path, sizeof(path), "%s.held", name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
    (void)close(fd);
    (void)snprintf(path, sizeof(path), "%s.go", name);
    while (access(path, F_OK) < 0)
        (void)real(LOOK_EVERY_US);
    return 0;
}
