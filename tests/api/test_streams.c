/* SPDX-License-Identifier: Apache-2.0 */
/* Watching runs over the network: server-sent events and logs. The client here sends and reads
 * bytes, so that what stands on the wire is what is compared. */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "launched.h"
#include "service/personal_tokens.h"
#include "store/journal.h"

#define OTHER_KEY "other-api-key"
#define SOON_MS 60000

static const struct test_server_options by_hand = {.max_workers = -1,
                                                   .more_api_keys = OTHER_KEY};

/* --- A client ------------------------------------------------------------------------------
 */

struct watcher {
    int fd;
    struct buf raw;
    int status;
    bool ended; /* the connection, or the answer */
};

static void watcher_done(struct watcher *watcher)
{
    if (watcher->fd >= 0)
        (void)close(watcher->fd);
    buf_done(&watcher->raw);
}
#define scoped_watcher __attribute__((cleanup(watcher_done))) struct watcher

static int connect_to(const struct test_server *server)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)httpd_port(server->httpd)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* HTTP/1.0, so that the body stands there without the lengths of its pieces. */
static void watch(struct watcher *watcher, const struct test_server *server, const char *path,
                  const char *key, const char *more_headers)
{
    scoped_str request = xasprintf("GET %s HTTP/1.0\r\nAuthorization: Bearer %s\r\n%s\r\n",
                                   path, key, more_headers);
    ssize_t sent;

    *watcher = (struct watcher){.fd = connect_to(server)};
    sent = send(watcher->fd, request, strlen(request), MSG_NOSIGNAL);
    assert_int_equal(sent, strlen(request));
}

/* Reads what comes within a moment. */
static void listen_to(struct watcher *watcher)
{
    struct pollfd ready = {.fd = watcher->fd, .events = POLLIN};
    char piece[4096];
    ssize_t got;

    if (watcher->ended || poll(&ready, 1, 20) != 1)
        return;
    got = recv(watcher->fd, piece, sizeof(piece), 0);
    if (got > 0)
        buf_append(&watcher->raw, piece, (size_t)got);
    else
        watcher->ended = true;
    if (!watcher->status && watcher->raw.size > 12)
        watcher->status = atoi(watcher->raw.data + 9);
}

/* What is known of the body. */
static const char *body(struct watcher *watcher)
{
    const char *end;

    listen_to(watcher);
    end = watcher->raw.data ? strstr(watcher->raw.data, "\r\n\r\n") : NULL;
    return end ? end + 4 : "";
}

static bool shows(struct watcher *watcher, const char *text)
{
    return strstr(body(watcher), text) != NULL;
}

#define assert_shows(watcher, text) wait_until(shows(watcher, text), SOON_MS)
#define assert_ends(watcher) wait_until((listen_to(watcher), (watcher)->ended), SOON_MS)

/* The status of an answer that isn't a stream. */
static int refused(const struct test_server *server, const char *path, const char *key,
                   const char *more_headers)
{
    scoped_watcher watcher = {.fd = -1};

    watch(&watcher, server, path, key, more_headers);
    assert_ends(&watcher);
    return watcher.status;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;

    for (const char *at = text; (at = strstr(at, word)); at++)
        count++;
    return count;
}

/* --- Runs ----------------------------------------------------------------------------------
 */

static char *submit(struct test_server *server, const char *key)
{
    scoped_json answer = NULL;

    assert_int_equal(test_server_call(server, "POST", "/api/tasks", key, NULL,
                                      "{\"repository_url\": \"https://github.com/octo/hello\","
                                      " \"description\": \"do it\"}",
                                      &answer),
                     202);
    return xstrdup(json_get_str(answer, "task_id"));
}

static void tell(const struct launched *run, int seq, const char *rest)
{
    scoped_str batch = xasprintf("{\"events\": [{\"seq\": %d, \"at\":"
                                 " \"2026-01-02T03:04:05.678Z\", %s}]}",
                                 seq, rest);

    assert_int_equal(call(run, "/runner/v1/events", batch, NULL), 200);
}

