/* SPDX-License-Identifier: Apache-2.0 */
/* What is written beside the moves of test_interrupted.c, while SQLite gives up at some point
 * of it, each in turn: it is done as a whole, or refused with nothing done and can be done
 * again. */
#include <string.h>

#include "base/alloc.h"
#include "giving_up.h"
#include "store/credential_store.h"
#include "store/delivery_store.h"
#include "store/event_store.h"
#include "store/personal_token_store.h"
#include "store/run_details.h"
#include "store/run_queue.h"
#include "store/token_store.h"

#define NOW NO_TIME_YET
#define HOOK "https://hooks.example.com/a"
#define N_OLD 3

struct scene {
    struct db *db;
    struct id run;
    struct delivery *delivery;
    struct token_store *tokens;
    struct personal_token_store *people;
    struct credential_store *credentials;
    char which[TOKEN_DISPLAY_SIZE];
};

/* --- What there is ------------------------------------------------------------------------ */

/* Everything in the database: as it is, and how much. */
struct sight {
    uint64_t exactly;
    int64_t rows;
    int64_t text_bytes;
};

static void add_value(struct sight *sight, sqlite3_stmt *row, int column)
{
    bool is_text = sqlite3_column_type(row, column) == SQLITE_TEXT;
    const char *value = (const char *)sqlite3_column_text(row, column);

    /* Numbers are as long as chance has them. */
    if (is_text)
        sight->text_bytes += (int64_t)strlen(value);
    for (; value && *value; value++)
        sight->exactly = (sight->exactly ^ (unsigned char)*value) * 1099511628211U;
    sight->exactly = sight->exactly * 31 + !value;
}

static int add_table(struct db_conn *conn, const char *table, struct sight *sight,
                     struct err *err)
{
    scoped_str sql = xasprintf("SELECT * FROM %s", table);
    sqlite3_stmt *row = NULL;

    if (sqlite3_prepare_v2(conn->raw, sql, -1, &row, NULL) != SQLITE_OK)
        return db_conn_fail(conn, sql, err);
    for (; sqlite3_step(row) == SQLITE_ROW; sight->rows++)
        for (int i = 0; i < sqlite3_column_count(row); i++)
            add_value(sight, row, i);
    return sqlite3_finalize(row) == SQLITE_OK ? 0 : db_conn_fail(conn, sql, err);
}

static int sight_read(struct db_conn *conn, void *ctx, struct err *err)
{
    static const char *const tables[] = {
        "run",      "run_input",         "run_secret",     "run_result",  "event",
        "pruned",   "integration_token", "personal_token", "idempotency", "audit",
        "delivery", "receiver",          "credential"};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        if (add_table(conn, tables[i], ctx, err) < 0)
            return -1;
    return 0;
}

static struct sight see(struct db *db)
{
    struct sight sight = {.exactly = 14695981039346656037U};
    struct err err = {0};

    assert_ok(db_read(db, sight_read, &sight, &err), err);
    return sight;
}

/* --- Scenes ------------------------------------------------------------------------------- */

static void waiting_run(struct scene *scene)
{
    scene->run = add_run_in(scene->db, RUN_PENDING);
}

static void launching_run(struct scene *scene)
{
    scene->run = add_run_in(scene->db, RUN_LAUNCHING);
}

static void running_run(struct scene *scene)
{
    scene->run = add_run_in(scene->db, RUN_RUNNING);
}

static void running_of_many_hooks(struct scene *scene)
{
    static const struct delivery_receiver all[] = {{HOOK, ~0U}, {HOOK "2", ~0U}};
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64()),
                                    .owner = 7,
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix the typo",
                                    .webhook_url = (char *)(uintptr_t)HOOK "3"}};
    struct err err = {0};

    assert_ok(delivery_store_set_receivers(scene->db, all, ARRAY_SIZE(all), &err), err);
    assert_ok(db_write(scene->db, insert_write, &insert, &err), err);
    (void)launch(scene->db, insert.run.id);
    assert_ok(run_store_claim(scene->db, insert.run.id, 1, "r1", NOW, NOW, NULL, &err), err);
    scene->run = insert.run.id;
}

