/* SPDX-License-Identifier: Apache-2.0 */
/* Every question to the store while SQLite gives up at some point of it, each in turn: it is
 * answered as a whole or refused, never with a part of the answer. */
#include <string.h>

#include "base/buf.h"
#include "giving_up.h"
#include "store/credential_store.h"
#include "store/delivery_store.h"
#include "store/event_store.h"
#include "store/journal.h"
#include "store/personal_token_store.h"
#include "store/run_details.h"
#include "store/run_queue.h"
#include "store/token_store.h"

#define NOW NO_TIME_YET
#define HOOK "https://hooks.example.com/a"
#define OWNER 7

/* What all questions are about. */
static struct scene {
    struct db *db;
    struct id run;      /* one that has ended, with a result */
    struct id guarded;  /* one with a secret */
    struct id delivery; /* of the end of the first */
} scene;

/* --- Runs --------------------------------------------------------------------------------- */

static void put_run(struct buf *out, const struct run *run)
{
    buf_printf(out, "%lld %s %s;", (long long)run->id.key, run_status_name(run->status),
               run->prompt ? run->prompt : "");
}

static int put_page(struct buf *out, struct run_page *page)
{
    for (size_t i = 0; i < page->n_runs; i++)
        put_run(out, page->runs[i]);
    buf_printf(out, "next %lld", (long long)page->next.key);
    run_page_done(page);
    return 0;
}

static int ask_run(struct buf *out, struct err *err)
{
    scoped(run) run = run_store_load(scene.db, scene.run, err);

    if (!run)
        return -1;
    put_run(out, run);
    return 0;
}

static int ask_page(const struct run_filter *filter, struct buf *out, struct err *err)
{
    struct run_page page = {0};

    return run_store_page(scene.db, filter, &page, err) < 0 ? -1 : put_page(out, &page);
}

static int ask_all(struct buf *out, struct err *err)
{
    return ask_page(&(struct run_filter){.all = true, .limit = 2}, out, err);
}

static int ask_some(struct buf *out, struct err *err)
{
    return ask_page(&(struct run_filter){.owner = OWNER, .shared = true, .limit = 3}, out, err);
}

static int ask_count(struct buf *out, struct err *err)
{
    int64_t counts[RUN_STATUS_COUNT];

    if (run_store_count(scene.db, counts, err) < 0)
        return -1;
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        buf_printf(out, "%lld ", (long long)counts[i]);
    return 0;
}

static int ask_newest_key(struct buf *out, struct err *err)
{
    int64_t key = 0;

    if (run_store_newest_key(scene.db, &key, err) < 0)
        return -1;
    buf_printf(out, "%lld", (long long)key);
    return 0;
}

static int ask_next_pending(int64_t now_ms, struct buf *out, struct err *err)
{
    int64_t next_ms;
    scoped(run) run = run_store_next_pending(scene.db, now_ms, &next_ms, err);

    if (!run && err->kind != ERR_NOT_FOUND)
        return -1;
    if (run)
        put_run(out, run);
    buf_printf(out, "at %lld", (long long)next_ms);
    return 0;
}

static int ask_next(struct buf *out, struct err *err)
{
    return ask_next_pending(INT64_MAX - 1, out, err);
}

static int ask_next_later(struct buf *out, struct err *err)
{
    return ask_next_pending(1, out, err);
}

static int ask_due(struct buf *out, struct err *err)
{
    struct run_page page = {0};

    return run_store_due(scene.db, INT64_MAX, 10, &page, err) < 0 ? -1 : put_page(out, &page);
}

static int ask_stale(struct buf *out, struct err *err)
{
    struct run_page page = {0};

    if (run_store_stale(scene.db, NOW * 2, 10, &page, err) < 0)
        return -1;
    return put_page(out, &page);
}

static int ask_active(struct buf *out, struct err *err)
{
    struct run_page page = {0};

    if (run_store_active(scene.db, (struct id){0}, 10, &page, err) < 0)
        return -1;
    return put_page(out, &page);
}

static void put_place(void *ctx, const struct run_place *place)
{
    buf_printf(ctx, "%lld %d;", (long long)place->id.key, place->priority);
}

