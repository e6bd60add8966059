/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of processes, which call themselves what they like: no name moves the fields
 * after it. And the lines of /proc/<pid>/cgroup. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fuzz.h"
#include "launch/proc_stat.h"
#include "process/table.h"
#include "sandbox/oom_kills.h"

#define FIELDS " R 11 22 33 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4400 1000\n"

static void parse(const char *text)
{
    struct process_entry entry = {0};
    struct proc_stat stat = {0};

    if (process_entry_parse(text, &entry) && proc_stat_parse(text, &stat)
        && entry.alive == proc_stat_is_dead(&stat) && stat.state != 'x')
        abort();
}

static void parse_with_name(const char *name)
{
    scoped_str text = xasprintf("77 (%s)" FIELDS, name);
    struct process_entry entry = {0};
    struct proc_stat stat = {0};

    if (!process_entry_parse(text, &entry) || entry.parent != 11 || entry.group != 22
        || !entry.alive)
        abort();
    if (!proc_stat_parse(text, &stat) || stat.session != 33 || stat.state != 'R'
        || stat.started_ms != 4400 * 1000 / sysconf(_SC_CLK_TCK))
        abort();
}

static void read_groups(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[32];

    if (fd < 0)
        fd = memfd_create("cgroup", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (oom_kills_of(path, "/nowhere") > 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_buf text = {0};

    buf_append(&text, data, size);
    buf_append(&text, "", 1);
    parse(text.data);
    parse_with_name(text.data);
    read_groups(data, size);
    return 0;
}