/* Two for one receiver; the scene has the first. */
static void due_delivery(struct scene *scene)
{
    static const struct delivery_receiver hook = {HOOK, ~0U};
    struct delivery_page page = {0};
    struct err err = {0};

    assert_ok(delivery_store_set_receivers(scene->db, &hook, 1, &err), err);
    for (int i = 0; i < 2; i++)
        (void)add_run_in(scene->db, RUN_COMPLETED);
    assert_ok(delivery_store_due(scene->db, false, INT64_MAX, 1, &page, &err), err);
    assert_int_equal(page.count, 1);
    scene->delivery = page.all[0];
    page.count = 0;
    delivery_page_done(&page);
}

static int note(struct scene *scene, enum delivery_status status, struct err *err)
{
    struct delivery_attempt attempt = {.status = status, .at_ms = NOW, .next_ms = NOW + 1};

    return delivery_store_note(scene->db, scene->delivery, &attempt, err);
}

static void failed_delivery(struct scene *scene)
{
    struct err err = {0};

    due_delivery(scene);
    assert_ok(note(scene, DELIVERY_FAILED, &err), err);
}

static void token_kept(struct scene *scene)
{
    struct integration_token token = {.repo = (char *)(uintptr_t) "octo/hello",
                                      .created_by = (char *)(uintptr_t) "root",
                                      .created_ms = NOW};
    scoped(secret) text = integration_token_make(token.display_prefix);
    struct token_grant grant;
    struct err err = {0};

    scene->tokens = token_store_open(scene->db, &err);
    assert_made(scene->tokens, err);
    token_hash(secret_reveal(text), token.hash);
    assert_ok(token_store_add(scene->tokens, &token, NULL, &err), err);
    assert_true(token_store_find(scene->tokens, secret_reveal(text), NOW, &grant));
    memcpy(scene->which, token.display_prefix, sizeof(scene->which));
}

static void people_known(struct scene *scene)
{
    struct err err = {0};

    scene->people = personal_token_store_open(scene->db, &err);
    assert_made(scene->people, err);
}

static void credentials_known(struct scene *scene)
{
    struct err err = {0};

    scene->credentials = credential_store_open(scene->db, &err);
    assert_made(scene->credentials, err);
}

/* Of long ago, each with an idempotency key, an event and a delivery. */
static void old_runs(struct scene *scene)
{
    static const struct delivery_receiver hook = {HOOK, ~0U};
    static const struct run_event event = {.seq = 1, .at_ms = 2000, .type = "log"};
    struct run_end end = {.status = RUN_COMPLETED, .result = "the answer"};
    struct err err = {0};

    assert_ok(delivery_store_set_receivers(scene->db, &hook, 1, &err), err);
    for (int i = 0; i < N_OLD; i++) {
        char key[16];
        struct insert insert = {.run = {.id = id_make(1000 + i, random_u64()),
                                        .agent = (char *)(uintptr_t) "claude-code",
                                        .prompt = (char *)(uintptr_t) "Fix the typo"},
                                .idempotency = {.token_id = 1, .key = key}};
        enum run_status from;
        int64_t stored;

        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_ok(db_write(scene->db, insert_write, &insert, &err), err);
        (void)launch(scene->db, insert.run.id);
        assert_ok(run_store_claim(scene->db, insert.run.id, 1, "r", 2000, 0, NULL, &err), err);
        assert_ok(event_store_add(scene->db, insert.run.id, 1, &event, 1, &stored, &err), err);
        assert_ok(run_store_end(scene->db, insert.run.id, 1, &end, 3000, &from, &err), err);
    }
}

/* --- What is done ------------------------------------------------------------------------- */

static int end_with_result(struct scene *scene, struct err *err)
{
    struct run_end end = {.status = RUN_COMPLETED, .result = "the answer"};
    enum run_status from;

    return run_store_end(scene->db, scene->run, 1, &end, NOW, &from, err);
}

static int note_deadline(struct scene *scene, struct err *err)
{
    enum run_status status;

    return run_store_job_started(scene->db, scene->run, 1, "job-1", NOW + 1, &status, err);
}

static int note_start(struct scene *scene, struct err *err)
{
    enum run_status status;

    return run_store_job_started(scene->db, scene->run, 1, "job-1", 0, &status, err);
}

static int push_deadline(struct scene *scene, struct err *err)
{
    return run_store_push_deadline(scene->db, scene->run, 1, NOW + 1, err);
}

