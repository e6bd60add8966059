/* SPDX-License-Identifier: Apache-2.0 */
#include "store/delivery_store.h"

#include <string.h>

#include "base/alloc.h"
#include "store_test.h"
#include "json/json.h"

#define NOW 1700000000000LL
#define HOUR_MS 3600000LL
#define HOOK "https://hooks.example.com/a"
#define ALL_EVENTS (1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED)

/* --- Runs that end ------------------------------------------------------------------------ */

struct wish {
    const char *webhook_url;
    int64_t owner;
};

/* A pending run of somebody who wants to be told. */
static struct id add_wishing(struct db *db, const struct wish *wish)
{
    struct insert insert = {.run = {.id = id_make(NOW, random_u64()),
                                    .repo = (char *)(uintptr_t) "octo/hello",
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix the prompt-canary",
                                    .title = (char *)(uintptr_t) "Fix it",
                                    .owner = wish->owner,
                                    .webhook_url = (char *)(uintptr_t)wish->webhook_url}};
    struct err err = {0};

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    return insert.run.id;
}

static struct id end_wishing(struct db *db, const char *url, int64_t now_ms)
{
    struct id id = add_wishing(db, &(struct wish){.webhook_url = url, .owner = 7});
    struct err err = {0};
    bool ended;

    assert_ok(run_store_request_stop(db, id, now_ms, NULL, &ended, &err), err);
    assert_true(ended);
    return id;
}

static struct delivery_page page_of(struct db *db, struct delivery_filter filter)
{
    struct delivery_page page;
    struct err err = {0};

    filter.limit = filter.limit ? filter.limit : 100;
    assert_ok(delivery_store_page(db, &filter, &page, &err), err);
    return page;
}

static size_t count_of(struct db *db)
{
    struct delivery_page page = page_of(db, (struct delivery_filter){.all = true});
    size_t count = page.count;

    delivery_page_done(&page);
    return count;
}

/* The only one there is. */
static struct delivery *only(struct db *db)
{
    struct delivery_page page = page_of(db, (struct delivery_filter){.all = true});
    struct delivery *delivery;
    struct err err = {0};

    assert_int_equal(page.count, 1);
    delivery = delivery_store_load(db, page.all[0]->id, &err);
    assert_made(delivery, err);
    delivery_page_done(&page);
    return delivery;
}

static void set_receivers(struct db *db, const struct delivery_receiver *all, size_t count)
{
    struct err err = {0};

    assert_ok(delivery_store_set_receivers(db, all, count, &err), err);
}

static void test_a_run_that_nobody_asked_about_has_none(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    (void)add_run_in(db, RUN_COMPLETED);
    assert_int_equal(count_of(db), 0);
}

static void test_each_way_of_ending_has_one(void **state)
{
    static const struct {
        enum run_status status;
        bool reported; /* by the runner */
        const char *event;
    } cases[] = {
        {RUN_COMPLETED, true, "run.completed"}, {RUN_FAILED, true, "run.failed"},
        {RUN_STOPPED, true, "run.stopped"},     {RUN_FAILED, false, "run.failed"},
        {RUN_STOPPED, false, "run.stopped"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(db) db = open_memory();
        struct id id = add_wishing(db, &(struct wish){.webhook_url = HOOK});
        struct run_end end = {.status = cases[i].status};
        enum run_status from;
        struct err err = {0};

        (void)launch(db, id);
        if (cases[i].reported)
            assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW, NULL, &err), err);
        assert_int_equal(count_of(db), 0);
        assert_ok(run_store_end(db, id, cases[i].reported ? 1 : 0, &end, NOW, &from, &err),
                  err);
        scoped(delivery) delivery = only(db);
        assert_string_equal(delivery->event, cases[i].event);
        assert_string_equal(delivery->url, HOOK);
        assert_int_equal(delivery->status, DELIVERY_PENDING);
        assert_int_equal(delivery->next_ms, NOW);
        assert_int_equal(delivery->give_up_ms, NOW + 24 * HOUR_MS);
        assert_true(id_equal(delivery->run, id));
        assert_false(delivery->configured);
    }
}

