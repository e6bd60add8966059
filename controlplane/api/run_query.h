/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_RUN_QUERY_H
#define API_RUN_QUERY_H
#include "httpd/httpd.h"
#include "store/run_store.h"

/* The query of every list of runs: status, limit, cursor. */
#define ALL_STATUSES ((1U << RUN_STATUS_COUNT) - 1)
#define ENDED_STATUSES (1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED)

/* `name_of` is what this surface calls a status; `among` are those that may be asked for, and
 * are without a question. ERR_INVALID. */
int run_query_read(const struct request *req, const char *(*name_of)(enum run_status status),
                   unsigned among, struct run_filter *out, struct err *err) CHECKED;
/* Of them the limit alone, or the default. */
int run_query_limit(const struct request *req, int *out, struct err *err) CHECKED;
#endif
