/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_REACH_H
#define COMMAND_REACH_H
#include "config/config.h"

/*
 * What a serving dispatchd reaches, by its settings: folders it writes, files and folders it
 * reads now or later (what is replaced by another file of the same name is read through its
 * folder), the port it listens on, and whether it starts programs.
 */
struct reach_paths {
    char **all; /* NULL at the end */
    size_t count;
};

struct reach {
    struct reach_paths writable;
    struct reach_paths readable;
    struct reach_paths named;  /* files, that the settings name or the store keeps */
    struct reach_paths socket; /* the engine's */
    char *temporary;           /* where SQLite puts what doesn't fit into memory */
    const char *starts;        /* who starts programs; NULL: nobody does */
    int port;
};

/* The database's folder is made if it isn't there. A cluster's access that can't be read is
 * left for the launcher to complain about. ERR_... from errno. */
int reach_find(struct reach *out, const struct config *config, struct err *err) CHECKED;
void reach_done(struct reach *reach);
#define scoped_reach __attribute__((cleanup(reach_done))) struct reach

/* The first of `wanted`'s paths that is there and that `reach` has none above of; NULL: it has
 * them all. */
const char *reach_lacks(const struct reach *reach, const struct reach *wanted);
#endif
