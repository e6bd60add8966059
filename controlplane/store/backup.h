/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H
#include "store/db.h"

/*
 * A consistent copy of a database in one file, and the way back.
 *
 * A restored database is older than the world: runs that wait in it may have been launched
 * since. So it is marked, and whoever serves it settles those runs with the launchers before it
 * launches anything (service/restored.c).
 */
struct backup_facts {
    int64_t bytes;
    int64_t runs;
    int64_t taken_ms; /* the moment that the copy shows */
    int schema;
};

/*
 * Copies the database, which a dispatchd may be serving, into the file `to` (0600). It is there
 * whole, checked and durable, or not at all. ERR_CONFLICT when there is such a file and not
 * `replace`, or when somebody else is writing it; ERR_INVALID when the database isn't one of
 * ours.
 */
int backup_make(const char *database, const char *to, bool replace, struct backup_facts *out,
                struct err *err) CHECKED;

/*
 * Puts a copy of the file `from` in the database's place; the caller holds the lock on that
 * (store/lock.h). What was there is kept beside it: *out_former is its path for the caller to
 * free, NULL when there was nothing. On -1 the database is as it was. ERR_INVALID,
 * ERR_CONFLICT (a schema newer than ours).
 */
int backup_restore(const char *from, const char *database, struct backup_facts *out,
                   char **out_former, struct err *err) CHECKED;

/* --- In a restored database --------------------------------------------------------------- */

struct backup_mark {
    int64_t newest_key; /* runs up to this one are as the backup had them; 0: all is settled */
    int64_t taken_ms;
};
int backup_unsettled(struct db *db, struct backup_mark *out, struct err *err) CHECKED;
int backup_settle(struct db *db, struct err *err) CHECKED;

/* --- For this folder ---------------------------------------------------------------------- */

/* Reads everything but taken_ms, and that where the backup says it. */
int backup_read_facts(struct db_conn *conn, struct backup_facts *out, struct err *err) CHECKED;
/* Makes a rename in that file's directory durable. */
int backup_sync_directory(const char *path, struct err *err) CHECKED;
#endif
