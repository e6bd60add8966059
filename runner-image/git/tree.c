/* SPDX-License-Identifier: Apache-2.0 */
#include "git/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"

/* Descriptors held at once while deleting; what lies deeper is moved up first. */
#define REMOVE_DEPTH_MAX 64

static void scoped_close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}
#define scoped_dir __attribute__((cleanup(scoped_close_dir))) DIR *

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Opens a directory by name, and makes it ours to read and change if its mode says no. */
static int open_dir(int parent_fd, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat seen;

    if (fstatat(parent_fd, name, &seen, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (!S_ISDIR(seen.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    if ((seen.st_mode & S_IRWXU) != S_IRWXU
        && fchmodat(parent_fd, name, (seen.st_mode & 07777) | S_IRWXU, 0) < 0)
        return -1;
    return openat(parent_fd, name, flags);
}

/* The same for one that is open already. */
static void open_up(int dir_fd)
{
    struct stat seen;

    if (fstat(dir_fd, &seen) == 0 && (seen.st_mode & S_IRWXU) != S_IRWXU
        && fchmod(dir_fd, (seen.st_mode & 07777) | S_IRWXU) < 0)
        return; /* reading it will say why */
}

/* A stream over a directory that is already open; the descriptor stays the caller's. */
static DIR *list_dir(int dir_fd)
{
    int again = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);

    if (!dir && again >= 0)
        (void)close(again);
    return dir;
}

static bool is_dir(int parent_fd, const struct dirent *entry)
{
    struct stat seen;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(parent_fd, entry->d_name, &seen, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISDIR(seen.st_mode);
}

/* --- Deleting ---------------------------------------------------------------------------- */

struct removal {
    int top_fd;
    int depth;
    unsigned moved_up; /* directories that were too deep and are now below the top */
    struct err *err;
};

static void note(struct removal *removal, const char *name)
{
    if (removal->err->kind == ERR_NONE)
        err_set_errno(removal->err, errno, "removing %.200s", name);
}

static void remove_all(struct removal *removal, int dir_fd);

static void move_up(struct removal *removal, int parent_fd, const char *name)
{
    char up[64];

    do {
        (void)snprintf(up, sizeof(up), ".too-deep-%u", removal->moved_up++);
    } while (faccessat(removal->top_fd, up, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(parent_fd, name, removal->top_fd, up) < 0)
        note(removal, name);
}

static void remove_dir(struct removal *removal, int parent_fd, const char *name)
{
    scoped_fd fd = open_dir(parent_fd, name);

    if (fd >= 0 && removal->depth >= REMOVE_DEPTH_MAX) {
        move_up(removal, parent_fd, name);
        return;
    }
    if (fd >= 0) {
        removal->depth++;
        remove_all(removal, fd);
        removal->depth--;
    }
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
        note(removal, name);
}

static void remove_all(struct removal *removal, int dir_fd)
{
    scoped_dir dir = list_dir(dir_fd);
    struct dirent *entry;

    if (!dir) {
        note(removal, "a directory");
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (is_dots(entry->d_name))
            continue;
        if (is_dir(dir_fd, entry))
            remove_dir(removal, dir_fd, entry->d_name);
        else if (unlinkat(dir_fd, entry->d_name, 0) < 0)
            note(removal, entry->d_name);
    }
}

int tree_remove_contents(int dir_fd, struct err *err)
{
    struct err problem = {0};
    struct removal removal = {.top_fd = dir_fd, .err = &problem};
    unsigned moved_before;

    open_up(dir_fd);
    do {
        moved_before = removal.moved_up;
        remove_all(&removal, dir_fd);
    } while (removal.moved_up != moved_before && problem.kind == ERR_NONE);
    if (problem.kind == ERR_NONE)
        return 0;
    *err = problem;
    return -1;
}

/* --- What can't be committed ------------------------------------------------------------- */

struct git_walk {
    struct nested_git *out;
    struct buf path; /* where we are, "" or "a/b/" */
    int depth;
    struct err *err;
};

static int remove_git_entry(struct git_walk *walk, int dir_fd, const struct dirent *entry)
{
    if (!walk->out->removed++)
        (void)snprintf(walk->out->first, sizeof(walk->out->first), "%s%s",
                       walk->path.data ? walk->path.data : "", entry->d_name);
    if (is_dir(dir_fd, entry)) {
        scoped_fd fd = open_dir(dir_fd, entry->d_name);

        if (fd < 0)
            return err_set_errno(walk->err, errno, "opening %s", walk->out->first);
        if (tree_remove_contents(fd, walk->err) < 0)
            return -1;
        if (unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR) < 0)
            return err_set_errno(walk->err, errno, "removing %s", walk->out->first);
    } else if (unlinkat(dir_fd, entry->d_name, 0) < 0) {
        return err_set_errno(walk->err, errno, "removing %s", walk->out->first);
    }
    return 0;
}

/* A pipe, socket or device. */
static bool is_special(int parent_fd, const struct dirent *entry)
{
    struct stat seen;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type != DT_REG && entry->d_type != DT_LNK && entry->d_type != DT_DIR;
    return fstatat(parent_fd, entry->d_name, &seen, AT_SYMLINK_NOFOLLOW) == 0
           && !S_ISREG(seen.st_mode) && !S_ISLNK(seen.st_mode) && !S_ISDIR(seen.st_mode);
}

static int remove_special(struct git_walk *walk, int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) < 0)
        return err_set_errno(walk->err, errno, "removing %s%s",
                             walk->path.data ? walk->path.data : "", name);
    return 0;
}

static int walk_dir(struct git_walk *walk, int dir_fd);

static int walk_into(struct git_walk *walk, int parent_fd, const char *name)
{
    size_t before = walk->path.size;
    scoped_fd fd = open_dir(parent_fd, name);
    int result;

    if (fd < 0)
        return err_set_errno(walk->err, errno, "opening %s%s",
                             walk->path.data ? walk->path.data : "", name);
    if (walk->depth >= TREE_DEPTH_MAX)
        return err_set(walk->err, ERR_INVALID, "directories are nested deeper than %d",
                       TREE_DEPTH_MAX);
    buf_append_str(&walk->path, name);
    buf_append_str(&walk->path, "/");
    walk->depth++;
    result = walk_dir(walk, fd);
    walk->depth--;
    walk->path.size = before;
    walk->path.data[before] = '\0';
    return result;
}

static int walk_dir(struct git_walk *walk, int dir_fd)
{
    scoped_dir dir = list_dir(dir_fd);
    struct dirent *entry;

    if (!dir)
        return err_set_errno(walk->err, errno, "reading %s",
                             walk->path.data ? walk->path.data : ".");
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (is_dots(name) || (!walk->depth && strcmp(name, ".git") == 0))
            continue;
        if (strcasecmp(name, ".git") == 0) {
            if (remove_git_entry(walk, dir_fd, entry) < 0)
                return -1;
        } else if (is_special(dir_fd, entry)) {
            if (remove_special(walk, dir_fd, name) < 0)
                return -1;
        } else if (is_dir(dir_fd, entry) && walk_into(walk, dir_fd, name) < 0) {
            return -1;
        }
    }
    return 0;
}

int tree_remove_uncommittable(int checkout_fd, struct nested_git *out, struct err *err)
{
    struct git_walk walk = {.out = out, .err = err};
    int result;

    *out = (struct nested_git){0};
    open_up(checkout_fd);
    result = walk_dir(&walk, checkout_fd);
    buf_done(&walk.path);
    return result;
}
