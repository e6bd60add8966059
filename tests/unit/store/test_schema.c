/* SPDX-License-Identifier: Apache-2.0 */
#include <glob.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "store/conn.h"
#include "store/delivery_store.h"
#include "store/event_store.h"
#include "store/journal.h"
#include "store/run_details.h"
#include "store/run_queue.h"
#include "store_test.h"

/*
 * What the migrations come to, and how SQLite goes about each statement of the store.
 * schema.sql is written anew with UPDATE=1 in the environment; a review reads the difference.
 */
#define SCHEMA_FILE "tests/unit/store/schema.sql"
#define SCHEMA_MAX_BYTES (1024 * 1024)

static int read_schema(struct db_conn *conn, void *ctx, struct err *err)
{
    struct buf *out = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"
                               " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid");
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err))
        buf_printf(out, "%s;\n\n", stmt_text(st, 0));
    return row;
}

static void test_the_schema_is_the_one_in_the_file(void **state)
{
    scoped(db) db = open_memory();
    scoped_buf is = {0};
    scoped_buf wanted = {0};
    struct err err = {0};

    (void)state;
    buf_append_str(&is,
                   "-- What the migrations come to. Written by test_schema with UPDATE=1.\n\n");
    assert_ok(db_read(db, read_schema, &is, &err), err);
    if (getenv("UPDATE")) {
        scoped_file out = fopen(SCHEMA_FILE, "we");

        assert_true(out && fwrite(is.data, 1, is.size, out) == is.size);
    }
    assert_ok(buf_read_file(&wanted, SCHEMA_FILE, SCHEMA_MAX_BYTES, &err), err);
    assert_string_equal(is.data, wanted.data);
}

/* --- Plans ----------------------------------------------------------------------------------
 */

static int ignore_event(void *ctx, const struct run_event *event)
{
    (void)ctx;
    (void)event;
    return 0;
}

static int ignore_entry(void *ctx, const struct journal_entry *entry)
{
    (void)ctx;
    (void)entry;
    return 0;
}

static void use_journal(struct db *db, struct id id)
{
    const struct journal_query queries[] = {
        {.run = id, .until = 100, .limit = 10},
        {.owner = 1, .shared = true, .until = 100, .limit = 10},
    };
    struct err err = {0};
    int64_t number;
    bool over;

    for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
        assert_ok(journal_each(db, &queries[i], ignore_entry, NULL, &number, &err), err);
    assert_ok(journal_newest(db, &number, &err), err);
    assert_ok(journal_newest_of(db, id, &number, &over, &err), err);
}

static void ignore_place(void *ctx, const struct run_place *place)
{
    (void)ctx;
    (void)place;
}

static void ignore_audit(void *ctx, const struct audit_entry *entry)
{
    (void)ctx;
    (void)entry;
}

/* Of runs that have ended by now. */
static void use_audit(struct db *db)
{
    struct audit_verdict verdict;
    int64_t next;
    struct err err = {0};

    for (unsigned i = 0; i < 4; i++) {
        struct audit_filter filter = {
            .actor = i & 1 ? "key:1" : NULL, .oldest_first = i & 2, .since_ms = 1, .limit = 10};

        assert_ok(audit_page(db, &filter, ignore_audit, NULL, &next, &err), err);
    }
    assert_ok(audit_verify(db, NULL, &verdict, &err), err);
    assert_int_equal(verdict.broken, 0);
}

