/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

#define REMOVE_WITHIN_MS 60000

/*
 * A tree is removed without recursion: directories found inside a child of the top are moved
 * up into the top, so that the work is never more than two levels deep. `top` is the
 * directory to be removed.
 */
struct removal {
    int top;
    uint64_t moved; /* also names what is moved up */
    uint64_t removed;
    int64_t until_ms;
    const atomic_bool *give_up;
};

static int open_dir(int at, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, name, flags);

    /* The owner may lock itself out of a directory; it may also let itself in again. */
    if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(at, name, flags);
    if (fd >= 0)
        (void)fchmod(fd, 0700);
    return fd;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int check_time(const struct removal *job, struct err *err)
{
    if (job->give_up && atomic_load(job->give_up))
        return err_set(err, ERR_UNAVAILABLE, "removing files: told to give up");
    if (clock_monotonic_ms() > job->until_ms)
        return err_set(err, ERR_TIMEOUT, "removing files takes too long");
    return 0;
}

/* 0: gone. 1: a directory that isn't empty. -1: errno says. */
static int remove_simple(int at, const char *name)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return errno == ENOTEMPTY || errno == EEXIST ? 1 : -1;
}

static int move_up(struct removal *job, int from, const char *name, struct err *err)
{
    for (;;) {
        char up[32];

        (void)snprintf(up, sizeof(up), ".up-%llu", (unsigned long long)job->moved++);
        if (renameat2(from, name, job->top, up, RENAME_NOREPLACE) == 0 || errno == ENOENT)
            return 0;
        /* Moving a directory writes its "..": it must be writable itself. */
        if (errno == EACCES && fchmodat(from, name, 0700, AT_SYMLINK_NOFOLLOW) == 0
            && renameat2(from, name, job->top, up, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return err_set_errno(err, errno, "removing a directory");
    }
}

typedef int (*entry_fn)(struct removal *job, int dir, const char *name, struct err *err);

/* Calls `each` for the entries of the directory `fd` (taken); the number seen, or -1. */
static int64_t walk(struct removal *job, int fd, entry_fn each, struct err *err)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;
    int64_t seen = 0;

    if (!dir) {
        (void)err_set_errno(err, errno, "reading a directory");
        (void)close(fd);
        return -1;
    }
    while (seen >= 0 && (entry = readdir(dir))) {
        if (is_dots(entry->d_name))
            continue;
        seen++;
        if (check_time(job, err) < 0 || each(job, dirfd(dir), entry->d_name, err) < 0)
            seen = -1;
    }
    (void)closedir(dir);
    return seen;
}

static int remove_or_move_up(struct removal *job, int dir, const char *name, struct err *err)
{
    int left = remove_simple(dir, name);

    if (left < 0)
        return err_set_errno(err, errno, "removing a file");
    job->removed++;
    return left ? move_up(job, dir, name, err) : 0;
}

static int remove_entry_of_top(struct removal *job, int top, const char *name, struct err *err)
{
    int left = remove_simple(top, name);
    int fd;

    if (left == 0) {
        job->removed++;
        return 0;
    }
    if (left < 0)
        return err_set_errno(err, errno, "removing a file");
    fd = open_dir(top, name);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening a directory");
    if (walk(job, fd, remove_or_move_up, err) < 0)
        return -1;
    /* Not empty once more: someone still writes there; the next pass sees. */
    if (unlinkat(top, name, AT_REMOVEDIR) == 0)
        job->removed++;
    return 0;
}

/* Passes over the top until one finds it empty. */
static int empty_top(struct removal *job, struct err *err)
{
    for (;;) {
        uint64_t before = job->removed;
        int fd = openat(job->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int64_t seen;

        if (fd < 0)
            return err_set_errno(err, errno, "opening a directory");
        seen = walk(job, fd, remove_entry_of_top, err);
        if (seen <= 0)
            return (int)seen;
        if (job->removed == before)
            return err_set(err, ERR_INTERNAL, "removing files: no progress");
    }
}

int tree_remove(int dir_fd, const char *name, const atomic_bool *give_up, struct err *err)
{
    struct removal job = {
        .until_ms = clock_monotonic_ms() + REMOVE_WITHIN_MS,
        .give_up = give_up,
    };
    int left = remove_simple(dir_fd, name);
    scoped_fd top = -1;

    if (left == 0)
        return 0;
    if (left < 0)
        return err_set_errno(err, errno, "removing %s", name);
    top = open_dir(dir_fd, name);
    if (top < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening %s", name);
    job.top = top;
    if (empty_top(&job, err) < 0)
        return err_wrap(err, "%s", name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_set_errno(err, errno, "removing %s", name);
    return 0;
}