static void test_a_stopped_pending_run_has_one(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    (void)end_wishing(db, HOOK, NOW);
    scoped(delivery) delivery = only(db);
    assert_string_equal(delivery->event, "run.stopped");
    assert_int_equal(delivery->owner, 7);
}

static void test_a_repeated_report_has_no_second_one(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_wishing(db, &(struct wish){.webhook_url = HOOK});
    struct run_end end = {.status = RUN_COMPLETED, .report_hash = {1}};
    enum run_status from;
    struct err err = {0};

    (void)state;
    (void)launch(db, id);
    assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW, NULL, &err), err);
    assert_ok(run_store_end(db, id, 1, &end, NOW, &from, &err), err);
    assert_ok(run_store_end(db, id, 1, &end, NOW, &from, &err), err);
    assert_int_equal(count_of(db), 1);
}

static void test_the_payload_is_the_runs_page_without_its_prompt(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_wishing(db, &(struct wish){.webhook_url = HOOK});
    struct run_end end = {.status = RUN_COMPLETED,
                          .pr_url = "https://github.com/octo/hello/pull/1",
                          .summary = "Fixed",
                          .result = "the text"};
    enum run_status from;
    struct err err = {0};
    char text[ID_TEXT_SIZE];

    (void)state;
    json_setup();
    id_text(id, text);
    (void)launch(db, id);
    assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW, NULL, &err), err);
    assert_ok(run_store_end(db, id, 1, &end, NOW, &from, &err), err);
    scoped(delivery) delivery = only(db);
    scoped_json payload = json_parse(delivery->payload, strlen(delivery->payload), &err);
    assert_made(payload, err);
    assert_string_equal(json_get_str(payload, "event"), "run.completed");
    assert_string_equal(json_get_str(payload, "id"), text);
    assert_string_equal(json_get_str(payload, "status"), "completed");
    assert_string_equal(json_get_str(json_get(payload, "result"), "pr_url"), end.pr_url);
    assert_string_equal(json_get_str(json_get(payload, "result"), "text"), "the text");
    assert_null(strstr(delivery->payload, "prompt-canary"));
}

static void test_configured_receivers_are_told_what_they_want_to_know(void **state)
{
    const struct delivery_receiver receivers[] = {
        {.url = "https://one.example.com/", .events = ALL_EVENTS},
        {.url = "https://two.example.com/", .events = 1U << RUN_FAILED},
        {.url = HOOK, .events = 1U << RUN_STOPPED},
    };
    scoped(db) db = open_memory();

    (void)state;
    set_receivers(db, receivers, ARRAY_SIZE(receivers));
    (void)add_run_in(db, RUN_COMPLETED);
    assert_int_equal(count_of(db), 1);
    (void)add_run_in(db, RUN_FAILED);
    assert_int_equal(count_of(db), 3);
    /* the run's own wish is one of them: once is enough */
    (void)end_wishing(db, HOOK, NOW);
    assert_int_equal(count_of(db), 5);
    set_receivers(db, receivers, 0);
    (void)add_run_in(db, RUN_FAILED);
    assert_int_equal(count_of(db), 5);
}

/* --- Lines -------------------------------------------------------------------------------- */

static size_t n_due(struct db *db, bool tried, int64_t now_ms)
{
    struct delivery_page page;
    struct err err = {0};
    size_t count;

    assert_ok(delivery_store_due(db, tried, now_ms, 100, &page, &err), err);
    count = page.count;
    delivery_page_done(&page);
    return count;
}

/* The first that is due, whether it was tried or not; fails when there is none. */
static struct delivery *first_due(struct db *db, int64_t now_ms)
{
    struct err err = {0};

    for (int tried = 0; tried <= 1; tried++) {
        struct delivery_page page;
        struct delivery *first;

        assert_ok(delivery_store_due(db, tried, now_ms, 1, &page, &err), err);
        first = page.count ? TAKE(page.all[0]) : NULL;
        delivery_page_done(&page);
        if (first)
            return first;
    }
    fail_msg("nothing is due");
    return NULL;
}

