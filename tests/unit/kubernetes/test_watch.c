/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/watch.h"

#include "api_server.h"

#define PATH "/apis/batch/v1/namespaces/runs/jobs"
#define LONG_MS 60000

/* What a consumer of the watch knows: names of objects in the order of the alphabet, and what
 * was called. */
struct known {
    pthread_mutex_t lock;
    bool there[26]; /* by the first letter of its name */
    bool seen[26];  /* since on_listing */
    struct buf calls;
    int lists;
    struct watch *watch;
};

static int letter(const cJSON *object)
{
    const char *name = json_get_str(json_get(object, "metadata"), "name");

    return name && *name >= 'a' && *name <= 'z' ? *name - 'a' : 25;
}

static void on_listing(void *ctx)
{
    struct known *known = ctx;

    (void)pthread_mutex_lock(&known->lock);
    memset(known->seen, 0, sizeof(known->seen));
    buf_append_str(&known->calls, "[");
    (void)pthread_mutex_unlock(&known->lock);
}

static void on_set(void *ctx, const cJSON *object)
{
    struct known *known = ctx;
    int at = letter(object);

    (void)pthread_mutex_lock(&known->lock);
    known->there[at] = known->seen[at] = true;
    buf_printf(&known->calls, "%c", 'a' + at);
    (void)pthread_mutex_unlock(&known->lock);
}

static void on_deleted(void *ctx, const cJSON *object)
{
    struct known *known = ctx;

    (void)pthread_mutex_lock(&known->lock);
    known->there[letter(object)] = false;
    buf_printf(&known->calls, "-%c", 'a' + letter(object));
    (void)pthread_mutex_unlock(&known->lock);
}

static void on_listed(void *ctx)
{
    struct known *known = ctx;

    (void)pthread_mutex_lock(&known->lock);
    memcpy(known->there, known->seen, sizeof(known->there));
    buf_append_str(&known->calls, "]");
    known->lists++;
    (void)pthread_mutex_unlock(&known->lock);
}

/* "ac": those that are there. */
static bool knows(struct known *known, const char *letters)
{
    char now[27];
    size_t n = 0;

    (void)pthread_mutex_lock(&known->lock);
    for (int i = 0; i < 26; i++)
        if (known->there[i])
            now[n++] = (char)('a' + i);
    (void)pthread_mutex_unlock(&known->lock);
    now[n] = '\0';
    return strcmp(now, letters) == 0;
}

static bool called(struct known *known, const char *calls)
{
    bool same;

    (void)pthread_mutex_lock(&known->lock);
    same = strcmp(known->calls.data ? known->calls.data : "", calls) == 0;
    (void)pthread_mutex_unlock(&known->lock);
    return same;
}

static int lists(struct known *known)
{
    int count;

    (void)pthread_mutex_lock(&known->lock);
    count = known->lists;
    (void)pthread_mutex_unlock(&known->lock);
    return count;
}

/* One test: a server, a cluster, a watch, what it has told. */
struct bed {
    struct server server;
    char *dir;
    struct cluster *cluster;
    struct known known;
    struct watch *watch;
};

static void bed_make_with(struct bed *bed, void (*serve)(struct conn *), struct script *script,
                          int relist_every_s)
{
    struct watch_options options = {
        .path = PATH,
        .label_selector = "app=x,y in (1,2)",
        .relist_every_s = relist_every_s,
        .on_listing = on_listing,
        .on_set = on_set,
        .on_deleted = on_deleted,
        .on_listed = on_listed,
        .ctx = &bed->known,
    };
    struct err err = {0};

    (void)pthread_mutex_init(&bed->known.lock, NULL);
    bed->dir = test_dir_new();
    server_start(&bed->server, serve, NULL);
    bed->server.ctx = script;
    bed->cluster = open_cluster(&bed->server, bed->dir, (struct cluster_options){0});
    options.cluster = bed->cluster;
    bed->watch = watch_start(&options, &err);
    assert_made(bed->watch, err);
}

static void bed_make(struct bed *bed, struct script *script, int relist_every_s)
{
    bed_make_with(bed, serve_script, script, relist_every_s);
}

