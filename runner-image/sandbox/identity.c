/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "process/table.h"

/* Each set of 32 is a word of its own; all of these are in the first. */
#define NEEDED                                                                                 \
    (1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE            \
     | 1U << CAP_FOWNER | 1U << CAP_KILL)

static bool has_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & NEEDED) == NEEDED;
}

/* A line is "first-inside first-outside count". */
static bool is_mapped(const char *map, unsigned long id)
{
    scoped_file file = fopen(map, "re");
    scoped_str line = NULL;
    size_t room = 0;

    while (file && getline(&line, &room, file) > 0) {
        char *rest;
        unsigned long first = strtoul(line, &rest, 10);
        unsigned long count;

        (void)strtoul(rest, &rest, 10);
        count = strtoul(rest, NULL, 10);
        if (id >= first && id - first < count)
            return true;
    }
    return false;
}

bool identity_may_become(uid_t uid)
{
    return has_capabilities() && is_mapped("/proc/self/uid_map", uid)
           && is_mapped("/proc/self/gid_map", uid);
}

uid_t identity_for_agent(void)
{
    return IDENTITY_FIRST_UID + (uid_t)getpid();
}

bool identity_reaches(uid_t uid, const char *path)
{
    scoped_str real = realpath(path, NULL);
    struct stat seen;

    if (!real)
        return errno == ENOENT;
    for (char *slash = strrchr(real, '/'); slash; slash = strrchr(real, '/')) {
        *slash = '\0';
        if (stat(*real ? real : "/", &seen) < 0)
            return false;
        if (!(seen.st_mode & (seen.st_uid == uid ? S_IXUSR : S_IXOTH)))
            return false;
        if (!*real)
            break;
    }
    return true;
}

int identity_give(const char *directory, uid_t uid, struct err *err)
{
    scoped_str root = xstrdup(directory);
    char *const roots[] = {root, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV | FTS_NOSTAT, NULL);
    int result = 0;

    if (!walk)
        return err_set_errno(err, errno, "%s", directory);
    for (FTSENT *at; result == 0 && (at = fts_read(walk));) {
        if (at->fts_info == FTS_DP)
            continue;
        if (at->fts_info == FTS_ERR || at->fts_info == FTS_DNR)
            result = err_set_errno(err, at->fts_errno, "%s", at->fts_path);
        else if (lchown(at->fts_path, uid, (gid_t)uid) < 0)
            result = err_set_errno(err, errno, "giving %s away", at->fts_path);
    }
    (void)fts_close(walk);
    return result;
}

/* --- Counting ----------------------------------------------------------------------------- */

static unsigned tasks_of(pid_t pid, uid_t uid)
{
    char path[64];
    scoped_str line = NULL;
    size_t room = 0;
    bool theirs = false;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    scoped_file status = fopen(path, "re");
    while (status && getline(&line, &room, status) > 0) {
        if (strncmp(line, "Uid:", 4) == 0)
            theirs = strtoul(line + 4, NULL, 10) == uid;
        else if (strncmp(line, "Threads:", 8) == 0)
            return theirs ? (unsigned)strtoul(line + 8, NULL, 10) : 0;
    }
    return 0;
}

unsigned identity_count_tasks(uid_t uid)
{
    scoped_process_list list = {0};
    struct err err = {0};
    unsigned count = 0;

    if (process_list_read(&list, &err) < 0)
        return 0;
    for (size_t i = 0; i < list.count; i++)
        count += tasks_of(list.pids[i], uid);
    return count;
}