static void note(struct db *db, const struct delivery *delivery, enum delivery_status status,
                 int64_t at_ms, int64_t next_ms)
{
    struct delivery_attempt attempt = {.status = status,
                                       .at_ms = at_ms,
                                       .next_ms = next_ms,
                                       .http_status = status == DELIVERY_DELIVERED ? 200 : 500,
                                       .error = status == DELIVERY_DELIVERED ? NULL : "broken"};
    struct err err = {0};

    assert_ok(delivery_store_note(db, delivery, &attempt, &err), err);
}

static void test_receivers_are_told_apart_by_scheme_host_and_port(void **state)
{
    static const struct {
        const char *url;
        const char *receiver;
    } cases[] = {
        {"https://Example.COM/a?b=c", "https://example.com:443"},
        {"https://example.com:443", "https://example.com:443"},
        {"http://example.com?x", "http://example.com:80"},
        {"http://example.com:8080/#f", "http://example.com:8080"},
        {"HTTPS://[2001:DB8::1]/x:y", "https://[2001:db8::1]:443"},
        {"http://[2001:db8::1]:81/", "http://[2001:db8::1]:81"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str receiver = delivery_receiver_of(cases[i].url);

        assert_string_equal(receiver, cases[i].receiver);
    }
}

static void test_only_the_first_in_a_line_is_due(void **state)
{
    scoped(db) db = open_memory();
    struct id first_run = end_wishing(db, HOOK, NOW);
    struct id second_run = end_wishing(db, "https://HOOKS.example.com:443/other", NOW + 1);

    (void)state;
    (void)end_wishing(db, "https://hooks.example.com:444/a", NOW + 2);
    assert_int_equal(n_due(db, false, NOW + 10), 2);
    scoped(delivery) first = first_due(db, NOW + 10);
    assert_true(id_equal(first->run, first_run));
    note(db, first, DELIVERY_PENDING, NOW + 10, NOW + 5000);
    /* it waits, and so does the one behind it */
    assert_int_equal(n_due(db, false, NOW + 20), 1);
    assert_int_equal(n_due(db, true, NOW + 20), 0);
    assert_int_equal(n_due(db, true, NOW + 5000), 1);
    note(db, first, DELIVERY_DELIVERED, NOW + 5000, 0);
    assert_int_equal(n_due(db, true, NOW + 5001), 0);
    assert_int_equal(n_due(db, false, NOW + 5001), 2);
    struct delivery_page page =
        page_of(db, (struct delivery_filter){.all = true, .run = second_run});
    assert_int_equal(page.all[0]->next_ms, NOW + 5000);
    delivery_page_done(&page);
}

static void test_giving_up_lets_the_next_go(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    (void)end_wishing(db, HOOK, NOW);
    struct id second_run = end_wishing(db, HOOK, NOW);
    scoped(delivery) first = first_due(db, NOW);
    note(db, first, DELIVERY_FAILED, NOW + 7, 0);
    scoped(delivery) second = first_due(db, NOW + 7);
    assert_true(id_equal(second->run, second_run));
}

static void test_when_the_next_one_is_due(void **state)
{
    scoped(db) db = open_memory();
    int64_t next_ms;
    struct err err = {0};

    (void)state;
    assert_ok(delivery_store_next(db, NOW, &next_ms, &err), err);
    assert_int_equal(next_ms, 0);
    (void)end_wishing(db, HOOK, NOW);
    (void)end_wishing(db, "http://other.example.com", NOW);
    scoped(delivery) one = first_due(db, NOW);
    note(db, one, DELIVERY_PENDING, NOW, NOW + 9000);
    scoped(delivery) two = first_due(db, NOW);
    note(db, two, DELIVERY_PENDING, NOW, NOW + 8000);
    assert_ok(delivery_store_next(db, NOW, &next_ms, &err), err);
    assert_int_equal(next_ms, NOW + 8000);
    assert_ok(delivery_store_next(db, NOW + 8000, &next_ms, &err), err);
    assert_int_equal(next_ms, NOW + 9000);
}

static void test_a_late_note_changes_nothing(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    (void)end_wishing(db, HOOK, NOW);
    scoped(delivery) delivery = first_due(db, NOW);
    note(db, delivery, DELIVERY_DELIVERED, NOW, 0);
    note(db, delivery, DELIVERY_PENDING, NOW + 1, NOW + 2);
    scoped(delivery) after = only(db);
    assert_int_equal(after->status, DELIVERY_DELIVERED);
    assert_int_equal(after->attempts, 1);
    assert_int_equal(after->last_status, 200);
    assert_null(after->last_error);
}

/* --- By hand ------------------------------------------------------------------------------ */

static const struct audit_source somebody = {.actor = "key:00ff", .request_id = "r"};

static void redeliver(struct db *db, struct id id, int64_t now_ms)
{
    struct err err = {0};

    assert_ok(delivery_store_redeliver(db, id, now_ms, &somebody, &err), err);
}

static void test_one_that_has_ended_can_be_asked_for_again(void **state)
{
    static const enum delivery_status ends[] = {DELIVERY_DELIVERED, DELIVERY_FAILED};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        scoped(db) db = open_memory();

        (void)end_wishing(db, HOOK, NOW);
        scoped(delivery) delivery = first_due(db, NOW);
        note(db, delivery, ends[i], NOW, 0);
        redeliver(db, delivery->id, NOW + 30 * HOUR_MS);
        scoped(delivery) again = first_due(db, NOW + 30 * HOUR_MS);
        assert_true(id_equal(again->id, delivery->id));
        assert_int_equal(again->status, DELIVERY_PENDING);
        assert_int_equal(again->attempts, 1);
        assert_int_equal(again->tries, 0);
        assert_int_equal(again->ended_ms, 0);
        assert_int_equal(again->give_up_ms, NOW + 54 * HOUR_MS);
    }
}

