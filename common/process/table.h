/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_TABLE_H
#define PROCESS_TABLE_H
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The processes of this machine as /proc shows them: first their numbers, then one by one who
 * they are. Not a snapshot: whoever starts or ends meanwhile may be missing.
 */
struct process_list {
    pid_t *pids; /* rising */
    size_t count;
    size_t room;
};

#define scoped_process_list __attribute__((cleanup(process_list_done))) struct process_list

/* Reads the numbers anew; the room is used again. */
int process_list_read(struct process_list *list, struct err *err) CHECKED;
void process_list_done(struct process_list *list);

struct process_entry {
    pid_t parent;
    pid_t group;
    bool alive; /* a zombie isn't */
};

/* False when it is gone. */
bool process_entry_read(pid_t pid, struct process_entry *out) CHECKED;
/* The same of what its stat file says. */
bool process_entry_parse(const char *text, struct process_entry *out) CHECKED;

/* Is anyone in this group alive? */
bool process_group_alive(pid_t group);
#endif
