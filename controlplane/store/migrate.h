/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H
#include "store/db.h"

/* Brings a connection's database up to all[n - 1], each migration in a transaction of its
 * own; PRAGMA user_version counts those done. ERR_CONFLICT when it is beyond n. */
int db_migrate(struct db_conn *conn, const struct migration *all, int n,
               struct err *err) CHECKED;
#endif