static void test_it_goes_to_the_end_of_its_line_and_the_first_goes_now(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    (void)end_wishing(db, HOOK, NOW);
    scoped(delivery) old = first_due(db, NOW);
    note(db, old, DELIVERY_FAILED, NOW, 0);
    (void)end_wishing(db, HOOK, NOW);
    scoped(delivery) waiting = first_due(db, NOW);
    note(db, waiting, DELIVERY_PENDING, NOW, NOW + HOUR_MS);
    redeliver(db, old->id, NOW + 5);
    scoped(delivery) first = first_due(db, NOW + 5);
    assert_true(id_equal(first->id, waiting->id));
    note(db, first, DELIVERY_DELIVERED, NOW + 6, 0);
    scoped(delivery) second = first_due(db, NOW + 6);
    assert_true(id_equal(second->id, old->id));
}

static int64_t audited;

static void count_redeliveries(void *ctx, const struct audit_entry *entry)
{
    const char *id = ctx;

    if (strcmp(entry->action, "delivery.redeliver") == 0 && strcmp(entry->target, id) == 0
        && strcmp(entry->actor, "key:00ff") == 0)
        audited++;
}

static void test_asking_is_in_the_audit_log(void **state)
{
    scoped(db) db = open_memory();
    struct audit_filter filter = {.limit = 100};
    int64_t next;
    char id[ID_TEXT_SIZE];
    struct err err = {0};

    (void)state;
    (void)end_wishing(db, HOOK, NOW);
    scoped(delivery) delivery = first_due(db, NOW);
    id_text(delivery->id, id);
    redeliver(db, delivery->id, NOW + 1); /* of a pending one: now */
    audited = 0;
    assert_ok(audit_page(db, &filter, count_redeliveries, id, &next, &err), err);
    assert_int_equal(audited, 1);
    assert_refused(delivery_store_redeliver(db, id_make(NOW, 1), NOW, &somebody, &err), err,
                   ERR_NOT_FOUND, NULL);
}

/* --- Lists, counting, forgetting ---------------------------------------------------------- */