static int ask_queue(struct buf *out, struct err *err)
{
    int64_t after = 0;

    return run_queue_page(scene.db, RUN_PENDING, NOW, &after, put_place, out, err);
}

static int ask_details(struct buf *out, struct err *err)
{
    scoped_run_details details = {0};

    if (run_details_load(scene.db, scene.run, &details, err) < 0)
        return -1;
    buf_printf(out, "%s %s", details.options, details.result);
    return 0;
}

static int ask_secret(struct buf *out, struct err *err)
{
    uint8_t *sealed = NULL;
    size_t size;

    if (run_details_secret(scene.db, scene.guarded, &sealed, &size, err) < 0)
        return -1;
    buf_append(out, sealed, size);
    free(sealed);
    return 0;
}

/* --- What happened ------------------------------------------------------------------------ */

static int put_event(void *ctx, const struct run_event *event)
{
    buf_printf(ctx, "%lld %s;", (long long)event->seq, event->type);
    return 0;
}

static int ask_events(struct buf *out, struct err *err)
{
    return event_store_each(scene.db, scene.run, 0, 10, put_event, out, err);
}

static int put_entry(void *ctx, const struct journal_entry *entry)
{
    buf_printf(ctx, "%lld %s %d;", (long long)entry->number, entry->type ? entry->type : "",
               (int)entry->status);
    return 0;
}

static int ask_journal_of(struct id run, struct buf *out, struct err *err)
{
    struct journal_query query = {.run = run, .all = true, .until = 100, .limit = 10};
    int64_t seen;

    if (journal_each(scene.db, &query, put_entry, out, &seen, err) < 0)
        return -1;
    buf_printf(out, "seen %lld", (long long)seen);
    return 0;
}

static int ask_journal(struct buf *out, struct err *err)
{
    return ask_journal_of((struct id){0}, out, err);
}

static int ask_run_journal(struct buf *out, struct err *err)
{
    return ask_journal_of(scene.run, out, err);
}

static int ask_newest(struct buf *out, struct err *err)
{
    int64_t newest = 0;
    int64_t of_run = 0;
    bool over;

    if (journal_newest(scene.db, &newest, err) < 0
        || journal_newest_of(scene.db, scene.run, &of_run, &over, err) < 0)
        return -1;
    buf_printf(out, "%lld, %lld, %d", (long long)newest, (long long)of_run, over);
    return 0;
}

static void put_audit(void *ctx, const struct audit_entry *entry)
{
    buf_printf(ctx, "%lld %s;", (long long)entry->number, entry->action);
}

static int ask_audit_page(const struct audit_filter *filter, struct buf *out, struct err *err)
{
    int64_t next;

    if (audit_page(scene.db, filter, put_audit, out, &next, err) < 0)
        return -1;
    buf_printf(out, "next %lld", (long long)next);
    return 0;
}

static int ask_audit(struct buf *out, struct err *err)
{
    return ask_audit_page(&(struct audit_filter){.since_ms = 1, .limit = 2}, out, err);
}

static int ask_audit_of(struct buf *out, struct err *err)
{
    return ask_audit_page(&(struct audit_filter){.actor = "person", .limit = 2}, out, err);
}

static int ask_verdict(struct buf *out, struct err *err)
{
    struct audit_verdict verdict;

    if (audit_verify(scene.db, NULL, &verdict, err) < 0)
        return -1;
    buf_printf(out, "%lld, %lld", (long long)verdict.entries, (long long)verdict.broken);
    return 0;
}

/* --- Deliveries --------------------------------------------------------------------------- */

static int put_deliveries(struct buf *out, struct delivery_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        buf_printf(out, "%lld;", (long long)page->all[i]->id.key);
    buf_printf(out, "next %lld", (long long)page->next.key);
    delivery_page_done(page);
    return 0;
}

static int ask_deliveries(struct buf *out, struct err *err)
{
    struct delivery_filter filter = {.all = true, .limit = 1};
    struct delivery_page page = {0};

    if (delivery_store_page(scene.db, &filter, &page, err) < 0)
        return -1;
    return put_deliveries(out, &page);
}

static int ask_due_deliveries(struct buf *out, struct err *err)
{
    struct delivery_page page = {0};

    if (delivery_store_due(scene.db, false, INT64_MAX, 10, &page, err) < 0)
        return -1;
    return put_deliveries(out, &page);
}

