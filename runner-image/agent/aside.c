/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define ASIDE "aside"
#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* Deeper than repositories are, and far from what a stack holds. */
#define DEPTH_MAX 64

/* The folder that the checkout is in, which is ours. */
static int open_root(const struct workspace *workspace)
{
    const char *checkout = workspace_checkout(workspace);
    scoped_str root = xstrndup(checkout, (size_t)(strrchr(checkout, '/') - checkout));

    return open(root, FOLDER);
}

int aside_put(const struct workspace *workspace, const char *const *names, int *out_moved,
              struct err *err)
{
    scoped_fd root = open_root(workspace);
    scoped_fd checkout = open(workspace_checkout(workspace), FOLDER);
    scoped_fd aside = -1;
    int moved = 0;

    if (root >= 0 && (mkdirat(root, ASIDE, 0700) == 0 || errno == EEXIST))
        aside = openat(root, ASIDE, FOLDER);
    if (checkout < 0 || aside < 0)
        return err_set_errno(err, errno, "a folder beside the checkout");
    for (; *names; names++) {
        if (renameat(checkout, *names, aside, *names) == 0)
            moved++;
        else if (errno != ENOENT)
            return err_set_errno(err, errno, "putting %s aside", *names);
    }
    *out_moved = moved;
    return 0;
}

static int put_back_all(int from, int to, int depth, struct err *err);

/* Something of that name is there again: folders become one, anything else stays the agent's.
 */
static int merge(int from, int to, const char *name, int depth, struct err *err)
{
    scoped_fd ours = openat(from, name, FOLDER);
    scoped_fd theirs = openat(to, name, FOLDER);

    if (ours < 0 || theirs < 0 || depth == DEPTH_MAX)
        return 0;
    return put_back_all(TAKE_FD(ours), theirs, depth + 1, err);
}

/* Takes `from`. */
static int put_back_all(int from, int to, int depth, struct err *err)
{
    DIR *entries = fdopendir(from);
    int result = 0;

    if (!entries) {
        (void)close(from);
        return err_set_errno(err, errno, "reading what was put aside");
    }
    for (struct dirent *entry; result == 0 && (entry = readdir(entries));) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
            continue;
        result = errno == EEXIST ? merge(from, to, name, depth, err)
                                 : err_set_errno(err, errno, "putting %s back", name);
    }
    (void)closedir(entries);
    return result;
}

int aside_put_back(const struct workspace *workspace, struct err *err)
{
    scoped_fd root = open_root(workspace);
    scoped_fd checkout = open(workspace_checkout(workspace), FOLDER);
    scoped_fd aside = root < 0 ? -1 : openat(root, ASIDE, FOLDER);

    if (aside < 0 && root >= 0 && errno == ENOENT)
        return 0;
    if (checkout < 0 || aside < 0)
        return err_set_errno(err, errno, "putting back what was put aside");
    return put_back_all(TAKE_FD(aside), checkout, 0, err);
}