static char *path_of(const char *format, const char *id)
{
    scoped_str text = xstrdup(format);
    char *mark = strchr(text, '*');

    *mark = '\0';
    return xasprintf("%s%s%s", text, id, mark + 1);
}

/* --- One run -------------------------------------------------------------------------------
 */

static void test_task_events_show_the_run_from_queue_to_end(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_str id = submit(server, TEST_API_KEY);
    scoped_str path = path_of("/api/tasks/*/events", id);
    scoped_launched run = {0};
    scoped_watcher watcher = {.fd = -1};
    scoped_str expected = NULL;

    (void)state;
    watch(&watcher, server, path, TEST_API_KEY, "");
    assert_shows(&watcher, "retry: 2000\n\n");
    assert_shows(&watcher, "id: 1\nevent: status\ndata: {\"task_id\":\"");
    assert_shows(&watcher, "\"status\":\"pending\"}\n\n");
    assert_int_equal(watcher.status, 200);
    assert_non_null(strstr(watcher.raw.data, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(watcher.raw.data, "X-Accel-Buffering: no\r\n"));
    assert_non_null(strstr(watcher.raw.data, "Cache-Control: no-store\r\n"));
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "r1", NULL), 200);
    assert_shows(&watcher, "\"status\":\"running\"}\n\n");
    tell(&run, 1, "\"type\": \"log\", \"line\": \"two\\nlines\"");
    expected = xasprintf("id: 3\nevent: log\ndata: {\"task_id\":\"%s\",\"attempt\":1,"
                         "\"at\":\"2026-01-02T03:04:05.678Z\",\"seq\":1,"
                         "\"data\":{\"line\":\"two\\nlines\"}}\n\n",
                         id);
    assert_shows(&watcher, expected);
    assert_false(watcher.ended);
    assert_int_equal(complete_with(&run, "failed",
                                   ", \"error\": \"no tests\", \"error_code\":"
                                   " \"tests_failed\", \"summary\": \"s\""),
                     200);
    assert_shows(&watcher, "\"status\":\"failed\",\"error_code\":\"tests_failed\","
                           "\"error\":\"no tests\",\"summary\":\"s\"}\n\n");
    assert_ends(&watcher);
    assert_int_equal(count_of(body(&watcher), "\nid: "), 4);
}

/* /dispatchTask writes nothing for watchers; its runs begin all the same. */
static void test_a_dispatched_run_begins_as_pending_with_id_0(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_watcher watcher = {.fd = -1};
    scoped_watcher again = {.fd = -1};

    (void)state;
    launch(&run, server, "p");
    scoped_str path = path_of("/api/tasks/*/events", run.id_text);
    watch(&watcher, server, path, TEST_API_KEY, "");
    assert_shows(&watcher, "id: 0\nevent: status\n");
    assert_shows(&watcher, "\"status\":\"pending\"}\n\n");
    assert_int_equal(claim(&run, "r1", NULL), 200);
    assert_shows(&watcher, "id: 1\nevent: status\n");
    watch(&again, server, path, TEST_API_KEY, "Last-Event-ID: 0\r\n");
    assert_shows(&again, "id: 1\nevent: status\n");
    assert_false(shows(&again, "pending"));
}

static void test_agent_events_speak_of_id_and_queued(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_watcher watcher = {.fd = -1};
    scoped_str expected = NULL;

    (void)state;
    launch(&run, server, "p");
    scoped_str path = path_of("/api/v1/agents/*/events", run.id_text);
    watch(&watcher, server, path, TEST_API_KEY, "");
    expected = xasprintf("data: {\"id\":\"%s\",\"attempt\":0,", run.id_text);
    assert_shows(&watcher, expected);
    assert_shows(&watcher, "\"status\":\"queued\"}");
    assert_int_equal(claim(&run, "r1", NULL), 200);
    assert_shows(&watcher, "\"status\":\"running\"}");
    assert_int_equal(complete_with(&run, "completed", ""), 200);
    assert_shows(&watcher, "\"status\":\"completed\"}");
    assert_ends(&watcher);
    assert_int_equal(count_of(body(&watcher), "task_id"), 0);
}