static int ask_delivery_times(struct buf *out, struct err *err)
{
    int64_t next_ms = 0;
    int64_t pending = 0;

    if (delivery_store_next(scene.db, 1, &next_ms, err) < 0
        || delivery_store_count_pending(scene.db, &pending, err) < 0)
        return -1;
    buf_printf(out, "%lld, %lld", (long long)next_ms, (long long)pending);
    return 0;
}

static int ask_delivery(struct buf *out, struct err *err)
{
    scoped(delivery) delivery = delivery_store_load(scene.db, scene.delivery, err);

    if (!delivery)
        return -1;
    buf_append_str(out, delivery->payload);
    return 0;
}

/* --- Who may ------------------------------------------------------------------------------ */

static int ask_tokens(struct buf *out, struct err *err)
{
    scoped(token_store) store = token_store_open(scene.db, err);
    struct integration_token **all;
    size_t count;

    if (!store || token_store_list(store, &all, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s;", all[i]->repo);
        integration_token_free(all[i]);
    }
    free(all);
    return 0;
}

static int ask_people(struct buf *out, struct err *err)
{
    scoped(personal_token_store) store = personal_token_store_open(scene.db, err);
    struct personal_token **all;
    size_t count;

    if (!store)
        return -1;
    all = personal_token_store_list(store, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s;", all[i]->user);
        personal_token_free(all[i]);
    }
    free(all);
    return 0;
}

static int ask_credentials(struct buf *out, struct err *err)
{
    scoped(credential_store) store = credential_store_open(scene.db, err);
    int64_t number = 0;

    if (!store || credential_store_number(store, "key:0123456789abcdef", &number, err) < 0)
        return -1;
    buf_printf(out, "%lld", (long long)number);
    return 0;
}

static int ask_integrity(struct buf *out, struct err *err)
{
    (void)out;
    return db_check(scene.db, err);
}

/* --- The scene ---------------------------------------------------------------------------- */

static void add_tokens(struct db *db)
{
    struct integration_token token = {.created_by = (char *)(uintptr_t) "root",
                                      .created_ms = NOW};
    struct personal_token person = {.user = (char *)(uintptr_t) "Ada Lovelace",
                                    .hash = {2},
                                    .display_prefix = "vgvpat_abcd",
                                    .created_by = (char *)(uintptr_t) "root",
                                    .created_ms = NOW};
    struct err err = {0};
    scoped(token_store) tokens = token_store_open(db, &err);
    scoped(personal_token_store) people = personal_token_store_open(db, &err);
    scoped(credential_store) credentials = credential_store_open(db, &err);
    int64_t number;

    assert_true(tokens && people && credentials);
    for (int i = 0; i < 2; i++) {
        scoped(secret) text = integration_token_make(token.display_prefix);

        token.repo = (char *)(uintptr_t)(i ? "octo/hello" : "octo/other");
        token_hash(secret_reveal(text), token.hash);
        assert_ok(token_store_add(tokens, &token, NULL, &err), err);
    }
    assert_ok(personal_token_store_add(people, &person, NULL, &err), err);
    assert_ok(credential_store_number(credentials, "key:0123456789abcdef", &number, &err), err);
}

/* One that is told of, with events and a result, stopped by a person after its end was asked.
 */
static struct id add_ended(struct db *db)
{
    static const struct audit_source person = {.actor = "person"};
    static const struct run_event events[] = {{1, NOW, "log", NULL}, {2, NOW, "log", NULL}};
    struct insert insert = {.run = {.id = id_make(NOW, random_u64()),
                                    .owner = OWNER,
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix the typo",
                                    .options = (char *)(uintptr_t) "{\"a\":1}"}};
    struct run_end end = {.status = RUN_COMPLETED, .result = "the answer", .source = &person};
    struct err err = {0};
    enum run_status from;
    int64_t stored;

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    (void)launch(db, insert.run.id);
    assert_ok(run_store_claim(db, insert.run.id, 1, "r1", NOW, NOW, &person, &err), err);
    assert_ok(event_store_add(db, insert.run.id, 1, events, 2, &stored, &err), err);
    assert_ok(run_store_end(db, insert.run.id, 1, &end, NOW, &from, &err), err);
    return insert.run.id;
}

static int secret_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct id *id = ctx;

    return run_details_keep_secret(conn, *id, (const uint8_t *)"sealed", 6, err);
}

