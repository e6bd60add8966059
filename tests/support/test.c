/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/scoped.h"

char *test_dir_new(void)
{
    const char *under = getenv("TMPDIR");
    char *path = xasprintf("%s/dispatch-test-XXXXXX", under && *under ? under : "/tmp");

    if (!mkdtemp(path))
        fail_msg("can't make %s", path);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void test_dir_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void test_file_write(const char *dir, const char *name, const char *text)
{
    scoped_str path = xasprintf("%s/%s", dir, name);
    FILE *out = fopen(path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out) != 0)
        fail_msg("can't write %s", path);
}

int64_t test_cpu_us(void)
{
    struct timespec spent = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (int64_t)spent.tv_sec * 1000000 + spent.tv_nsec / 1000;
}
