/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RUN_DETAILS_H
#define STORE_RUN_DETAILS_H
#include "model/run.h"
#include "store/db.h"

/*
 * The long texts of one run, which its own page and its runner read and lists don't: the
 * options of its request, the result that it was for, and the sealed header values of its
 * tools. Those end with the run.
 */
#define RESULT_MAX_BYTES (256 * 1024)

struct run_details {
    char *options; /* JSON, as inserted with the run; NULL: none */
    char *result;  /* NULL: none */
};

#define scoped_run_details __attribute__((cleanup(run_details_done))) struct run_details

/* A run that there isn't has none. */
int run_details_load(struct db *db, struct id id, struct run_details *out,
                     struct err *err) CHECKED;
void run_details_done(struct run_details *details);

/* The sealed value for the caller to free; *out is NULL when there is none (any more). */
int run_details_secret(struct db *db, struct id id, uint8_t **out, size_t *out_size,
                       struct err *err) CHECKED;

/* --- Inside a write ----------------------------------------------------------------------- */

int run_details_keep_secret(struct db_conn *conn, struct id id, const uint8_t *sealed,
                            size_t size, struct err *err) CHECKED;
/* The run has ended: keeps its result (NULL: none) and forgets its secret. */
int run_details_end(struct db_conn *conn, struct id id, const char *result,
                    struct err *err) CHECKED;
/* The run goes. */
int run_details_delete(struct db_conn *conn, int64_t key, struct err *err) CHECKED;
#endif