static int make_scene(void **state)
{
    static const struct delivery_receiver hook = {HOOK, ~0U};
    struct delivery_page page = {0};
    struct err err = {0};

    (void)state;
    scene.db = open_memory();
    assert_ok(delivery_store_set_receivers(scene.db, &hook, 1, &err), err);
    add_tokens(scene.db);
    scene.run = add_ended(scene.db);
    (void)add_run_in(scene.db, RUN_COMPLETED);
    for (enum run_status status = RUN_PENDING; status <= RUN_RUNNING; status++)
        (void)add_run_in(scene.db, status);
    scene.guarded = add_run(scene.db);
    assert_ok(db_write(scene.db, secret_write, &scene.guarded, &err), err);
    /* One that waits for a moment. */
    assert_ok(run_store_requeue(scene.db, add_run_in(scene.db, RUN_LAUNCHING), 1, NOW, NOW,
                                "no luck", true, &err),
              err);
    assert_ok(delivery_store_due(scene.db, false, INT64_MAX, 1, &page, &err), err);
    scene.delivery = page.all[0]->id;
    delivery_page_done(&page);
    give_up_watch(scene.db);
    return 0;
}

static int leave_scene(void **state)
{
    (void)state;
    db_free(scene.db);
    return 0;
}

/* --- Giving up ---------------------------------------------------------------------------- */

static const struct question {
    const char *name;
    int (*ask)(struct buf *out, struct err *err);
} questions[] = {
    {"a run", ask_run},
    {"everybody's runs", ask_all},
    {"somebody's runs", ask_some},
    {"how many runs", ask_count},
    {"the newest key", ask_newest_key},
    {"the next to launch", ask_next},
    {"when the next may launch", ask_next_later},
    {"runs that are due", ask_due},
    {"runs that wait for long", ask_stale},
    {"runs under way", ask_active},
    {"the queue", ask_queue},
    {"a run's long texts", ask_details},
    {"a secret", ask_secret},
    {"events", ask_events},
    {"the journal", ask_journal},
    {"a run's journal", ask_run_journal},
    {"the newest entries", ask_newest},
    {"the audit log", ask_audit},
    {"a person's audit log", ask_audit_of},
    {"the audit log's soundness", ask_verdict},
    {"deliveries", ask_deliveries},
    {"deliveries that are due", ask_due_deliveries},
    {"when a delivery is due", ask_delivery_times},
    {"a delivery", ask_delivery},
    {"tokens", ask_tokens},
    {"people's tokens", ask_people},
    {"credentials", ask_credentials},
    {"integrity", ask_integrity},
};

/* False: it was through before it came to that. */
static bool interrupt(const struct question *question, int64_t nth, const char *wanted,
                      int *refused)
{
    scoped_buf answer = {0};
    struct err err = {0};
    bool reached;
    int result;

    give_up_at(nth, false);
    result = question->ask(&answer, &err);
    reached = give_up_no_more();
    if (result < 0) {
        (*refused)++;
        if (!atomic_load(&gave_up) || err.kind != ERR_UNAVAILABLE)
            fail_msg("%s, %lld: %s (%s)", question->name, (long long)nth, err.text,
                     err_kind_name(err.kind));
    } else if (strcmp(answer.data ? answer.data : "", wanted) != 0) {
        fail_msg("%s, %lld: %s, but %s", question->name, (long long)nth,
                 answer.data ? answer.data : "nothing", wanted);
    }
    return reached;
}

static void test_a_question_is_answered_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        const struct question *question = &questions[i];
        scoped_buf wanted = {0};
        struct err err = {0};
        int64_t nth = 1;
        int refused = 0;

        buf_append_str(&wanted, "");
        assert_ok(question->ask(&wanted, &err), err);
        while (interrupt(question, nth, wanted.data, &refused))
            nth += 1 + nth / 16;
        if (refused < 1)
            fail_msg("%s was never refused", question->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_is_answered_as_a_whole_or_not_at_all),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, make_scene, leave_scene);
}
