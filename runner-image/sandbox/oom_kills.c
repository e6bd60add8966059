/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/oom_kills.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define COUNT_NAME "oom_kill "

/* Of a file with a "oom_kill <n>" line; -1. */
static int64_t read_count(const char *path)
{
    scoped_file file = fopen(path, "re");
    scoped_str line = NULL;
    size_t room = 0;

    while (file && getline(&line, &room, file) > 0)
        if (strncmp(line, COUNT_NAME, strlen(COUNT_NAME)) == 0)
            return strtoll(line + strlen(COUNT_NAME), NULL, 10);
    return -1;
}

/* "0::/path" (v2), "5:memory:/path" (v1). Inside a container the path may be the host's, and
 * then our group is the root of what is mounted. */
static int64_t count_of(const char *line, const char *mounted)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    bool unified = strncmp(line, "0::", 3) == 0;
    const char *controller = unified ? "" : "/memory";
    const char *name = unified ? "memory.events" : "memory.oom_control";
    scoped_str file = NULL;
    scoped_str of_root = NULL;
    int64_t count;

    if (!path || (!unified && !strstr(line, ":memory:")))
        return -1;
    file = xasprintf("%s%s%s/%s", mounted, controller, path + 1, name);
    of_root = xasprintf("%s%s/%s", mounted, controller, name);
    count = read_count(file);
    return count >= 0 ? count : read_count(of_root);
}

int64_t oom_kills_of(const char *groups, const char *mounted)
{
    scoped_file file = fopen(groups, "re");
    scoped_str line = NULL;
    size_t room = 0;
    int64_t count = -1;

    while (count < 0 && file && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        count = count_of(line, mounted);
    }
    return count;
}

int64_t oom_kills(void)
{
    return oom_kills_of("/proc/self/cgroup", "/sys/fs/cgroup");
}
