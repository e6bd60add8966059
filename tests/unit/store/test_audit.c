/* SPDX-License-Identifier: Apache-2.0 */
#include "store/audit.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define RUN "0mhyv1x3k9q2zj7w4b8t"
#define GOLDEN_1 "614270f2a1a715d9f9c13e6ea668c105b0455a9685e811774cf0478bffe75883"
#define GOLDEN_2 "c68a40a2bc5c2aecdffd0753042f4e4aaaa30a72671a7afb495b7c4da00a8ed0"

static const struct audit_source somebody = {
    .actor = "key:00ff", .request_id = "req-1", .address = "192.0.2.7"};
static const struct audit_source else_body = {
    .actor = "personal:7", .request_id = "req-2", .address = "192.0.2.8"};

struct append {
    const struct audit_source *source;
    const char *action;
    const char *target;
    const char *detail;
    bool fails; /* after it has appended */
};

static int append_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct append *append = ctx;

    if (audit_append(conn, append->source, append->action, append->target, append->detail, err)
        < 0)
        return -1;
    return append->fails ? err_set(err, ERR_CONFLICT, "no") : 0;
}

static int append(struct db *db, const struct audit_source *source, const char *action,
                  const char *target, const char *detail)
{
    struct append wanted = {
        .source = source, .action = action, .target = target, .detail = detail};
    struct err err = {0};

    return db_write(db, append_write, &wanted, &err);
}

/* n entries, alternating between two people. */
static struct db *log_of(int n)
{
    struct db *db = open_memory();

    for (int i = 1; i <= n; i++) {
        scoped_str target = xasprintf("t%d", i);

        assert_int_equal(append(db, i % 2 ? &somebody : &else_body, "run.queue", target, "d"),
                         0);
    }
    return db;
}

static int script_write(struct db_conn *conn, void *ctx, struct err *err)
{
    return db_script(conn, ctx, err);
}

static int script(struct db *db, const char *sql, struct err *err)
{
    return db_write(db, script_write, (void *)(uintptr_t)sql, err);
}

static struct audit_verdict verdict_of(struct db *db, const uint8_t *noted)
{
    struct audit_verdict verdict;
    struct err err = {0};

    assert_ok(audit_verify(db, noted, &verdict, &err), err);
    return verdict;
}

/* --- The chain ---------------------------------------------------------------------------- */

static void assert_hex(const uint8_t hash[SHA256_SIZE], const char *wanted)
{
    char text[SHA256_HEX_SIZE];

    hex_encode(hash, SHA256_SIZE, text);
    assert_string_equal(text, wanted);
}

/* The hashes were made by another program from the description in audit.h. */
static void test_hashes_are_as_described(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    clock_set_for_test(1700000000000);
    assert_int_equal(append(db, &somebody, "run.queue", RUN, "octo/hello"), 0);
    assert_hex(verdict_of(db, NULL).head, GOLDEN_1);
    assert_int_equal(append(db, NULL, "run.end", RUN, "failed lost"), 0);
    assert_hex(verdict_of(db, NULL).head, GOLDEN_2);
    clock_set_for_test(-1);
}

static void test_an_empty_log_is_intact(void **state)
{
    static const uint8_t zeroes[SHA256_SIZE];
    scoped(db) db = open_memory();
    struct audit_verdict verdict = verdict_of(db, zeroes);

    (void)state;
    assert_int_equal(verdict.entries, 0);
    assert_int_equal(verdict.broken, 0);
    assert_true(verdict.noted_found);
    assert_memory_equal(verdict.head, zeroes, sizeof(zeroes));
}

static void test_a_log_longer_than_a_page_is_intact(void **state)
{
    scoped(db) db = log_of(2100);
    struct audit_verdict verdict = verdict_of(db, NULL);

    (void)state;
    assert_int_equal(verdict.entries, 2100);
    assert_int_equal(verdict.broken, 0);
}

/* What fails after it has appended takes its entry with it, and the next goes on before it. */
static void test_an_append_that_is_rolled_back_was_never_there(void **state)
{
    scoped(db) db = log_of(3);
    struct append failing = {
        .source = &somebody, .action = "run.stop", .target = "gone", .fails = true};
    struct audit_verdict verdict;
    struct err err = {0};

    (void)state;
    assert_refused(db_write(db, append_write, &failing, &err), err, ERR_CONFLICT, NULL);
    assert_int_equal(append(db, &somebody, "run.stop", "t4", NULL), 0);
    verdict = verdict_of(db, NULL);
    assert_int_equal(verdict.entries, 4);
    assert_int_equal(verdict.broken, 0);
}