static void test_a_stream_resumes_after_the_last_id(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_watcher first = {.fd = -1};
    scoped_watcher second = {.fd = -1};

    (void)state;
    launch(&run, server, "p");
    scoped_str path = path_of("/api/tasks/*/events", run.id_text);
    assert_int_equal(claim(&run, "r1", NULL), 200);
    for (int i = 1; i <= 5; i++)
        tell(&run, i, "\"type\": \"log\", \"line\": \"x\"");
    watch(&first, server, path, TEST_API_KEY, "Last-Event-ID: 3\r\n");
    assert_shows(&first, "id: 6\n");
    assert_string_equal(strstr(body(&first), "id: "), strstr(body(&first), "id: 4\n"));
    assert_int_equal(complete_with(&run, "completed", ""), 200);
    assert_ends(&first);
    watch(&second, server, path, TEST_API_KEY, "Last-Event-ID: 6\r\n");
    assert_shows(&second, "id: 7\n");
    assert_ends(&second);
    assert_int_equal(count_of(body(&second), "id: "), 1);
}

static void test_a_finished_run_asked_again_is_204(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_watcher watcher = {.fd = -1};

    (void)state;
    launch(&run, server, "p");
    scoped_str path = path_of("/api/tasks/*/events", run.id_text);
    scoped_str agent = path_of("/api/v1/agents/*/events", run.id_text);
    assert_int_equal(claim(&run, "r1", NULL), 200);
    assert_int_equal(complete_with(&run, "completed", ""), 200);
    watch(&watcher, server, path, TEST_API_KEY, "");
    assert_shows(&watcher, "id: 2\n");
    assert_ends(&watcher);
    assert_int_equal(refused(server, path, TEST_API_KEY, "Last-Event-ID: 2\r\n"), 204);
    assert_int_equal(refused(server, agent, TEST_API_KEY, "Last-Event-ID: 2\r\n"), 204);
    assert_int_equal(refused(server, path, TEST_API_KEY, "Last-Event-ID: 999\r\n"), 204);
}

static void test_another_credentials_run_is_404(void **state)
{
    static const char *const paths[] = {"/api/tasks/*/events", "/api/tasks/*/logs",
                                        "/api/v1/agents/*/events",
                                        "/api/tasks/*/logs?follow=1"};
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_str id = submit(server, OTHER_KEY);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_str path = path_of(paths[i], id);
        scoped_str none = path_of(paths[i], "00000000000000000000");
        scoped_str odd = path_of(paths[i], "nonsense");

        assert_int_equal(refused(server, path, TEST_API_KEY, ""), 404);
        assert_int_equal(refused(server, none, TEST_API_KEY, ""), 404);
        assert_int_equal(refused(server, odd, TEST_API_KEY, ""), 404);
        assert_int_equal(refused(server, path, "no-key", ""), 401);
    }
}

static void test_ids_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {
        "x", "-1", "1x", "", "1.0", "0x10", "1234567890123456789"};
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_str id = submit(server, TEST_API_KEY);
    scoped_str path = path_of("/api/tasks/*/events", id);
    scoped_str agent = path_of("/api/v1/agents/*/events", id);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        scoped_str header = xasprintf("Last-Event-ID: %s\r\n", wrong[i]);

        assert_int_equal(refused(server, path, TEST_API_KEY, header), 400);
        assert_int_equal(refused(server, agent, TEST_API_KEY, header), 400);
        assert_int_equal(refused(server, "/api/events", TEST_API_KEY, header), 400);
    }
    scoped_str query = xasprintf("%s?from=1", path);
    assert_int_equal(refused(server, query, TEST_API_KEY, ""), 400);
    assert_int_equal(refused(server, "/api/events?all=1", TEST_API_KEY, ""), 400);
}

/* --- All runs ------------------------------------------------------------------------------
 */