static int hand_on(struct scene *scene, struct err *err)
{
    return run_store_requeue_for(scene->db, scene->run, 1, "other", NOW, NOW, "no luck", err);
}

static int set_aside(struct scene *scene, struct err *err)
{
    return run_queue_set_aside(scene->db, &scene->run, 1, 60, err);
}

static int adopt(struct scene *scene, struct err *err)
{
    static const uint8_t hash[SHA256_SIZE] = {9};
    struct run seen = {.id = scene->run};
    struct run_adoption adoption = {.seen = &seen,
                                    .to = RUN_RUNNING,
                                    .attempt = 3,
                                    .launcher = "fake",
                                    .job_ref = "job-3",
                                    .token_hash = hash,
                                    .now_ms = NOW,
                                    .deadline_ms = NOW};

    return run_store_adopt(scene->db, &adoption, err);
}

static void adopted_run(struct scene *scene)
{
    struct err err = {0};

    waiting_run(scene);
    assert_ok(adopt(scene, &err), err);
}

static int claim_adopted(struct scene *scene, struct err *err)
{
    return run_store_claim(scene->db, scene->run, 3, "r3", NOW, NOW, NULL, err);
}

static int secret_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct scene *scene = ctx;

    return run_details_keep_secret(conn, scene->run, (const uint8_t *)"sealed", 6, err);
}

static int keep_secret(struct scene *scene, struct err *err)
{
    return db_write(scene->db, secret_write, scene, err);
}

static int add_events(struct scene *scene, struct err *err)
{
    static const struct run_event events[] = {{1, NOW, "log", "{\"text\":\"a\"}"},
                                              {2, NOW, "log", "{\"text\":\"b\"}"}};
    int64_t stored;

    return event_store_add(scene->db, scene->run, 1, events, ARRAY_SIZE(events), &stored, err);
}

static int set_receivers(struct scene *scene, struct err *err)
{
    static const struct delivery_receiver all[] = {{HOOK "4", 1}, {HOOK "5", 2}};

    return delivery_store_set_receivers(scene->db, all, ARRAY_SIZE(all), err);
}

static int note_delivered(struct scene *scene, struct err *err)
{
    return note(scene, DELIVERY_DELIVERED, err);
}

static int redeliver(struct scene *scene, struct err *err)
{
    return delivery_store_redeliver(scene->db, scene->delivery->id, NOW, NULL, err);
}

static int prune_deliveries(struct scene *scene, struct err *err)
{
    int64_t deleted;

    return delivery_store_prune(scene->db, 2 * NOW, 10, &deleted, err);
}

static int prune_runs(struct scene *scene, struct err *err)
{
    struct run_page gone = {0};

    if (run_store_prune(scene->db, 2 * NOW, NOW, 10, &gone, err) < 0)
        return -1;
    run_page_done(&gone);
    return 0;
}

static int add_token(struct scene *scene, struct err *err)
{
    struct integration_token token = {.repo = (char *)(uintptr_t) "octo/other",
                                      .hash = {1},
                                      .display_prefix = "vgvbot_abcd",
                                      .created_by = (char *)(uintptr_t) "root",
                                      .created_ms = NOW};

    return token_store_add(scene->tokens, &token, NULL, err);
}

static int revoke_token(struct scene *scene, struct err *err)
{
    return token_store_revoke(scene->tokens, scene->which, NOW, NULL, err);
}

static int flush_tokens(struct scene *scene, struct err *err)
{
    return token_store_flush(scene->tokens, err);
}

static int add_person(struct scene *scene, struct err *err)
{
    struct personal_token token = {.user = (char *)(uintptr_t) "Ada Lovelace",
                                   .hash = {2},
                                   .scopes = TOKEN_READ,
                                   .display_prefix = "vgvpat_abcd",
                                   .created_by = (char *)(uintptr_t) "root",
                                   .created_ms = NOW};

    return personal_token_store_add(scene->people, &token, NULL, err);
}

static int name_credential(struct scene *scene, struct err *err)
{
    int64_t number;

    return credential_store_number(scene->credentials, "key:0123456789abcdef", &number, err);
}

