/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "launch/launcher.h"
#include "json/json.h"

#define SOON_MS 60000
#define TOKEN "vgvtask_of-the-fake"

/* --- A home that writes down who called ------------------------------------------------- */

struct home {
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    struct buf seen; /* whole requests, one after another */
    char *url;
    /* What it answers, set before jobs start. */
    int claim_status;
    bool says_stop;
    int refuse_first; /* this many calls get 503 */
};

static size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");

    return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* One request: the head and as much body as it says. */
static bool read_request(int fd, struct buf *out)
{
    for (;;) {
        char chunk[4096];
        const char *end = out->data ? strstr(out->data, "\r\n\r\n") : NULL;
        ssize_t got;

        if (end && out->size >= (size_t)(end + 4 - out->data) + content_length(out->data))
            return true;
        got = recv(fd, chunk, sizeof(chunk), 0);
        if (got <= 0)
            return false;
        buf_append(out, chunk, (size_t)got);
    }
}

static void answer(struct home *home, int fd, const char *request)
{
    const char *body = "{\"limits\":{\"heartbeat_s\":1},\"stored\":3,\"stop\":false}";
    int status = 200;
    scoped_str text = NULL;

    if (strstr(request, "/runner/v1/claim "))
        status = home->claim_status;
    if (strstr(request, "/runner/v1/heartbeat ") && home->says_stop)
        body = "{\"stop\":true}";
    if (home->refuse_first > 0) {
        home->refuse_first--;
        status = 503;
    }
    text = xasprintf("HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     status, strlen(body), body);
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void *serve(void *ctx)
{
    struct home *home = ctx;

    for (;;) {
        scoped_fd fd = accept4(home->listener, NULL, NULL, SOCK_CLOEXEC);
        scoped_buf request = {0};

        if (fd < 0)
            return NULL;
        if (!read_request(fd, &request))
            continue;
        (void)pthread_mutex_lock(&home->lock);
        buf_append(&home->seen, request.data, request.size);
        buf_append_str(&home->seen, "\n");
        (void)pthread_mutex_unlock(&home->lock);
        answer(home, fd, request.data);
    }
}

static struct home *home_new(void)
{
    struct home *home = xcalloc(1, sizeof(*home));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);

    home->claim_status = 200;
    (void)pthread_mutex_init(&home->lock, NULL);
    home->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(home->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(home->listener, 64), 0);
    assert_int_equal(getsockname(home->listener, (struct sockaddr *)&at, &size), 0);
    home->url = xasprintf("http://127.0.0.1:%d", ntohs(at.sin_port));
    return home;
}

static void home_open(struct home *home)
{
    assert_int_equal(pthread_create(&home->thread, NULL, serve, home), 0);
}

static void home_free(struct home *home)
{
    (void)shutdown(home->listener, SHUT_RDWR);
    (void)pthread_join(home->thread, NULL);
    (void)close(home->listener);
    (void)pthread_mutex_destroy(&home->lock);
    buf_done(&home->seen);
    free(home->url);
    free(home);
}
DEFINE_SCOPED(home)

static int calls_to(struct home *home, const char *text)
{
    int times = 0;

    (void)pthread_mutex_lock(&home->lock);
    for (const char *at = home->seen.data; at && (at = strstr(at, text)); at++)
        times++;
    (void)pthread_mutex_unlock(&home->lock);
    return times;
}

/* --- Jobs ------------------------------------------------------------------------------- */

static atomic_int changes;

static void on_changed(void *ctx, struct id run, int attempt)
{
    (void)ctx;
    (void)run;
    (void)attempt;
    atomic_fetch_add(&changes, 1);
}

static struct launcher *open_fake(void)
{
    struct config config = {0};
    struct err err = {0};
    struct launcher *launcher;

    atomic_store(&changes, 0);
    launcher = launcher_open("fake", &config, on_changed, NULL, &err);
    assert_made(launcher, err);
    return launcher;
}

static int try_start(struct launcher *launcher, struct id run, int attempt,
                     const struct home *home, const char *script, char **out_ref,
                     struct err *err)
{
    scoped(secret) token = secret_new(TOKEN);
    struct job_spec spec = {
        .run = run,
        .attempt = attempt,
        .url = home ? home->url : NULL,
        .task_token = token,
        .timeout_s = 3600,
        .script = script,
    };

    return launcher_start(launcher, &spec, out_ref, err);
}

static struct id new_run(void)
{
    return id_make(clock_wall_ms(), random_u64());
}

static char *start(struct launcher *launcher, const struct home *home, const char *script)
{
    struct err err = {0};
    char *ref = NULL;

    assert_ok(try_start(launcher, new_run(), 1, home, script, &ref, &err), err);
    return ref;
}

static struct job_view view_of(struct launcher *launcher, const char *ref)
{
    struct job_view view = {0};
    struct err err = {0};

    assert_ok(launcher_poll(launcher, ref, &view, &err), err);
    return view;
}

static struct job_view await(struct launcher *launcher, const char *ref, enum job_phase phase)
{
    wait_until(view_of(launcher, ref).phase == phase, SOON_MS);
    return view_of(launcher, ref);
}

/* --- Without a home --------------------------------------------------------------------- */

static void test_each_end_looks_as_its_script_asks(void **state)
{
    static const struct {
        const char *script;
        enum job_phase phase;
        int exit_code;
        enum failure_code reason;
    } cases[] = {
        {"end=completed", JOB_ENDED, 0, FAILURE_NONE},
        {"end=failed", JOB_ENDED, 1, FAILURE_AGENT_FAILED},
        {"end=stopped", JOB_ENDED, 4, FAILURE_NONE},
        {"crash", JOB_ENDED, 139, FAILURE_NONE},
        {"oom", JOB_ENDED, 137, FAILURE_OUT_OF_MEMORY},
        {"evicted", JOB_ENDED, -1, FAILURE_EVICTED},
        {"vanish", JOB_LOST, -1, FAILURE_NONE},
    };
    scoped(launcher) launcher = open_fake();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str ref = start(launcher, NULL, cases[i].script);
        struct job_view view = await(launcher, ref, cases[i].phase);

        assert_int_equal(view.exit_code, cases[i].exit_code);
        assert_int_equal(view.reason, cases[i].reason);
    }
    wait_until(atomic_load(&changes) == (int)ARRAY_SIZE(cases), SOON_MS);
}

