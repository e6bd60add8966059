/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/oom_kills.h"

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
static int64_t count_of(const char *line)
{
    const char *path = strrchr(line, ':');
    scoped_str file = NULL;
    int64_t count;

    if (!path)
        return -1;
    path++;
    if (strncmp(line, "0::", 3) == 0) {
        file = xasprintf("/sys/fs/cgroup%s/memory.events", path);
        count = read_count(file);
        return count >= 0 ? count : read_count("/sys/fs/cgroup/memory.events");
    }
    if (!strstr(line, ":memory:"))
        return -1;
    file = xasprintf("/sys/fs/cgroup/memory%s/memory.oom_control", path);
    count = read_count(file);
    return count >= 0 ? count : read_count("/sys/fs/cgroup/memory/memory.oom_control");
}

int64_t oom_kills(void)
{
    scoped_file groups = fopen("/proc/self/cgroup", "re");
    scoped_str line = NULL;
    size_t room = 0;
    int64_t count = -1;

    while (count < 0 && groups && getline(&line, &room, groups) > 0) {
        line[strcspn(line, "\n")] = '\0';
        count = count_of(line);
    }
    return count;
}
