/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H
#include "store/db.h"

/*
 * The thread that owns the writing connection: takes all that was handed in, runs it in one
 * transaction, commits, answers. Private to this folder; db.h tells what it promises.
 */
struct writer;

/* Takes the connection, on failure too. */
struct writer *writer_start(struct db_conn *conn, struct err *err) CHECKED;
/* Refuses further writes and finishes those that were handed in. Twice is fine. */
void writer_drain(struct writer *writer);
/* Drains, empties the WAL and closes the connection. */
void writer_free(struct writer *writer);
DEFINE_SCOPED(writer)

int writer_run(struct writer *writer, db_write_fn write, void *ctx, struct err *err) CHECKED;
int writer_queue(struct writer *writer, db_write_fn write, void *ctx,
                 void (*done)(void *ctx, const struct err *err), struct err *err) CHECKED;
/* See db_watch. */
void writer_watch(struct writer *writer, void (*heard)(void *ctx), void *ctx);
void writer_stats(struct writer *writer, struct db_stats *out);
#endif
