/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/trusted_path.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define USUAL_PATH "/usr/local/bin:/usr/bin:/bin"

static bool out_of_reach(const char *folder)
{
    uid_t us = geteuid();
    struct stat seen;

    if (stat(folder, &seen) < 0 || !S_ISDIR(seen.st_mode) || (seen.st_mode & S_IWOTH))
        return false;
    if (us == 0)
        return seen.st_uid == 0;
    return seen.st_uid != us && access(folder, W_OK) < 0;
}

/* It and all above it; `folder` is resolved, and shortened on the way. */
static bool all_out_of_reach(char *folder)
{
    while (out_of_reach(folder)) {
        char *slash = strrchr(folder, '/');

        if (!slash || !folder[1])
            return true;
        slash[slash == folder] = '\0';
    }
    return false;
}

char *trusted_path(const char *path)
{
    scoped_buf kept = {0};

    for (const char *at = path ? path : ""; *at; at += *at == ':') {
        size_t length = strcspn(at, ":");
        scoped_str folder = xstrndup(at, length);
        scoped_str real = *folder == '/' ? realpath(folder, NULL) : NULL;
        scoped_str walked = xstrdup(real);

        if (real && !strchr(real, ':') && all_out_of_reach(walked))
            buf_printf(&kept, "%s%s", kept.size ? ":" : "", real);
        at += length;
    }
    return kept.size ? buf_take(&kept) : xstrdup(USUAL_PATH);
}
