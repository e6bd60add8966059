/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_OPTIONS_H
#define API_OPTIONS_H
#include "json/json.h"

/* What was asked of a run beyond its columns, as it stands in the store (`options` of
 * store/run_details.h): written when it is queued, read for its claim, its page, its retry. */
#define OPTIONS_MAX_BYTES (512 * 1024)

struct options {
    bool auto_create_pr;
    bool blank_workspace;
    const cJSON *tools; /* as a claim shows them (api/tools.h); NULL: none */
    const cJSON *agents;
};

#define OPTIONS_DEFAULTS ((struct options){.auto_create_pr = true})

/* The text for the caller to free, NULL where all is as by default. ERR_INVALID about "tools"
 * when it is too long. */
int options_write(const struct options *options, char **out, struct err *err) CHECKED;

/* Reads it again; NULL is the defaults. What `out` borrows lives in *out_document, which is the
 * caller's. */
int options_read(const char *text, struct options *out, cJSON **out_document,
                 struct err *err) CHECKED;

/* Does one of the tools have headers, which are kept until the run's end only? */
bool options_have_headers(const struct options *options);
#endif
