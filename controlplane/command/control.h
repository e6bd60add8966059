/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_CONTROL_H
#define COMMAND_CONTROL_H
#include "config/config.h"
#include "store/db.h"
#include "json/json.h"

/*
 * Work on a database for the short subcommands. One process has it open: while a dispatchd
 * serves it, that one is asked over its control socket; else it is opened here, under its lock.
 */
struct control_call {
    const char *method;
    const char *path; /* "/admin/v1/tokens" */
    const char *body; /* JSON; NULL: none */
    int timeout_ms;

    /* The same done here. The answer's document, or NULL with the error. */
    cJSON *(*here)(struct db *db, const void *ctx, struct err *err);
    const void *ctx;
};

/* The answer, for the caller. ERR_INVALID: refused; else it couldn't be had. */
cJSON *control_do(const struct config *config, const struct control_call *call,
                  struct err *err) CHECKED;

/* The configuration as `--config FILE` (NULL: none) and the environment have it. */
int control_config(const char *file, struct config *out, struct err *err) CHECKED;
#endif
