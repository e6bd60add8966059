/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DELIVERY_ROW_H
#define STORE_DELIVERY_ROW_H
#include "store/delivery_store.h"

/* Between rows of the table delivery and struct delivery. Private to this folder. */

/* delivery_row_collect knows their order; change one with the other. The payload may follow. */
#define DELIVERY_COLUMNS                                                                       \
    "key, tail, run_key, run_tail, owner, event, url, receiver, configured, status, "          \
    "attempts, tries, place, next_ms, give_up_ms, last_ms, last_status, last_error, ended_ms"

/* Adds all the rows to the page; done with the page whatever comes of it. */
int delivery_row_collect(struct stmt *st, bool payload, struct delivery_page *out,
                         struct err *err) CHECKED;

/* A new one, as it stands; due at once when nobody is before it in the line. */
int delivery_row_insert(struct db_conn *conn, const struct delivery *delivery, int64_t now_ms,
                        struct err *err) CHECKED;
#endif
