/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "store/run_details.h"
#include "store_test.h"

#define DAY_MS (24LL * 3600 * 1000)
#define N_RACERS 50

static int use_real_clock(void **state)
{
    (void)state;
    clock_set_for_test(-1);
    return 0;
}

/* A string for struct run, whose members own theirs. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* --- Making and loading ------------------------------------------------------------------- */

static struct run full_run(void)
{
    struct run run = {
        .id = id_make(clock_wall_ms(), random_u64()),
        .token_id = 3,
        .installation_id = 1LL << 40,
        .repo = lit("octo/hello"),
        .agent = lit("opencode"),
        .model = lit("m"),
        .provider = lit("p"),
        .mode = lit("plan"),
        .base_branch = lit("trunk"),
        .title = lit("T"),
        .prompt = lit("Mach es sch\xc3\xb6n; DROP TABLE run; --'\""),
        .ticket_id = lit("X-1"),
        .ticket_summary = lit("sum"),
        .test_command = lit("make test"),
        .options = lit("{\"tools\":[]}"),
        .retry_of = lit("0mhyv1x3k9q2zj7w4b8t"),
        .not_before_ms = 5,
        .deadline_ms = 77,
    };

    memset(run.task_token_hash, 0xab, sizeof(run.task_token_hash));
    return run;
}

static void test_a_run_comes_back_as_it_was_stored(void **state)
{
    scoped(db) db = open_memory();
    struct insert insert = {.run = full_run()};
    struct err err = {0};
    scoped_run_details details = {0};
    scoped(run) run = NULL;

    (void)state;
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    run = now_of(db, insert.run.id);
    assert_true(id_equal(run->id, insert.run.id));
    assert_int_equal(run->status, RUN_PENDING);
    assert_int_equal(run->attempt, 0);
    assert_int_equal(run->token_id, 3);
    assert_int_equal(run->installation_id, 1LL << 40);
    assert_string_equal(run->repo, "octo/hello");
    assert_string_equal(run->agent, "opencode");
    assert_string_equal(run->model, "m");
    assert_string_equal(run->provider, "p");
    assert_string_equal(run->mode, "plan");
    assert_string_equal(run->base_branch, "trunk");
    assert_string_equal(run->title, "T");
    assert_string_equal(run->prompt, insert.run.prompt);
    assert_string_equal(run->ticket_id, "X-1");
    assert_string_equal(run->ticket_summary, "sum");
    assert_string_equal(run->test_command, "make test");
    assert_string_equal(run->retry_of, "0mhyv1x3k9q2zj7w4b8t");
    assert_null(run->options);
    assert_ok(run_details_load(db, insert.run.id, &details, &err), err);
    assert_string_equal(details.options, "{\"tools\":[]}");
    assert_null(details.result);
    assert_int_equal(run->not_before_ms, 5);
    assert_int_equal(run->deadline_ms, 77);
    assert_memory_equal(run->task_token_hash, insert.run.task_token_hash, SHA256_SIZE);
}

static void test_what_is_not_known_is_null_or_zero(void **state)
{
    scoped(db) db = open_memory();
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64())}};
    struct err err = {0};
    scoped(run) run = NULL;
    static const uint8_t zeroes[SHA256_SIZE];

    (void)state;
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    run = now_of(db, insert.run.id);
    assert_null(run->repo);
    assert_null(run->prompt);
    assert_null(run->model);
    assert_null(run->error);
    assert_null(run->usage);
    assert_null(run->launcher);
    assert_int_equal(run->token_id, 0);
    assert_int_equal(run->ended_ms, 0);
    assert_int_equal(run->error_code, FAILURE_NONE);
    assert_false(run->draft || run->partial || run->stop_requested);
    assert_memory_equal(run->task_token_hash, zeroes, SHA256_SIZE);
    assert_memory_equal(run->report_hash, zeroes, SHA256_SIZE);
}