static void test_silent_and_frozen_jobs_run_until_stopped(void **state)
{
    static const char *const scripts[] = {"silent claim_ms=0", "frozen claim_ms=0 run_ms=0"};
    scoped(launcher) launcher = open_fake();
    scoped_str other = NULL;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        scoped_str ref = start(launcher, NULL, scripts[i]);

        other = (free(other), start(launcher, NULL, "run_ms=20"));
        (void)await(launcher, other, JOB_ENDED);
        assert_int_equal(view_of(launcher, ref).phase, JOB_RUNNING);
        assert_ok(launcher_stop(launcher, ref, &err), err);
        (void)await(launcher, ref, JOB_ENDED);
    }
}

static void test_starts_fail_as_asked(void **state)
{
    scoped(launcher) launcher = open_fake();
    struct id run = new_run();
    struct err err = {0};
    scoped_str ref = NULL;

    (void)state;
    assert_int_equal(try_start(launcher, run, 1, NULL, "start_errors=2", &ref, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
    assert_int_equal(try_start(launcher, run, 2, NULL, "start_errors=2", &ref, &err), -1);
    assert_ok(try_start(launcher, run, 3, NULL, "start_errors=2", &ref, &err), err);
    (void)await(launcher, ref, JOB_ENDED);
}

static void test_an_unanswered_start_has_begun_or_not(void **state)
{
    scoped(launcher) launcher = open_fake();
    struct err err = {0};
    struct id lost = new_run();
    struct id committed = new_run();
    scoped_str lost_ref = NULL;
    scoped_str committed_ref = NULL;
    scoped_buf logs = {0};

    (void)state;
    assert_int_equal(try_start(launcher, lost, 1, NULL, "start=timeout", &lost_ref, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_int_equal(try_start(launcher, committed, 1, NULL, "start=timeout_committed",
                               &committed_ref, &err),
                     -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    wait_until(atomic_load(&changes) == 1, SOON_MS); /* the committed one ran */
    assert_ok(try_start(launcher, committed, 1, NULL, NULL, &committed_ref, &err), err);
    assert_ok(try_start(launcher, lost, 1, NULL, NULL, &lost_ref, &err), err);
    (void)await(launcher, lost_ref, JOB_ENDED);
    assert_int_equal(view_of(launcher, committed_ref).phase, JOB_ENDED);
    assert_ok(launcher_logs(launcher, committed_ref, 100, &logs, &err), err);
    assert_string_equal(logs.data, "started\nended\n");
}

static void test_ten_thousand_at_once(void **state)
{
    enum { JOBS = 10000 };
    scoped(launcher) launcher = open_fake();

    (void)state;
    for (int i = 0; i < JOBS; i++)
        free(start(launcher, NULL, "claim_ms=3 run_ms=50"));
    wait_until(atomic_load(&changes) == JOBS, SOON_MS);
}

static void test_closing_with_jobs_under_way_is_clean(void **state)
{
    scoped(launcher) launcher = open_fake();

    (void)state;
    for (int i = 0; i < 100; i++)
        free(start(launcher, NULL, i % 2 ? "run_ms=1000000" : "claim_ms=1000000"));
}

/* --- With a home ------------------------------------------------------------------------ */

static void test_it_calls_home_like_a_runner(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();
    scoped_str ref = NULL;

    (void)state;
    home_open(home);
    ref = start(launcher, home, "pr=https://github.com/o/r/pull/7");
    assert_int_equal(await(launcher, ref, JOB_ENDED).exit_code, 0);
    assert_int_equal(calls_to(home, "POST /runner/v1/claim "), 1);
    assert_int_equal(calls_to(home, "POST /runner/v1/events "), 1);
    assert_int_equal(calls_to(home, "POST /api/callbacks/complete "), 1);
    assert_int_equal(calls_to(home, "\"pr_url\":\"https://github.com/o/r/pull/7\""), 1);
    assert_int_equal(calls_to(home, "Authorization: Bearer " TOKEN "\r\n"), 3);
    assert_int_equal(calls_to(home, "X-Dispatch-Attempt: 1\r\n"), 3);
    assert_int_equal(calls_to(home, "\"runner_id\":"), 1);
}

static void test_a_refused_claim_ends_it_without_a_report(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();
    scoped_str ref = NULL;

    (void)state;
    home->claim_status = 409;
    home_open(home);
    ref = start(launcher, home, "");
    (void)await(launcher, ref, JOB_ENDED);
    assert_int_equal(calls_to(home, "complete "), 0);
}

static void test_a_home_that_is_away_is_asked_again(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();
    scoped_str ref = NULL;

    (void)state;
    home->refuse_first = 2;
    home_open(home);
    ref = start(launcher, home, "");
    assert_int_equal(await(launcher, ref, JOB_ENDED).exit_code, 0);
    assert_int_equal(calls_to(home, "claim "), 3);
}

static void test_a_heartbeat_can_tell_it_to_stop(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();
    scoped_str ref = NULL;

    (void)state;
    home->says_stop = true;
    home_open(home);
    ref = start(launcher, home, "run_ms=1000000");
    assert_int_equal(await(launcher, ref, JOB_ENDED).exit_code, 4);
    assert_int_equal(calls_to(home, "heartbeat "), 1);
    assert_int_equal(calls_to(home, "\"status\":\"stopped\""), 1);
}

static void test_a_crash_makes_no_report(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();
    scoped_str ref = NULL;

    (void)state;
    home_open(home);
    ref = start(launcher, home, "crash");
    (void)await(launcher, ref, JOB_ENDED);
    assert_int_equal(calls_to(home, "claim "), 1);
    assert_int_equal(calls_to(home, "complete "), 0);
}

static void test_closing_during_calls_is_clean(void **state)
{
    scoped(home) home = home_new();
    scoped(launcher) launcher = open_fake();

    (void)state;
    home->refuse_first = 1000000;
    home_open(home);
    for (int i = 0; i < 100; i++)
        free(start(launcher, home, "claim_ms=0"));
    wait_until(calls_to(home, "claim ") > 0, SOON_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_end_looks_as_its_script_asks),
        cmocka_unit_test(test_silent_and_frozen_jobs_run_until_stopped),
        cmocka_unit_test(test_starts_fail_as_asked),
        cmocka_unit_test(test_an_unanswered_start_has_begun_or_not),
        cmocka_unit_test(test_ten_thousand_at_once),
        cmocka_unit_test(test_closing_with_jobs_under_way_is_clean),
        cmocka_unit_test(test_it_calls_home_like_a_runner),
        cmocka_unit_test(test_a_refused_claim_ends_it_without_a_report),
        cmocka_unit_test(test_a_home_that_is_away_is_asked_again),
        cmocka_unit_test(test_a_heartbeat_can_tell_it_to_stop),
        cmocka_unit_test(test_a_crash_makes_no_report),
        cmocka_unit_test(test_closing_during_calls_is_clean),
    };

    json_setup();
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