static const struct work {
    const char *name;
    void (*prepare)(struct scene *scene);
    int (*make)(struct scene *scene, struct err *err);
    bool in_steps; /* of which some may be done already */
} works[] = {
    {"an end that three are told of", running_of_many_hooks, end_with_result, false},
    {"a job's start", launching_run, note_start, false},
    {"a job's start and deadline", launching_run, note_deadline, false},
    {"another deadline", launching_run, push_deadline, false},
    {"another launcher", launching_run, hand_on, false},
    {"waiting its turn", waiting_run, set_aside, false},
    {"adopting", waiting_run, adopt, false},
    {"claiming what was adopted", adopted_run, claim_adopted, false},
    {"a secret", waiting_run, keep_secret, false},
    {"events", running_run, add_events, false},
    {"receivers", due_delivery, set_receivers, false},
    {"a delivery's end", due_delivery, note_delivered, false},
    {"a delivery once more", failed_delivery, redeliver, false},
    {"forgetting deliveries", failed_delivery, prune_deliveries, true},
    {"forgetting runs", old_runs, prune_runs, true},
    {"a token", token_kept, add_token, false},
    {"a token's revocation", token_kept, revoke_token, false},
    {"a token's use", token_kept, flush_tokens, false},
    {"a person's token", people_known, add_person, false},
    {"a credential", credentials_known, name_credential, false},
};

/* --- Giving up ---------------------------------------------------------------------------- */

static void begin(struct scene *scene, const struct work *work)
{
    *scene = (struct scene){.db = open_memory()};
    clock_set_for_test(NOW + 1);
    give_up_watch(scene->db);
    work->prepare(scene);
}

static void leave(struct scene *scene)
{
    delivery_free(scene->delivery);
    token_store_free(scene->tokens);
    personal_token_store_free(scene->people);
    credential_store_free(scene->credentials);
    db_free(scene->db);
}

/* What it comes to when nothing is in its way. */
static struct sight whole(const struct work *work)
{
    struct scene scene;
    struct sight before;
    struct sight sight;
    struct err err = {0};

    begin(&scene, work);
    before = see(scene.db);
    assert_ok(work->make(&scene, &err), err);
    sight = see(scene.db);
    assert_true(sight.exactly != before.exactly);
    leave(&scene);
    return sight;
}

/* False: it was through before it came to that. */
static bool interrupt(const struct work *work, int64_t nth, bool for_good,
                      const struct sight *wanted, int *refused)
{
    struct scene scene;
    struct sight before;
    struct sight after;
    struct err err = {0};
    bool reached;
    int result;

    begin(&scene, work);
    before = see(scene.db);
    give_up_at(nth, for_good);
    result = work->make(&scene, &err);
    reached = give_up_no_more();
    if (result < 0) {
        (*refused)++;
        if (!atomic_load(&gave_up) || err.kind != ERR_UNAVAILABLE)
            fail_msg("%s, %lld: %s", work->name, (long long)nth, err.text);
        if (!work->in_steps && see(scene.db).exactly != before.exactly)
            fail_msg("%s, %lld: refused, but some of it is done", work->name, (long long)nth);
        err = (struct err){0};
        assert_ok(work->make(&scene, &err), err);
    }
    after = see(scene.db);
    if (after.rows != wanted->rows || after.text_bytes != wanted->text_bytes)
        fail_msg("%s, %lld: %lld rows with %lld bytes, but %lld with %lld", work->name,
                 (long long)nth, (long long)after.rows, (long long)after.text_bytes,
                 (long long)wanted->rows, (long long)wanted->text_bytes);
    leave(&scene);
    return reached;
}

/* At each of the first looks, and then at ever fewer of them. */
static void give_up_everywhere(bool for_good, int fineness)
{
    for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
        struct sight wanted = whole(&works[i]);
        int64_t nth = 1;
        int refused = 0;

        while (interrupt(&works[i], nth, for_good, &wanted, &refused))
            nth += 1 + nth / fineness;
        if (refused < 3)
            fail_msg("%s was refused %d times", works[i].name, refused);
    }
}

static void test_a_write_is_done_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    give_up_everywhere(false, 24);
}

/* Not even what was begun can be taken back then, until it is well again. */
static void test_a_database_that_gives_up_for_good_is_as_before_once_it_is_well(void **state)
{
    (void)state;
    give_up_everywhere(true, 6);
}

TEST_MAIN(cmocka_unit_test(test_a_write_is_done_as_a_whole_or_not_at_all),
          cmocka_unit_test(test_a_database_that_gives_up_for_good_is_as_before_once_it_is_well))