static void test_a_missing_run_is_not_found(void **state)
{
    scoped(db) db = open_memory();
    struct id id;
    struct err err = {0};

    (void)state;
    assert_true(id_parse("01jab2c314e5f6g7h8i9", &id));
    assert_null(run_store_load(db, id, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "there is no run 01jab2c314e5f6g7h8i9");
}

static void test_another_tail_is_another_run(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};
    int attempt;
    bool flag;

    (void)state;
    id.tail ^= 1;
    assert_null(run_store_load(db, id, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_refused(run_store_launch(db, id, "fake", (uint8_t[32]){0}, 1, &attempt, &err), err,
                   ERR_NOT_FOUND, NULL);
    assert_refused(run_store_request_stop(db, id, 1, NULL, &flag, &err), err, ERR_NOT_FOUND,
                   NULL);
}

static void test_a_key_is_given_once(void **state)
{
    scoped(db) db = open_memory();
    struct insert insert = {.run = full_run()};
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    insert.run.id.tail ^= 1;
    assert_refused(db_write(db, insert_write, &insert, &err), err, ERR_CONFLICT, NULL);
}

static void test_a_long_prompt_is_kept_whole(void **state)
{
    scoped(db) db = open_memory();
    struct insert insert = {.run = full_run()};
    scoped_str prompt = xcalloc(1, 65537);
    struct err err = {0};
    scoped(run) run = NULL;

    (void)state;
    memset(prompt, 'p', 65536);
    insert.run.prompt = prompt;
    assert_ok(db_write(db, insert_write, &insert, &err), err);
    run = now_of(db, insert.run.id);
    assert_string_equal(run->prompt, prompt);
}

static void test_a_row_is_small(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.db", dir);
    struct err err = {0};
    struct db *db = db_open(path, &err);
    scoped_file file = NULL;

    (void)state;
    assert_made(db, err);
    for (int i = 0; i < 2000; i++)
        (void)add_run(db);
    db_free(db);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    if (ftell(file) > 2000 * 250 + 100000)
        fail_msg("%ld bytes a run", ftell(file) / 2000);
    test_dir_remove(dir);
}

/* --- Idempotency
 * ------------------------------------------------------------------------------ */

static struct insert insert_with_key(int64_t token_id, const char *key, uint8_t body)
{
    struct insert insert = {.run = full_run(),
                            .idempotency = {.token_id = token_id, .key = key}};

    memset(insert.idempotency.body_hash, body, SHA256_SIZE);
    return insert;
}

static int64_t count_pending(struct db *db)
{
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};

    assert_ok(run_store_count(db, counts, &err), err);
    return counts[RUN_PENDING];
}

static void test_the_same_key_and_body_is_the_same_run(void **state)
{
    scoped(db) db = open_memory();
    struct insert first = insert_with_key(1, "k", 1);
    struct insert again = insert_with_key(1, "k", 1);
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, insert_write, &first, &err), err);
    assert_true(id_equal(first.existing, (struct id){0}));
    assert_ok(db_write(db, insert_write, &again, &err), err);
    assert_true(id_equal(again.existing, first.run.id));
    assert_int_equal(count_pending(db), 1);
}

static void test_the_same_key_with_another_body_is_refused(void **state)
{
    scoped(db) db = open_memory();
    struct insert first = insert_with_key(1, "k", 1);
    struct insert other = insert_with_key(1, "k", 2);
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, insert_write, &first, &err), err);
    assert_refused(db_write(db, insert_write, &other, &err), err, ERR_CONFLICT,
                   "idempotency_key_reused");
    assert_int_equal(count_pending(db), 1);
}

static void test_keys_belong_to_their_token(void **state)
{
    scoped(db) db = open_memory();
    struct insert first = insert_with_key(1, "k", 1);
    struct insert other_token = insert_with_key(2, "k", 2);
    struct insert other_key = insert_with_key(1, "K", 2);
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, insert_write, &first, &err), err);
    assert_ok(db_write(db, insert_write, &other_token, &err), err);
    assert_ok(db_write(db, insert_write, &other_key, &err), err);
    assert_int_equal(count_pending(db), 3);
}

static void test_without_a_token_or_key_every_insert_counts(void **state)
{
    scoped(db) db = open_memory();
    struct insert no_token = insert_with_key(0, "k", 1);
    struct insert no_key = insert_with_key(1, NULL, 1);
    struct insert no_key_again = insert_with_key(1, NULL, 1);
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, insert_write, &no_token, &err), err);
    assert_ok(db_write(db, insert_write, &no_key, &err), err);
    assert_ok(db_write(db, insert_write, &no_key_again, &err), err);
    assert_int_equal(count_pending(db), 3);
}

