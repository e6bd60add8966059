/* SPDX-License-Identifier: Apache-2.0 */
#include "git/saved_base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "git/file_copy.h"

/* A clone makes one pack of two files; shallow and index make four. */
#define FILES_MAX 16
#define PACK_DIR "objects/pack"

struct saved_file {
    char *path; /* below the git directory */
    int fd;
};

struct saved_base {
    struct saved_file files[FILES_MAX];
    size_t n_files;
};

void saved_base_free(struct saved_base *saved)
{
    if (!saved)
        return;
    for (size_t i = 0; i < saved->n_files; i++) {
        (void)close(saved->files[i].fd);
        free(saved->files[i].path);
    }
    free(saved);
}

/* Linking it back by name needs O_TMPFILE; a filesystem without costs a second copy. */
static int open_nameless(const char *dir, struct err *err)
{
    scoped_str path = NULL;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    path = xasprintf("%s/.saved-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno, "a file in %s", dir);
    (void)unlink(path);
    return fd;
}

static int take_file(struct saved_base *saved, const char *git_dir, const char *path,
                     const char *beside, bool required, struct err *err)
{
    scoped_str full = xasprintf("%s/%s", git_dir, path);
    scoped_fd from = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    scoped_fd to = -1;

    if (from < 0 && errno == ENOENT && !required)
        return 0;
    if (from < 0)
        return err_set_errno(err, errno, "%s", full);
    if (saved->n_files == FILES_MAX)
        return err_set(err, ERR_INTERNAL, "%s holds more than one clone leaves", git_dir);
    to = open_nameless(beside, err);
    if (to < 0 || file_copy(from, to, err) < 0)
        return -1;
    saved->files[saved->n_files++] = (struct saved_file){xstrdup(path), TAKE_FD(to)};
    return 0;
}

static bool belongs_to_pack(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && (strcmp(dot, ".pack") == 0 || strcmp(dot, ".idx") == 0);
}

static int take_packs(struct saved_base *saved, const char *git_dir, const char *beside,
                      struct err *err)
{
    scoped_str dir_path = xasprintf("%s/" PACK_DIR, git_dir);
    DIR *dir = opendir(dir_path);
    struct dirent *entry;
    int result = 0;

    if (!dir)
        return err_set_errno(err, errno, "%s", dir_path);
    while (result == 0 && (entry = readdir(dir)) != NULL) {
        scoped_str path = xasprintf(PACK_DIR "/%s", entry->d_name);

        if (belongs_to_pack(entry->d_name))
            result = take_file(saved, git_dir, path, beside, true, err);
    }
    (void)closedir(dir);
    return result;
}

struct saved_base *saved_base_take(const char *git_dir, const char *beside, struct err *err)
{
    scoped(saved_base) saved = xcalloc(1, sizeof(*saved));

    if (take_packs(saved, git_dir, beside, err) < 0
        || take_file(saved, git_dir, "shallow", beside, false, err) < 0
        || take_file(saved, git_dir, "index", beside, true, err) < 0)
        return NULL;
    return TAKE(saved);
}

/* As old as what was saved: git compares the times of files with that of its index, and a
 * younger one would hide edits made in the second of the clone. */
static int copy_time(int from, int to)
{
    struct stat seen;
    struct timespec times[2];

    if (fstat(from, &seen) < 0)
        return -1;
    times[0] = seen.st_atim;
    times[1] = seen.st_mtim;
    return futimens(to, times);
}

static int restore_file(const struct saved_file *file, const char *git_dir, struct err *err)
{
    scoped_str full = xasprintf("%s/%s", git_dir, file->path);
    scoped_str by_fd = xasprintf("/proc/self/fd/%d", file->fd);
    scoped_fd to = -1;

    if (linkat(AT_FDCWD, by_fd, AT_FDCWD, full, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    to = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return err_set_errno(err, errno, "%s", full);
    if (lseek(file->fd, 0, SEEK_SET) < 0)
        return err_set_errno(err, errno, "%s", full);
    if (file_copy(file->fd, to, err) < 0)
        return -1;
    return copy_time(file->fd, to) < 0 ? err_set_errno(err, errno, "%s", full) : 0;
}

int saved_base_restore(struct saved_base *saved, const char *git_dir, struct err *err)
{
    for (size_t i = 0; i < saved->n_files; i++) {
        if (restore_file(&saved->files[i], git_dir, err) < 0)
            return -1;
    }
    return 0;
}