static void test_all_events_are_those_of_runs_one_may_see(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_watcher mine = {.fd = -1};
    scoped_watcher theirs = {.fd = -1};
    scoped_launched shared = {0};

    (void)state;
    watch(&mine, server, "/api/events", TEST_API_KEY, "");
    watch(&theirs, server, "/api/events", OTHER_KEY, "");
    assert_shows(&mine, "retry: ");
    assert_shows(&theirs, "retry: ");
    scoped_str my_run = submit(server, TEST_API_KEY);
    scoped_str their_run = submit(server, OTHER_KEY);
    launch(&shared, server, "p");
    assert_int_equal(claim(&shared, "r1", NULL), 200);
    assert_shows(&mine, my_run);
    assert_shows(&mine, shared.id_text);
    assert_shows(&theirs, their_run);
    assert_shows(&theirs, shared.id_text);
    assert_false(shows(&mine, their_run));
    assert_false(shows(&theirs, my_run));
}

static void test_all_events_begin_now_or_after_the_last_id(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_watcher fresh = {.fd = -1};
    scoped_watcher resumed = {.fd = -1};
    scoped_watcher beyond = {.fd = -1};
    scoped_str before = submit(server, TEST_API_KEY);
    scoped_str between = submit(server, TEST_API_KEY);

    (void)state;
    watch(&fresh, server, "/api/events", TEST_API_KEY, "");
    watch(&resumed, server, "/api/events", TEST_API_KEY, "Last-Event-ID: 1\r\n");
    watch(&beyond, server, "/api/events", TEST_API_KEY, "Last-Event-ID: 1000\r\n");
    assert_shows(&fresh, "retry: ");
    assert_shows(&beyond, "retry: ");
    scoped_str after = submit(server, TEST_API_KEY);
    assert_shows(&fresh, after);
    assert_shows(&resumed, after);
    assert_shows(&beyond, after);
    assert_int_equal(count_of(body(&fresh), "\nid: "), 1);
    assert_int_equal(count_of(body(&beyond), "\nid: "), 1);
    assert_int_equal(count_of(body(&resumed), "\nid: "), 2);
    assert_true(shows(&resumed, between));
    assert_false(shows(&resumed, before));
}

static void test_streams_go_on_after_a_restart(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_watcher before = {.fd = -1};
    scoped_watcher after = {.fd = -1};
    scoped_str one = submit(server, TEST_API_KEY);

    (void)state;
    watch(&before, server, "/api/events", TEST_API_KEY, "Last-Event-ID: 0\r\n");
    assert_shows(&before, one);
    test_server_restart(server);
    assert_ends(&before);
    scoped_str two = submit(server, TEST_API_KEY);
    watch(&after, server, "/api/events", TEST_API_KEY, "Last-Event-ID: 1\r\n");
    assert_shows(&after, two);
    assert_int_equal(count_of(body(&after), "\nid: 2\n"), 1);
    assert_false(shows(&after, one));
}

static void test_a_quiet_stream_has_heartbeats(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .stream_heartbeat_s = 1});
    scoped_watcher watcher = {.fd = -1};

    (void)state;
    watch(&watcher, server, "/api/events", TEST_API_KEY, "");
    assert_shows(&watcher, "retry: 2000\n\n:\n\n:\n\n");
}