static void bed_done(struct bed *bed)
{
    watch_free(bed->watch);
    cluster_free(bed->cluster);
    server_stop(&bed->server);
    buf_done(&bed->known.calls);
    (void)pthread_mutex_destroy(&bed->known.lock);
    test_dir_remove(bed->dir);
    free(bed->dir);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

#define ITEM(name, version)                                                                    \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define LIST(version, items)                                                                   \
    "{\"kind\":\"JobList\",\"metadata\":{\"resourceVersion\":\"" version                       \
    "\"},\"items\":[" items "]}"
#define PAGE(version, go_on, items)                                                            \
    "{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" go_on                 \
    "\"},\"items\":[" items "]}"
#define EVENT(type, name, version)                                                             \
    "{\"type\":\"" type "\",\"object\":" ITEM(name, version) "}\n"
#define GONE                                                                                   \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"Expired\",\"code\":410,"         \
    "\"message\":\"too old resource version: 1 (2)\"}"

static void test_it_lists_and_then_watches_from_there(void **state)
{
    struct script script = SCRIPT(
        {200, WHOLE, NULL, LIST("10", ITEM("a", "7") "," ITEM("b", "8"))},
        {200, HANG, NULL,
         EVENT("ADDED", "c", "11") EVENT("MODIFIED", "a", "12") EVENT("DELETED", "b", "13")});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(called(&bed.known, "[ab]ca-b"), LONG_MS);
    assert_true(knows(&bed.known, "ac"));
    assert_true(watch_has_listed(bed.watch));
    assert_in_range(watch_silent_ms(bed.watch), 0, LONG_MS);
    assert_true(server_saw(
        &bed.server, "GET " PATH "?limit=500&labelSelector=app%3Dx%2Cy%20in%20%281%2C2%29 "));
    assert_true(server_saw(&bed.server, "Authorization: Bearer sesame\r\n"));
    assert_true(server_saw(&bed.server, "?watch=true&allowWatchBookmarks=true&"));
    assert_true(server_saw(&bed.server, "&resourceVersion=10&labelSelector="));
}

static void test_pages_arrive_as_one_list(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, PAGE("10", "t/1+", ITEM("a", "7"))},
               {200, WHOLE, NULL, PAGE("10", "t2", ITEM("b", "8"))},
               {200, WHOLE, NULL, LIST("10", ITEM("c", "9"))}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 4, LONG_MS);
    assert_true(called(&bed.known, "[abc]"));
    assert_true(server_saw(&bed.server, "&continue=t%2F1%2B "));
    assert_true(server_saw(&bed.server, "&continue=t2 "));
}

static void test_a_list_whose_pages_expire_begins_again(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, PAGE("10", "t1", ITEM("a", "7"))}, {410, WHOLE, NULL, GONE},
               {200, WHOLE, NULL, LIST("20", ITEM("b", "8"))}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 4, LONG_MS);
    assert_true(called(&bed.known, "[a[b]"));
    assert_true(knows(&bed.known, "b"));
    assert_true(server_saw(&bed.server, "&resourceVersion=20&"));
}

static void test_a_cut_stream_is_taken_up_where_it_broke(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", "")},
               {200, CUT, NULL, EVENT("ADDED", "a", "11") "{\"type\":\"ADDED\",\"obj"},
               {200, END, NULL, EVENT("ADDED", "b", "12")}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 4, LONG_MS);
    assert_true(called(&bed.known, "[]ab"));
    assert_true(server_saw(&bed.server, "&resourceVersion=11&"));
    assert_true(server_saw(&bed.server, "&resourceVersion=12&"));
}

static void test_a_bookmark_moves_the_version_and_nothing_else(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7"))},
               {200, END, NULL,
                "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Job\",\"metadata\":"
                "{\"resourceVersion\":\"99\"}}}\n"},
               {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 3, LONG_MS);
    assert_true(called(&bed.known, "[a]"));
    assert_true(server_saw(&bed.server, "&resourceVersion=99&"));
}

static void test_410_in_the_stream_or_instead_of_it_is_followed_by_a_list(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7") "," ITEM("b", "8"))},
               {200, HANG, NULL, "{\"type\":\"ERROR\",\"object\":" GONE "}\n"},
               {200, WHOLE, NULL, LIST("20", ITEM("a", "7"))}, {410, WHOLE, NULL, GONE},
               {200, WHOLE, NULL, LIST("30", ITEM("c", "7"))}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 6, LONG_MS);
    assert_true(called(&bed.known, "[ab][a][c]"));
    assert_true(knows(&bed.known, "c"));
    assert_true(server_saw(&bed.server, "&resourceVersion=30&"));
}

static void test_the_periodic_list_shows_a_deletion_that_the_watch_missed(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7") "," ITEM("b", "8"))},
               {200, HANG, NULL, EVENT("ADDED", "c", "11")},
               {200, WHOLE, NULL, LIST("20", ITEM("a", "7") "," ITEM("c", "11"))},
               {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 1);
    wait_until(lists(&bed.known) == 2, LONG_MS);
    assert_true(knows(&bed.known, "ac"));
}