static void use_deliveries(struct db *db)
{
    static const struct delivery_receiver receiver = {.url = "http://a.example.com/",
                                                      .events = 1U << RUN_STOPPED};
    const struct delivery_filter filters[] = {
        {.all = true, .limit = 1},
        {.owner = 1, .limit = 1},
        {.all = true, .by_status = true, .limit = 1},
        {.shared = true, .run = {1, 1}, .limit = 1},
    };
    struct delivery_attempt attempt = {.status = DELIVERY_DELIVERED, .at_ms = 1};
    struct delivery_page page;
    int64_t number;
    struct err err = {0};
    bool flag;

    assert_ok(delivery_store_set_receivers(db, &receiver, 1, &err), err);
    assert_ok(run_store_request_stop(db, add_run(db), 1, NULL, &flag, &err), err);
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        assert_ok(delivery_store_page(db, &filters[i], &page, &err), err);
        delivery_page_done(&page);
    }
    assert_ok(delivery_store_next(db, 0, &number, &err), err);
    assert_ok(delivery_store_due(db, false, 1, 1, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_ok(delivery_store_note(db, page.all[0], &attempt, &err), err);
    assert_ok(delivery_store_redeliver(db, page.all[0]->id, 1, NULL, &err), err);
    delivery_free(delivery_store_load(db, page.all[0]->id, &err));
    delivery_page_done(&page);
    assert_ok(delivery_store_count_pending(db, &number, &err), err);
    assert_ok(delivery_store_prune(db, 1, 1, &number, &err), err);
}

/* Calls everything that reads or moves runs once, so that its statements are prepared. */
static void use_everything(struct db *db)
{
    static const struct run_event event = {.seq = 1, .type = "log", .data = "{}"};
    struct id id = add_run_in(db, RUN_RUNNING);
    struct id other = add_run_in(db, RUN_LAUNCHING);
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64())},
                            .idempotency = {.token_id = 1, .key = "k"}};
    const struct run_filter filters[] = {
        {.limit = 10, .all = true},
        {.limit = 10, .all = true, .statuses = 1U << RUN_FAILED},
        {.limit = 10, .owner = 1},
        {.limit = 10, .owner = 1, .shared = true},
        {.limit = 10, .owner = 1, .shared = true, .statuses = 1U << RUN_FAILED},
    };
    struct run_end end = {.status = RUN_FAILED, .result = "r"};
    struct run_details details = {0};
    uint8_t *sealed = NULL;
    size_t size;
    struct run_page page = {0};
    int64_t counts[RUN_STATUS_COUNT];
    int64_t number;
    enum run_status from;
    struct err err = {0};
    bool flag;

    assert_null(run_store_next_pending(db, 0, &number, &err));
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        assert_ok(run_store_page(db, &filters[i], &page, &err), err);
        run_page_done(&page);
    }
    run_free(run_store_next_pending(db, 0, &number, &err));
    number = 0;
    assert_ok(run_queue_page(db, RUN_PENDING, 0, &number, ignore_place, NULL, &err), err);
    assert_ok(
        run_queue_page(db, RUN_PENDING, RUN_WAITS_ITS_TURN, &number, ignore_place, NULL, &err),
        err);
    assert_ok(run_queue_set_aside(db, &other, 1, 1, &err), err);
    assert_ok(run_store_due(db, 0, 10, &page, &err), err);
    run_page_done(&page);
    assert_ok(run_store_stale(db, 0, 10, &page, &err), err);
    run_page_done(&page);
    assert_ok(run_store_active(db, (struct id){0}, 10, &page, &err), err);
    run_page_done(&page);
    assert_ok(run_store_count(db, counts, &err), err);
    assert_ok(run_store_newest_key(db, &number, &err), err);
    assert_ok(run_store_claim(db, id, 1, "r1", 1, 1, NULL, &err), err);
    assert_ok(run_store_heartbeat(db, id, 1, 1, &flag, &err), err);
    assert_ok(run_store_request_stop(db, id, 1, NULL, &flag, &err), err);
    assert_ok(run_store_set_job(db, other, 1, "job", &err), err);
    assert_ok(run_store_requeue(db, other, 1, 1, 1, "w", true, &err), err);
    assert_ok(event_store_add(db, id, 1, &event, 1, &number, &err), err);
    assert_ok(event_store_each(db, id, 0, 10, ignore_event, NULL, &err), err);
    use_journal(db, id);
    assert_ok(run_store_end(db, id, 1, &end, 1, &from, &err), err);
    assert_ok(run_details_load(db, id, &details, &err), err);
    run_details_done(&details);
    assert_ok(run_details_secret(db, id, &sealed, &size, &err), err);
    assert_ok(run_store_prune(db, clock_wall_ms() + 1000, clock_wall_ms(), 10, &page, &err),
              err);
    assert_int_equal(page.n_runs, 1);
    run_page_done(&page);
    use_deliveries(db);
    use_audit(db);
}

/* "SCAN run ..." reads a whole table or index. Only counting may, and that from an index. */
static bool is_scan_of_a_large_table(const char *step, const char *sql)
{
    static const char *const tables[] = {"SCAN run",   "SCAN r ",    "SCAN i ",
                                         "SCAN event", "SCAN audit", "SCAN delivery"};

    if (strstr(sql, "count(*)") && strstr(step, "USING COVERING INDEX"))
        return false;
    /* a subquery that stops at its limit, in the order of the rows */
    if (strstr(sql, "ORDER BY number LIMIT") && strstr(step, "SCAN idempotency"))
        return false;
    /* a walk down the runs of everybody for those of nobody */
    if (strstr(sql, "owner IS NULL") && strstr(step, "run USING INTEGER PRIMARY KEY (rowid<?)"))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        if (strncmp(step, tables[i], strlen(tables[i])) == 0)
            return true;
    return strcmp(step, "SCAN r") == 0 || strncmp(step, "SCAN idempotency", 16) == 0;
}

