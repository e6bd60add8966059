/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrate.h"

#include "base/alloc.h"

static int read_version(struct db_conn *conn, int *out, struct err *err)
{
    scoped(stmt) stmt = db_query(conn, err, "PRAGMA user_version");
    int row = stmt ? stmt_step(stmt, err) : -1;

    if (row < 0)
        return -1;
    *out = (int)stmt_int(stmt, 0);
    return 0;
}

static int apply(struct db_conn *conn, const struct migration *one, int version,
                 struct err *err)
{
    scoped_str count = xasprintf("PRAGMA user_version = %d", version);
    struct err ignored;

    if (db_script(conn, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    if (db_script(conn, one->sql, err) == 0 && db_script(conn, count, err) == 0
        && db_script(conn, "COMMIT", err) == 0)
        return 0;
    /* Where SQLite has rolled back by itself this fails, which is as good. */
    if (db_script(conn, "ROLLBACK", &ignored) < 0)
        return -1;
    return -1;
}

int db_migrate(struct db_conn *conn, const struct migration *all, int n, struct err *err)
{
    int version;

    if (read_version(conn, &version, err) < 0)
        return -1;
    if (version > n)
        return err_set_code(err, ERR_CONFLICT, "database_newer",
                            "the database is of a newer version (%d, this program knows %d)",
                            version, n);
    for (; version < n; version++)
        if (apply(conn, &all[version], version + 1, err) < 0)
            return err_wrap(err, "migration %s", all[version].name);
    return 0;
}