static void test_other_errors_in_the_stream_are_retried_and_at_last_a_list(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7"))},
               {200, HANG, NULL,
                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500}}\n"},
               {200, HANG, NULL, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n"},
               {200, HANG, NULL, "<html>\n"}, {200, WHOLE, NULL, LIST("20", ITEM("b", "7"))},
               {200, HANG, NULL, EVENT("LATER", "z", "1") EVENT("ADDED", "c", "21")});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(called(&bed.known, "[a][b]c"), LONG_MS);
    assert_true(server_saw(&bed.server, "&resourceVersion=10&"));
    assert_true(server_saw(&bed.server, "&resourceVersion=20&"));
}

/* The second answer is a line without an end, as large as asked for. */
static void serve_endless_line(struct conn *conn)
{
    static char chunk[65536];
    struct script *script = conn->server->ctx;

    while (conn_read(conn)) {
        size_t at = script->next++;

        if (at != 1) {
            if (!say(conn, &script->all[at < script->count ? at : script->count - 1]))
                return;
            continue;
        }
        if (!conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n"))
            return;
        memset(chunk, 'x', sizeof(chunk));
        while (conn_write(conn, chunk, sizeof(chunk)))
            ;
        return;
    }
}

static void test_a_line_without_an_end_is_cut_off_and_a_list_follows(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7"))}, {200, HANG, NULL, ""},
               {200, WHOLE, NULL, LIST("20", ITEM("b", "7"))}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make_with(&bed, serve_endless_line, &script, 0);
    wait_until(script.next == 4, LONG_MS);
    assert_true(called(&bed.known, "[a][b]"));
    assert_true(server_saw(&bed.server, "&resourceVersion=20&"));
}

static void test_a_list_that_fails_is_tried_until_it_works(void **state)
{
    struct script script =
        SCRIPT({403, WHOLE, NULL, ""}, {200, WHOLE, NULL, "{\"kind\":\"JobList\"}"},
               {200, WHOLE, NULL, "{\"items\":[],\"metadata\":{}}"}, {401, WHOLE, NULL, ""},
               {200, WHOLE, NULL, LIST("10", ITEM("a", "7"))}, {200, HANG, NULL, ""});
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next == 6, LONG_MS);
    assert_true(called(&bed.known, "[a]"));
}

static void test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_hot_loop(void **state)
{
    struct script script =
        SCRIPT({200, WHOLE, NULL, LIST("10", ITEM("a", "7"))}, {200, END, NULL, ""});
    scoped_bed bed = {0};
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    bed_make(&bed, &script, 0);
    wait_until(script.next >= 6, LONG_MS);
    /* Five pauses, of which each is a tenth of a second or more on average. The bound is for a
     * loop without pauses, which would be in the thousands by now. */
    assert_true((int64_t)script.next < 50 + (clock_monotonic_ms() - began_ms) / 10);
}

static void serve_nothing(struct conn *conn)
{
    if (conn_read(conn))
        conn_hang(conn);
}

static void test_it_stops_in_any_state(void **state)
{
    struct script watching = SCRIPT({200, WHOLE, NULL, LIST("1", "")}, {200, HANG, NULL, ""});
    struct script pausing = SCRIPT({403, WHOLE, "Retry-After: 1000\r\n", ""});

    (void)state;
    {
        scoped_bed bed = {0};

        bed_make_with(&bed, serve_nothing, &watching, 0);
        wait_until(bed.server.requests == 1, LONG_MS); /* in its list */
        assert_false(watch_has_listed(bed.watch));
    }
    {
        scoped_bed bed = {0};

        bed_make(&bed, &watching, 0);
        wait_until(watching.next == 2, LONG_MS); /* in its watch */
    }
    {
        scoped_bed bed = {0};

        bed_make(&bed, &pausing, 0);
        wait_until(pausing.next == 1, LONG_MS); /* in the pause after a failure */
    }
    {
        scoped_bed bed = {0};

        bed_make(&bed, &pausing, 0); /* at its very beginning */
    }
}

TEST_MAIN(
    cmocka_unit_test(test_it_lists_and_then_watches_from_there),
    cmocka_unit_test(test_pages_arrive_as_one_list),
    cmocka_unit_test(test_a_list_whose_pages_expire_begins_again),
    cmocka_unit_test(test_a_cut_stream_is_taken_up_where_it_broke),
    cmocka_unit_test(test_a_bookmark_moves_the_version_and_nothing_else),
    cmocka_unit_test(test_410_in_the_stream_or_instead_of_it_is_followed_by_a_list),
    cmocka_unit_test(test_the_periodic_list_shows_a_deletion_that_the_watch_missed),
    cmocka_unit_test(test_other_errors_in_the_stream_are_retried_and_at_last_a_list),
    cmocka_unit_test(test_a_line_without_an_end_is_cut_off_and_a_list_follows),
    cmocka_unit_test(test_a_list_that_fails_is_tried_until_it_works),
    cmocka_unit_test(test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_hot_loop),
    cmocka_unit_test(test_it_stops_in_any_state))
