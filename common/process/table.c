/* SPDX-License-Identifier: Apache-2.0 */
#include "process/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

static int by_pid(const void *a, const void *b)
{
    const pid_t *left = a;
    const pid_t *right = b;

    return (*left > *right) - (*left < *right);
}

static void add_pid(struct process_list *list, pid_t pid)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->pids = xrealloc(list->pids, list->room * sizeof(*list->pids));
    }
    list->pids[list->count++] = pid;
}

/* Only numbers: that is quick enough to come to an end although /proc goes on by rising pids
 * and a fork bomb adds others ahead of us. */
int process_list_read(struct process_list *list, struct err *err)
{
    __attribute__((cleanup(close_folder))) DIR *folder = opendir("/proc");
    struct dirent *file;

    if (!folder)
        return err_set_errno(err, errno, "/proc");
    list->count = 0;
    while ((file = readdir(folder))) {
        char *end;
        long pid = strtol(file->d_name, &end, 10);

        if (pid > 0 && !*end)
            add_pid(list, (pid_t)pid);
    }
    if (list->count)
        qsort(list->pids, list->count, sizeof(*list->pids), by_pid);
    return 0;
}

void process_list_done(struct process_list *list)
{
    free(list->pids);
    *list = (struct process_list){0};
}

/* proc(5): "pid (name) state parent group ..."; the name may hold anything, so it ends at the
 * last bracket. */
bool process_entry_parse(const char *text, struct process_entry *out)
{
    const char *end_of_name = strrchr(text, ')');
    char state = '\0';

    if (!end_of_name
        || sscanf(end_of_name + 1, " %c %d %d", &state, &out->parent, &out->group) != 3)
        return false;
    out->alive = state != 'Z' && state != 'X';
    return true;
}

bool process_entry_read(pid_t pid, struct process_entry *out)
{
    char path[32];
    char text[512];
    ssize_t got;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    got = read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return process_entry_parse(text, out);
}

bool process_group_alive(pid_t group)
{
    scoped_process_list all = {0};
    struct err ignored = {0};

    if (process_list_read(&all, &ignored) < 0)
        return false;
    for (size_t i = 0; i < all.count; i++) {
        struct process_entry one;

        if (process_entry_read(all.pids[i], &one) && one.group == group && one.alive)
            return true;
    }
    return false;
}