static void *append_many(void *ctx)
{
    for (int i = 0; i < 50; i++) {
        struct append one = {
            .source = &somebody, .action = "run.stop", .target = "t", .fails = i % 3 == 0};
        struct err err = {0};

        (void)!db_write(ctx, append_write, &one, &err);
    }
    return NULL;
}

/* They share transactions, of which a third of the pieces is taken back. */
static void test_appends_of_many_threads_are_one_chain(void **state)
{
    scoped(db) db = open_memory();
    pthread_t threads[4];
    struct audit_verdict verdict;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, db), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    verdict = verdict_of(db, NULL);
    assert_int_equal(verdict.broken, 0);
    assert_int_equal(verdict.entries, 4 * 33);
}

/* --- Tampering ---------------------------------------------------------------------------- */

static void test_the_table_refuses_changes(void **state)
{
    static const char *const changes[] = {
        "UPDATE audit SET actor = 'x' WHERE number = 2",
        "DELETE FROM audit WHERE number = 3",
        "DELETE FROM audit",
    };
    scoped(db) db = log_of(3);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct err err = {0};

        assert_int_equal(script(db, changes[i], &err), -1);
        assert_non_null(strstr(err.text, "append-only"));
    }
    assert_int_equal(verdict_of(db, NULL).entries, 3);
}

#define WITHOUT_GUARDS "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;"

static void test_whoever_gets_past_that_is_noticed(void **state)
{
    static const struct {
        const char *sql;
        int64_t broken;
    } cases[] = {
        {"UPDATE audit SET actor = 'key:00fe' WHERE number = 4", 4},
        {"UPDATE audit SET action = 'run.stop' WHERE number = 4", 4},
        {"UPDATE audit SET target = 't5' WHERE number = 4", 4},
        {"UPDATE audit SET detail = NULL WHERE number = 4", 4},
        {"UPDATE audit SET detail = '' WHERE number = 1", 1},
        {"UPDATE audit SET at_ms = at_ms + 1 WHERE number = 10", 10},
        {"UPDATE audit SET address = request_id, request_id = address WHERE number = 4", 4},
        {"UPDATE audit SET hash = zeroblob(32) WHERE number = 4", 4},
        {"UPDATE audit SET hash = x'00' WHERE number = 4", 4},
        /* where one text ends and the next begins counts */
        {"UPDATE audit SET actor = actor || 'r', action = substr(action, 2) WHERE number = 4",
         4},
        {"DELETE FROM audit WHERE number = 4", 4},
        {"DELETE FROM audit WHERE number = 1", 1},
        {"REPLACE INTO audit SELECT 4, at_ms, actor, action, target, address, request_id,"
         " detail, hash FROM audit WHERE number = 6",
         4},
        {"DELETE FROM audit WHERE number = 4;"
         "UPDATE audit SET number = number - 1 WHERE number > 4",
         4},
        {"UPDATE audit SET number = 99 WHERE number = 4;"
         "UPDATE audit SET number = 4 WHERE number = 6;"
         "UPDATE audit SET number = 6 WHERE number = 99",
         4},
        {"INSERT INTO audit SELECT 11, at_ms, actor, action, target, address, request_id,"
         " detail, hash FROM audit WHERE number = 10",
         11},
        {"INSERT INTO audit SELECT 0, at_ms, actor, action, target, address, request_id,"
         " detail, hash FROM audit WHERE number = 1",
         1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(db) db = log_of(10);
        struct err err = {0};
        struct audit_verdict verdict;

        assert_ok(script(db, WITHOUT_GUARDS, &err), err);
        assert_ok(script(db, cases[i].sql, &err), err);
        verdict = verdict_of(db, NULL);
        if (verdict.broken != cases[i].broken)
            fail_msg("%s: broken at %d", cases[i].sql, (int)verdict.broken);
        assert_int_equal(verdict.entries, cases[i].broken - 1);
    }
}

static void test_a_cut_end_is_noticed_by_a_noted_head(void **state)
{
    scoped(db) db = log_of(10);
    struct audit_verdict noted = verdict_of(db, NULL);
    struct audit_verdict verdict;
    struct err err = {0};

    (void)state;
    assert_int_equal(append(db, &somebody, "run.stop", "later", NULL), 0);
    assert_true(verdict_of(db, noted.head).noted_found);
    assert_ok(script(db, WITHOUT_GUARDS, &err), err);
    assert_ok(script(db, "DELETE FROM audit WHERE number > 9", &err), err);
    verdict = verdict_of(db, noted.head);
    assert_int_equal(verdict.broken, 0);
    assert_int_equal(verdict.entries, 9);
    assert_false(verdict.noted_found);
}

/* --- Pages -------------------------------------------------------------------------------- */

struct seen {
    int64_t numbers[64];
    size_t count;
};

static void note_number(void *ctx, const struct audit_entry *entry)
{
    struct seen *seen = ctx;

    assert_true(seen->count < ARRAY_SIZE(seen->numbers));
    seen->numbers[seen->count++] = entry->number;
}

/* Every page of it, one after the other; how many there were. */
static int walk(struct db *db, struct audit_filter filter, struct seen *out)
{
    struct err err = {0};
    int pages = 0;

    *out = (struct seen){0};
    do {
        assert_ok(audit_page(db, &filter, note_number, out, &filter.beyond, &err), err);
        pages++;
    } while (filter.beyond);
    return pages;
}

static void test_pages_go_forth_and_back(void **state)
{
    scoped(db) db = log_of(10);
    struct seen seen;

    (void)state;
    assert_int_equal(walk(db, (struct audit_filter){.limit = 3, .oldest_first = true}, &seen),
                     4);
    assert_int_equal(seen.count, 10);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], i + 1);
    assert_int_equal(walk(db, (struct audit_filter){.limit = 5}, &seen), 2);
    assert_int_equal(seen.count, 10);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], 10 - i);
}

