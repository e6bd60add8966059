/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/home_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define FOLDER (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NEW_FILE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

static int open_folder(int in, const char *name)
{
    int fd = openat(in, name, FOLDER);

    if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP))
        return fd;
    if (errno != ENOENT)
        (void)unlinkat(in, name, 0);
    if (mkdirat(in, name, 0700) < 0 && errno != EEXIST)
        return -1;
    return openat(in, name, FOLDER);
}

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left) {
        ssize_t wrote = write(fd, text, left);

        if (wrote < 0 && errno != EINTR)
            return -1;
        if (wrote > 0) {
            text += wrote;
            left -= (size_t)wrote;
        }
    }
    return 0;
}

int home_file_write(const struct workspace *workspace, const char *path, const char *text,
                    struct err *err)
{
    scoped_fd folder = open(workspace_agent_home(workspace), FOLDER);
    scoped_fd file = -1;
    const char *name = path;

    for (const char *slash; folder >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
        scoped_str part = xstrndup(name, (size_t)(slash - name));
        int inner = open_folder(folder, part);

        (void)close(folder);
        folder = inner;
    }
    if (folder >= 0 && (unlinkat(folder, name, 0) == 0 || errno == ENOENT))
        file = openat(folder, name, NEW_FILE, 0600);
    if (file < 0 || write_all(file, text) < 0)
        return err_set_errno(err, errno, "writing ~/%s for the agent", path);
    return 0;
}

int home_file_write_json(const struct workspace *workspace, const char *path, cJSON *document,
                         struct err *err)
{
    scoped_json owned = document;
    scoped_str text = json_text(owned);

    return home_file_write(workspace, path, text, err);
}