static void test_the_eleventh_stream_of_a_credential_is_429(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    struct watcher watchers[10];
    scoped_watcher eleventh = {.fd = -1};
    scoped_watcher other = {.fd = -1};
    scoped_watcher after = {.fd = -1};
    struct httpd_stats stats;

    (void)state;
    scoped_str id = submit(server, TEST_API_KEY);
    scoped_str log = path_of("/api/tasks/*/logs", id);
    for (int i = 0; i < 10; i++) {
        watch(&watchers[i], server, "/api/events", TEST_API_KEY, "");
        assert_shows(&watchers[i], "retry: ");
    }
    watch(&eleventh, server, "/api/events", TEST_API_KEY, "");
    assert_ends(&eleventh);
    assert_int_equal(eleventh.status, 429);
    assert_non_null(strstr(eleventh.raw.data, "\r\nRetry-After: "));
    assert_true(shows(&eleventh, "\"too_many_streams\""));
    assert_true(shows(&eleventh, "\"retryAfter\""));
    assert_int_equal(refused(server, log, TEST_API_KEY, ""), 200);
    watch(&other, server, "/api/events", OTHER_KEY, "");
    assert_shows(&other, "retry: ");
    /* a place is free as soon as a client has gone */
    for (int i = 0; i < 10; i++)
        watcher_done(&watchers[i]);
    wait_until((httpd_stats(server->httpd, &stats), stats.streams == 1), SOON_MS);
    watch(&after, server, "/api/events", TEST_API_KEY, "");
    assert_shows(&after, "retry: ");
}

static char *personal_token(struct test_server *server, char **out_id)
{
    struct err err = {0};
    scoped_json scopes = jarr(jstr("read"));
    struct personal_wish wish = {.user = "Ada", .scopes = scopes};
    scoped_json made = personal_token_mint(server->personal_tokens, &wish, NULL, &err);

    assert_made(made, err);
    *out_id = xstrdup(json_get_str(made, "id"));
    return xstrdup(json_get_str(made, "token"));
}

static void test_a_revoked_token_loses_its_streams(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .stream_heartbeat_s = 1});
    scoped_str gone_id = NULL;
    scoped_str kept_id = NULL;
    scoped_str gone = personal_token(server, &gone_id);
    scoped_str kept = personal_token(server, &kept_id);
    scoped_watcher ending = {.fd = -1};
    scoped_watcher going_on = {.fd = -1};
    struct err err = {0};

    (void)state;
    watch(&ending, server, "/api/events", gone, "");
    watch(&going_on, server, "/api/events", kept, "");
    assert_shows(&ending, "retry: ");
    assert_ok(personal_token_store_revoke(server->personal_tokens, gone_id, clock_wall_ms(),
                                          NULL, &err),
              err);
    assert_ends(&ending);
    assert_int_equal(refused(server, "/api/events", gone, ""), 401);
    assert_shows(&going_on, ":\n\n:\n\n");
}

/* --- Logs ----------------------------------------------------------------------------------
 */

static const char *const log_shown = "2026-01-02T03:04:05.678Z log one\n"
                                     "2026-01-02T03:04:05.678Z agent_message first\n"
                                     "2026-01-02T03:04:05.678Z agent_message second?[31m\n"
                                     "2026-01-02T03:04:05.678Z tool_use Bash ls -l\n"
                                     "2026-01-02T03:04:05.678Z warning careful\n"
                                     "2026-01-02T03:04:05.678Z step clone\n";

static void tell_everything(const struct launched *run)
{
    tell(run, 1, "\"type\": \"started\"");
    tell(run, 2, "\"type\": \"log\", \"stream\": \"stdout\", \"line\": \"one\"");
    tell(run, 3, "\"type\": \"agent_message\", \"text\": \"first\\r\\nsecond\\u001b[31m\"");
    tell(run, 4, "\"type\": \"tool_use\", \"name\": \"Bash\", \"argument\": \"ls -l\"");
    tell(run, 5, "\"type\": \"usage\", \"input_tokens\": 5");
    tell(run, 6, "\"type\": \"warning\", \"message\": \"careful\"");
    tell(run, 7, "\"type\": \"step\", \"name\": \"clone\"");
}

