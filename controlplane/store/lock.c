/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"

#define LOOK_EVERY_MS 20

struct store_lock {
    int fd; /* -1 for ":memory:", which nobody else can open */
};

int store_lock_make_folder(const char *database, struct err *err)
{
    scoped_str part = xstrdup(database);

    for (char *at = strchr(part + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_set_errno(err, errno, "%s", part);
        *at = '/';
    }
    return 0;
}

/* The lock belongs to the file itself, under whatever name it was given: through a link, or
 * relative to some directory. */
static char *lock_path(const char *database, struct err *err)
{
    scoped_str real = realpath(database, NULL);
    scoped_str copy = xstrdup(database);
    scoped_str copy_2 = xstrdup(database);
    scoped_str directory = NULL;

    if (real)
        return xasprintf("%s.lock", real);
    if (errno == ENOMEM) /* a link isn't to be taken for the file */
        out_of_memory();
    directory = realpath(dirname(copy), NULL);
    if (!directory) {
        (void)err_set_errno(err, errno, "%s", database);
        return NULL;
    }
    return xasprintf("%s/%s.lock", directory, basename(copy_2));
}

/* Waits for at most wait_ms. -1 with errno. */
static int lock_within(int fd, int wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK || clock_monotonic_ms() >= until_ms)
            return -1;
        (void)usleep(LOOK_EVERY_MS * 1000);
    }
    return 0;
}

static int in_use(int fd, const char *database, struct err *err)
{
    char holder[16] = "";
    ssize_t got = pread(fd, holder, sizeof(holder) - 1, 0);

    holder[got > 0 ? strspn(holder, "0123456789") : 0] = '\0';
    return err_set_code(err, ERR_CONFLICT, "database_in_use",
                        "the database %s is in use by process %s", database,
                        holder[0] ? holder : "(unknown)");
}

/* For people, and for the sentence of in_use; the lock itself is the kernel's. */
static void write_pid(int fd)
{
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)length, 0) < 0)
        return;
}

static int take(const char *database, int wait_ms, struct err *err)
{
    scoped_str path = NULL;
    scoped_fd fd = -1;

    if (store_lock_make_folder(database, err) < 0)
        return -1;
    path = lock_path(database, err);
    if (!path)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)err_set_errno(err, errno, "%s", path);
        if (errno == EROFS)
            err->kind = ERR_DENIED;
        return -1;
    }
    if (lock_within(fd, wait_ms) < 0)
        return errno == EWOULDBLOCK ? in_use(fd, database, err)
                                    : err_set_errno(err, errno, "locking %s", path);
    write_pid(fd);
    return TAKE_FD(fd);
}

struct store_lock *store_lock_take(const char *database, int wait_ms, struct err *err)
{
    struct store_lock *lock;
    int fd = -1;

    if (strcmp(database, ":memory:") != 0) {
        fd = take(database, wait_ms, err);
        if (fd < 0)
            return NULL;
    }
    lock = xcalloc(1, sizeof(*lock));
    lock->fd = fd;
    return lock;
}

/* The file stays: removing it would let two processes hold locks on two files of one name. */
void store_lock_free(struct store_lock *lock)
{
    if (!lock)
        return;
    if (lock->fd >= 0)
        (void)close(lock->fd);
    free(lock);
}