static void test_pages_are_stable_while_entries_arrive(void **state)
{
    scoped(db) db = log_of(6);
    struct audit_filter filter = {.limit = 3};
    struct seen seen = {0};
    struct err err = {0};

    (void)state;
    assert_ok(audit_page(db, &filter, note_number, &seen, &filter.beyond, &err), err);
    assert_int_equal(append(db, &somebody, "run.stop", "new", NULL), 0);
    assert_ok(audit_page(db, &filter, note_number, &seen, &filter.beyond, &err), err);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.numbers[3], 3);
    assert_int_equal(filter.beyond, 0);
}

static void test_an_actor_sees_their_own(void **state)
{
    scoped(db) db = log_of(9);
    struct seen seen;

    (void)state;
    (void)walk(db, (struct audit_filter){.limit = 2, .actor = "personal:7"}, &seen);
    assert_int_equal(seen.count, 4);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], 8 - 2 * i);
    (void)walk(db, (struct audit_filter){.limit = 2, .actor = "key:00ff", .oldest_first = true},
               &seen);
    assert_int_equal(seen.count, 5);
    assert_int_equal(seen.numbers[4], 9);
    (void)walk(db, (struct audit_filter){.limit = 2, .actor = "key:00f"}, &seen);
    assert_int_equal(seen.count, 0);
}

static void test_one_target_is_found_from_its_moment_on(void **state)
{
    scoped(db) db = open_memory();
    struct seen seen;
    int64_t base_ms = 1700000000000;

    (void)state;
    for (int i = 0; i < 20; i++) {
        clock_set_for_test(base_ms + i * 7200000LL);
        assert_int_equal(append(db, &somebody, "run.stop", i % 5 ? "other" : "this", NULL), 0);
    }
    clock_set_for_test(-1);
    for (int oldest_first = 0; oldest_first <= 1; oldest_first++) {
        struct audit_filter filter = {.limit = 10,
                                      .target = "this",
                                      .since_ms = base_ms + 10 * 7200000LL,
                                      .oldest_first = oldest_first};

        (void)walk(db, filter, &seen);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.numbers[0], oldest_first ? 11 : 16);
    }
}

TEST_MAIN(cmocka_unit_test(test_hashes_are_as_described),
          cmocka_unit_test(test_an_empty_log_is_intact),
          cmocka_unit_test(test_a_log_longer_than_a_page_is_intact),
          cmocka_unit_test(test_an_append_that_is_rolled_back_was_never_there),
          cmocka_unit_test(test_appends_of_many_threads_are_one_chain),
          cmocka_unit_test(test_the_table_refuses_changes),
          cmocka_unit_test(test_whoever_gets_past_that_is_noticed),
          cmocka_unit_test(test_a_cut_end_is_noticed_by_a_noted_head),
          cmocka_unit_test(test_pages_go_forth_and_back),
          cmocka_unit_test(test_pages_are_stable_while_entries_arrive),
          cmocka_unit_test(test_an_actor_sees_their_own),
          cmocka_unit_test(test_one_target_is_found_from_its_moment_on))