static void test_logs_are_lines_with_their_time(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_watcher plain = {.fd = -1};
    scoped_watcher followed = {.fd = -1};

    (void)state;
    launch(&run, server, "p");
    scoped_str path = path_of("/api/tasks/*/logs", run.id_text);
    scoped_str follow = xasprintf("%s?follow=1", path);
    assert_int_equal(claim(&run, "r1", NULL), 200);
    watch(&followed, server, follow, TEST_API_KEY, "");
    assert_shows(&followed, "status running\n");
    tell_everything(&run);
    assert_shows(&followed, log_shown);
    watch(&plain, server, path, TEST_API_KEY, "");
    assert_ends(&plain);
    assert_non_null(strstr(plain.raw.data, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_true(shows(&plain, "Z status pending\n"));
    assert_true(shows(&plain, log_shown));
    assert_false(followed.ended);
    assert_int_equal(complete_with(&run, "failed",
                                   ", \"error\": \"no tests\", \"error_code\":"
                                   " \"tests_failed\""),
                     200);
    assert_ends(&followed);
    assert_true(shows(&followed, "Z status failed (tests_failed): no tests\n"));
    assert_false(shows(&followed, "input_tokens"));
}

/* What is there when the answer begins is told at once, and not when a quiet stream is asked
 * again (an hour). It is a race: most of the times it is won. */
static void test_what_is_there_before_the_stream_is_not_waited_for(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .stream_heartbeat_s = 3600});
    scoped_str id = submit(server, TEST_API_KEY);
    scoped_str path = path_of("/api/tasks/*/logs", id);

    (void)state;
    for (int i = 0; i < 300; i++) {
        scoped_watcher watcher = {.fd = -1};

        watch(&watcher, server, path, TEST_API_KEY, "");
        assert_ends(&watcher);
        assert_int_equal(watcher.status, 200);
    }
}

static void test_the_log_of_a_job_is_what_the_backend_has(void **state)
{
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_launched run = {0};
    scoped_json answer = NULL;
    struct err err = {0};

    (void)state;
    launch(&run, server, "p");
    scoped_str path = xasprintf("/api/tasks/%s/logs?source=job", run.id_text);
    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer),
                     404);
    assert_string_equal(json_get_str(answer, "code"), "no_job_log");
    assert_ok(run_store_set_job(server->db, run.id, 1, "run-nope-1", &err), err);
    assert_int_equal(refused(server, path, TEST_API_KEY, ""), 404);
}

static void test_wrong_choices_of_a_log_are_refused(void **state)
{
    static const char *const wrong[] = {
        "follow=2",          "follow=", "follow=true",        "source=x",
        "follow=1&follow=1", "lines=5", "source=job&follow=1"};
    scoped(test_server) server = test_server_new(&by_hand);
    scoped_str id = submit(server, TEST_API_KEY);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        scoped_str path = xasprintf("/api/tasks/%s/logs?%s", id, wrong[i]);

        assert_int_equal(refused(server, path, TEST_API_KEY, ""), 400);
    }
    scoped_str usual = xasprintf("/api/tasks/%s/logs?follow=0&source=run", id);
    assert_int_equal(refused(server, usual, TEST_API_KEY, ""), 200);
}

TEST_MAIN(cmocka_unit_test(test_task_events_show_the_run_from_queue_to_end),
          cmocka_unit_test(test_a_dispatched_run_begins_as_pending_with_id_0),
          cmocka_unit_test(test_agent_events_speak_of_id_and_queued),
          cmocka_unit_test(test_a_stream_resumes_after_the_last_id),
          cmocka_unit_test(test_a_finished_run_asked_again_is_204),
          cmocka_unit_test(test_another_credentials_run_is_404),
          cmocka_unit_test(test_ids_that_are_none_are_refused),
          cmocka_unit_test(test_all_events_are_those_of_runs_one_may_see),
          cmocka_unit_test(test_all_events_begin_now_or_after_the_last_id),
          cmocka_unit_test(test_streams_go_on_after_a_restart),
          cmocka_unit_test(test_a_quiet_stream_has_heartbeats),
          cmocka_unit_test(test_the_eleventh_stream_of_a_credential_is_429),
          cmocka_unit_test(test_a_revoked_token_loses_its_streams),
          cmocka_unit_test(test_logs_are_lines_with_their_time),
          cmocka_unit_test(test_what_is_there_before_the_stream_is_not_waited_for),
          cmocka_unit_test(test_the_log_of_a_job_is_what_the_backend_has),
          cmocka_unit_test(test_wrong_choices_of_a_log_are_refused))
