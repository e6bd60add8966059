/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_STANDIN_H
#define SUPPORT_STANDIN_H
#include <sys/types.h>

#include "json/json.h"

/*
 * A stand-in (tests/support/NAME-standin/) as a child of a test program, on a port of
 * 127.0.0.1. Functions fail the test when something goes wrong.
 */
#define STANDIN_START_MS 60000

struct standin {
    pid_t pid;
    int port;
    struct net *net;
};

/* `program` from the tree's root; its port is written into a file of this directory, which
 * exists. `flags` end with NULL and may be NULL. */
void standin_start(struct standin *out, const char *program, const char *dir,
                   const char *const *flags);
void standin_stop(struct standin *standin);

/* An HTTP status below 400, or the test fails; the answer is the caller's. `json` may be NULL,
 * as the headers may. */
cJSON *standin_call(struct standin *standin, const char *method, const char *path,
                    const char *json, const char *const *headers);
#endif