static int explain(struct db_conn *conn, const char *sql, struct err *err)
{
    scoped_str question = xasprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *raw = NULL;
    int result = 0;

    if (sqlite3_prepare_v2(conn->raw, question, -1, &raw, NULL) != SQLITE_OK)
        return db_conn_fail(conn, question, err);
    while (result == 0 && sqlite3_step(raw) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(raw, 3);

        if (is_scan_of_a_large_table(step, sql))
            result = err_set(err, ERR_INTERNAL, "%s: %s", step, sql);
    }
    (void)sqlite3_finalize(raw);
    return result;
}

/* Every statement that was prepared on this connection; adds them to the text. */
static int explain_all(struct db_conn *conn, void *ctx, struct err *err)
{
    struct buf *explained = ctx;

    for (sqlite3_stmt *raw = sqlite3_next_stmt(conn->raw, NULL); raw;
         raw = sqlite3_next_stmt(conn->raw, raw)) {
        const char *sql = sqlite3_sql(raw);

        if (strncmp(sql, "EXPLAIN", 7) == 0)
            continue;
        if (explain(conn, sql, err) < 0)
            return -1;
        buf_printf(explained, "%s\n", sql);
    }
    return 0;
}

/* --- Every statement there is ---------------------------------------------------------------
 */

#define SOURCES "controlplane/store/*.c"
#define SOURCE_MAX_BYTES (256 * 1024)

/* The string literals that `from` begins with, as one text. */
static char *literal_at(const char *from)
{
    scoped_buf text = {0};

    while (*from == '"') {
        const char *end = strchr(from + 1, '"');

        buf_append(&text, from + 1, (size_t)(end - from - 1));
        from = end + 1 + strspn(end + 1, " \n");
    }
    return buf_take(&text);
}

static bool is_query(const char *text)
{
    static const char *const verbs[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "};

    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strncmp(text, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return false;
}

/* A statement that nobody prepared is explained as the source has it; one that is put together
 * there can't be, and has to be prepared above. `backup` has a row for each backup. */
static int explain_call(struct db_conn *conn, const char *call, const char *explained,
                        struct err *err)
{
    scoped_str sql = literal_at(call + strcspn(call, "\";"));

    if (!sql || !is_query(sql) || strstr(explained, sql) || strstr(sql, " backup "))
        return 0;
    return explain(conn, sql, err);
}

static int explain_source(struct db_conn *conn, const char *path, const char *explained,
                          struct err *err)
{
    static const char *const calls[] = {"db_query(", "db_exec("};
    scoped_buf source = {0};

    if (buf_read_file(&source, path, SOURCE_MAX_BYTES, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        for (const char *at = source.data; (at = strstr(at, calls[i])); at++)
            if (explain_call(conn, at, explained, err) < 0)
                return -1;
    return 0;
}

static int explain_sources(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct buf *explained = ctx;
    glob_t sources;
    int result = 0;

    assert_int_equal(glob(SOURCES, 0, NULL, &sources), 0);
    for (size_t i = 0; i < sources.gl_pathc && result == 0; i++)
        result = explain_source(conn, sources.gl_pathv[i], explained->data, err);
    globfree(&sources);
    return result;
}

static void test_no_statement_reads_a_whole_table(void **state)
{
    scoped(db) db = open_memory();
    scoped_buf explained = {0};
    struct err err = {0};

    (void)state;
    use_everything(db);
    assert_ok(db_read(db, explain_all, &explained, &err), err);
    assert_ok(db_write(db, explain_all, &explained, &err), err);
    assert_ok(db_read(db, explain_sources, &explained, &err), err);
}

static int explain_scan(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return explain(conn, "SELECT key FROM run WHERE repo = 'x' ORDER BY ended_ms", err);
}

static int explain_walk(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return explain(
        conn, "SELECT key FROM run WHERE owner IS NULL AND key < 9 ORDER BY key DESC", err);
}

static void test_a_table_scan_would_be_noticed(void **state)
{
    scoped(db) db = open_memory();
    struct err err = {0};

    (void)state;
    assert_int_equal(db_read(db, explain_scan, NULL, &err), -1);
    assert_int_equal(strncmp(err.text, "SCAN run", 8), 0);
    err = (struct err){0};
    assert_int_equal(db_read(db, explain_walk, NULL, &err), -1);
}

TEST_MAIN(cmocka_unit_test(test_the_schema_is_the_one_in_the_file),
          cmocka_unit_test(test_no_statement_reads_a_whole_table),
          cmocka_unit_test(test_a_table_scan_would_be_noticed))