static void test_a_key_is_free_again_after_a_day(void **state)
{
    scoped(db) db = open_memory();
    struct insert first;
    struct insert later;
    struct insert again;
    struct err err = {0};

    (void)state;
    clock_set_for_test(NO_TIME_YET);
    first = insert_with_key(1, "k", 1);
    assert_ok(db_write(db, insert_write, &first, &err), err);
    clock_set_for_test(NO_TIME_YET + DAY_MS - 1);
    later = insert_with_key(1, "k", 2);
    assert_refused(db_write(db, insert_write, &later, &err), err, ERR_CONFLICT,
                   "idempotency_key_reused");
    clock_set_for_test(NO_TIME_YET + DAY_MS);
    assert_ok(db_write(db, insert_write, &later, &err), err);
    assert_true(id_equal(later.existing, (struct id){0}));
    again = insert_with_key(1, "k", 2);
    assert_ok(db_write(db, insert_write, &again, &err), err);
    assert_true(id_equal(again.existing, later.run.id));
}

struct racer {
    struct db *db;
    struct insert insert;
    bool failed;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    struct err err = {0};

    racer->failed = db_write(racer->db, insert_write, &racer->insert, &err) < 0;
    return NULL;
}

static void test_of_fifty_at_once_one_makes_the_run(void **state)
{
    scoped(db) db = open_memory();
    struct racer racers[N_RACERS];
    pthread_t threads[N_RACERS];
    struct id made = {0};
    int n_made = 0;

    (void)state;
    for (int i = 0; i < N_RACERS; i++) {
        racers[i] = (struct racer){.db = db, .insert = insert_with_key(1, "k", 1)};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < N_RACERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_false(racers[i].failed);
        if (id_equal(racers[i].insert.existing, (struct id){0})) {
            made = racers[i].insert.run.id;
            n_made++;
        }
    }
    assert_int_equal(n_made, 1);
    for (int i = 0; i < N_RACERS; i++)
        assert_true(id_equal(racers[i].insert.existing, (struct id){0})
                    || id_equal(racers[i].insert.existing, made));
    assert_int_equal(count_pending(db), 1);
}

/* --- Counting ----------------------------------------------------------------------------- */

static void test_counts_are_per_status(void **state)
{
    scoped(db) db = open_memory();
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};

    (void)state;
    for (int status = 0; status < RUN_STATUS_COUNT; status++)
        for (int i = 0; i <= status; i++)
            (void)add_run_in(db, (enum run_status)status);
    assert_ok(run_store_count(db, counts, &err), err);
    for (int status = 0; status < RUN_STATUS_COUNT; status++)
        assert_int_equal(counts[status], status + 1);
}

static void test_the_newest_key_is_that_of_the_newest_run(void **state)
{
    scoped(db) db = open_memory();
    struct err err = {0};
    int64_t key = -1;
    struct id id;

    (void)state;
    assert_ok(run_store_newest_key(db, &key, &err), err);
    assert_int_equal(key, 0);
    (void)add_run(db);
    id = add_run(db);
    assert_ok(run_store_newest_key(db, &key, &err), err);
    assert_int_equal(key, id.key);
}

TEST_MAIN(cmocka_unit_test(test_a_run_comes_back_as_it_was_stored),
          cmocka_unit_test(test_what_is_not_known_is_null_or_zero),
          cmocka_unit_test(test_a_missing_run_is_not_found),
          cmocka_unit_test(test_another_tail_is_another_run),
          cmocka_unit_test(test_a_key_is_given_once),
          cmocka_unit_test(test_a_long_prompt_is_kept_whole),
          cmocka_unit_test(test_a_row_is_small),
          cmocka_unit_test(test_the_same_key_and_body_is_the_same_run),
          cmocka_unit_test(test_the_same_key_with_another_body_is_refused),
          cmocka_unit_test(test_keys_belong_to_their_token),
          cmocka_unit_test(test_without_a_token_or_key_every_insert_counts),
          cmocka_unit_test_teardown(test_a_key_is_free_again_after_a_day, use_real_clock),
          cmocka_unit_test(test_of_fifty_at_once_one_makes_the_run),
          cmocka_unit_test(test_counts_are_per_status),
          cmocka_unit_test(test_the_newest_key_is_that_of_the_newest_run))
