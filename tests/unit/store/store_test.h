/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TEST_H
#define STORE_TEST_H
#include "test.h"

#include "crypto/random.h"
#include "store/run_store.h"

/* What the tests of this folder share: an open database and runs to put into it. */

#define NO_TIME_YET 1800000000000LL /* a moment for tests that set times themselves */

static inline struct db *open_memory(void)
{
    struct err err = {0};
    struct db *db = db_open(":memory:", &err);

    assert_made(db, err);
    return db;
}

struct insert {
    struct run run;
    struct idempotency idempotency;
    struct id existing;
};

static inline int insert_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct insert *insert = ctx;

    return run_store_insert(conn, &insert->run, &insert->idempotency, &insert->existing, err);
}

/* A pending run made at `at_ms` as a dispatch makes it. */
static inline struct id add_run_at(struct db *db, int64_t at_ms)
{
    struct insert insert = {.run = {.id = id_make(at_ms, random_u64()),
                                    .repo = (char *)(uintptr_t) "octo/hello",
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix the typo",
                                    .deadline_ms = at_ms + 3600000}};
    struct err err = {0};

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    return insert.run.id;
}

static inline struct id add_run(struct db *db)
{
    return add_run_at(db, clock_wall_ms());
}

/* The run as it is now, to be freed by the caller. */
static inline struct run *now_of(struct db *db, struct id id)
{
    struct err err = {0};
    struct run *run = run_store_load(db, id, &err);

    assert_made(run, err);
    return run;
}

static inline int launch(struct db *db, struct id id)
{
    static const uint8_t hash[SHA256_SIZE] = {1, 2, 3};
    struct err err = {0};
    int attempt = 0;

    assert_ok(run_store_launch(db, id, "fake", hash, NO_TIME_YET, &attempt, &err), err);
    return attempt;
}

/* Brings a new run to `status`. */
static inline struct id add_run_in(struct db *db, enum run_status status)
{
    struct id id = add_run(db);
    struct run_end end = {.status = status};
    struct err err = {0};
    enum run_status from;

    if (status != RUN_PENDING)
        (void)launch(db, id);
    if (status == RUN_RUNNING || run_status_is_terminal(status))
        assert_ok(run_store_claim(db, id, 1, "r1", clock_wall_ms(), NO_TIME_YET, NULL, &err),
                  err);
    if (run_status_is_terminal(status))
        assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
    return id;
}

static inline void assert_code(const struct err *err, const char *wanted)
{
    if (wanted)
        assert_string_equal(err->code ? err->code : "no code", wanted);
}

/* The call failed, in this way. */
#define assert_refused(call, err, wanted_kind, wanted_code)                                    \
    do {                                                                                       \
        (err) = (struct err){0};                                                               \
        assert_int_not_equal((call), 0);                                                       \
        if ((err).kind != (wanted_kind))                                                       \
            fail_msg("%s: %s (%s)", #call, (err).text, err_kind_name((err).kind));             \
        assert_code(&(err), (wanted_code));                                                    \
    } while (0)
#endif