static void test_pages_have_what_may_be_seen(void **state)
{
    static const struct {
        struct delivery_filter filter;
        size_t count;
    } cases[] = {
        {{.all = true}, 6},
        {{.owner = 1}, 3},
        {{.owner = 2}, 1},
        {{.owner = 3}, 0},
        {{.shared = true}, 2},
        {{.shared = true, .owner = 2}, 3},
        {{0}, 0},
        {{.all = true, .by_status = true, .status = DELIVERY_PENDING}, 5},
        {{.all = true, .by_status = true, .status = DELIVERY_DELIVERED}, 1},
        {{.owner = 2, .by_status = true, .status = DELIVERY_DELIVERED}, 0},
        {{.shared = true, .by_status = true, .status = DELIVERY_FAILED}, 0},
    };
    static const int64_t owners[] = {1, 0, 1, 2, 0, 1};
    scoped(db) db = open_memory();
    struct err err = {0};
    bool ended;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        struct id id = add_wishing(db, &(struct wish){HOOK, owners[i]});

        assert_ok(run_store_request_stop(db, id, NOW, NULL, &ended, &err), err);
    }
    scoped(delivery) first = first_due(db, NOW);
    note(db, first, DELIVERY_DELIVERED, NOW, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct delivery_page page = page_of(db, cases[i].filter);

        if (page.count != cases[i].count)
            fail_msg("case %zu: %zu", i, page.count);
        for (size_t k = 1; k < page.count; k++)
            assert_true(page.all[k]->id.key < page.all[k - 1]->id.key);
        delivery_page_done(&page);
    }
}

static void test_pages_follow_each_other(void **state)
{
    scoped(db) db = open_memory();
    struct delivery_filter filter = {.all = true, .limit = 2};
    size_t seen = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        (void)end_wishing(db, HOOK, NOW);
    do {
        struct delivery_page page = page_of(db, filter);

        seen += page.count;
        filter.before = page.next;
        delivery_page_done(&page);
    } while (filter.before.key);
    assert_int_equal(seen, 5);
}

static void test_old_ends_are_forgotten_pending_ones_stay(void **state)
{
    scoped(db) db = open_memory();
    int64_t now_ms = clock_wall_ms();
    int64_t pruned;
    int64_t pending;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)end_wishing(db, HOOK, now_ms);
    for (int i = 0; i < 2; i++) {
        scoped(delivery) delivery = first_due(db, now_ms + i);

        note(db, delivery, i ? DELIVERY_FAILED : DELIVERY_DELIVERED, now_ms + i, 0);
    }
    assert_ok(delivery_store_prune(db, now_ms, 10, &pruned, &err), err);
    assert_int_equal(pruned, 0);
    assert_ok(delivery_store_prune(db, now_ms + HOUR_MS, 1, &pruned, &err), err);
    assert_int_equal(pruned, 1);
    assert_ok(delivery_store_prune(db, now_ms + HOUR_MS, 10, &pruned, &err), err);
    assert_int_equal(pruned, 1);
    assert_ok(delivery_store_count_pending(db, &pending, &err), err);
    assert_int_equal(pending, 1);
    assert_int_equal(count_of(db), 1);
}

TEST_MAIN(cmocka_unit_test(test_a_run_that_nobody_asked_about_has_none),
          cmocka_unit_test(test_each_way_of_ending_has_one),
          cmocka_unit_test(test_a_stopped_pending_run_has_one),
          cmocka_unit_test(test_a_repeated_report_has_no_second_one),
          cmocka_unit_test(test_the_payload_is_the_runs_page_without_its_prompt),
          cmocka_unit_test(test_configured_receivers_are_told_what_they_want_to_know),
          cmocka_unit_test(test_receivers_are_told_apart_by_scheme_host_and_port),
          cmocka_unit_test(test_only_the_first_in_a_line_is_due),
          cmocka_unit_test(test_giving_up_lets_the_next_go),
          cmocka_unit_test(test_when_the_next_one_is_due),
          cmocka_unit_test(test_a_late_note_changes_nothing),
          cmocka_unit_test(test_one_that_has_ended_can_be_asked_for_again),
          cmocka_unit_test(test_it_goes_to_the_end_of_its_line_and_the_first_goes_now),
          cmocka_unit_test(test_asking_is_in_the_audit_log),
          cmocka_unit_test(test_pages_have_what_may_be_seen),
          cmocka_unit_test(test_pages_follow_each_other),
          cmocka_unit_test(test_old_ends_are_forgotten_pending_ones_stay))
