/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/work_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

static int make_dirs(const char *path, struct err *err)
{
    scoped_str partial = xstrdup(path);

    for (char *at = partial + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(partial, 0755) < 0 && errno != EEXIST)
            return err_set_field(err, "work_dir", "can't make %s: %s", partial,
                                 strerror(errno));
        *at = '/';
    }
    if (mkdir(path, JOB_DIR_MODE) < 0 && errno != EEXIST)
        return err_set_field(err, "work_dir", "can't make %s: %s", path, strerror(errno));
    return 0;
}

/* By trying: permissions don't tell of a read-only or full disk. */
static int check_writable(const struct work_dir *work, struct err *err)
{
    char probe[64];

    (void)snprintf(probe, sizeof(probe), "probe-%d", (int)getpid());
    if ((mkdirat(work->fd, probe, 0700) < 0 && errno != EEXIST)
        || unlinkat(work->fd, probe, AT_REMOVEDIR) < 0)
        return err_set_field(err, "work_dir", "can't write in %s: %s", work->path,
                             strerror(errno));
    return 0;
}

int work_dir_open(struct work_dir *out, const char *path, struct err *err)
{
    *out = (struct work_dir){.fd = -1};
    if (!path || !*path)
        return err_set_field(err, "work_dir", "can't be empty");
    if (make_dirs(path, err) < 0)
        return -1;
    out->path = realpath(path, NULL);
    if (out->path)
        out->fd = open(out->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0) {
        (void)err_set_field(err, "work_dir", "can't open %s: %s", path, strerror(errno));
        work_dir_close(out);
        return -1;
    }
    if (check_writable(out, err) < 0) {
        work_dir_close(out);
        return -1;
    }
    return 0;
}

void work_dir_close(struct work_dir *work)
{
    if (work->fd >= 0)
        (void)close(work->fd);
    free(work->path);
    *work = (struct work_dir){.fd = -1};
}

int work_dir_open_job(const struct work_dir *work, const char *ref)
{
    return openat(work->fd, ref, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int work_dir_read_tail(int job_dir, const char *name, size_t limit, struct buf *out,
                       struct err *err)
{
    scoped_fd fd =
        openat(job_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char chunk[16384];
    struct stat st;
    size_t had = out->size;

    if (fd < 0)
        return err_set_errno(err, errno, "%s", name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_NOT_FOUND, "%s is not a file", name);
    if (st.st_size > (off_t)limit && lseek(fd, st.st_size - (off_t)limit, SEEK_SET) < 0)
        return err_set_errno(err, errno, "%s", name);
    while (out->size - had < limit) {
        size_t room = limit - (out->size - had);
        ssize_t got = read(fd, chunk, room < sizeof(chunk) ? room : sizeof(chunk));

        if (got < 0 && errno != EINTR)
            return err_set_errno(err, errno, "%s", name);
        if (got == 0)
            break;
        if (got > 0)
            buf_append(out, chunk, (size_t)got);
    }
    return 0;
}
