/* SPDX-License-Identifier: Apache-2.0 */
#include "home/home.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "home/stop.h"

#define CLAIM_FOR_MS 120000
#define CLAIM_WAIT_MS 1000
#define TOKEN_FOR_MS 120000
#define HEARTBEAT_FOR_MS 15000
#define REPORT_TRY_MS 20000
#define REPORT_WAIT_FIRST_MS 500
#define REPORT_WAIT_MAX_MS 30000
/* Waiting is what ends these calls, not a number of tries. */
#define TRIES_MAX 40
/* A prompt of 64 KiB and its tools, every byte escaped. */
#define ANSWER_MAX_BYTES (2 * 1024 * 1024)
#define TOKEN_MAX_BYTES 4096

struct home {
    struct net *net;
    const struct settings *settings;
    char attempt[40]; /* the header */
};

struct home *home_new(struct net *net, const struct settings *settings)
{
    struct home *home = xcalloc(1, sizeof(*home));

    home->net = net;
    home->settings = settings;
    (void)snprintf(home->attempt, sizeof(home->attempt), "X-Dispatch-Attempt: %d",
                   settings->attempt);
    return home;
}

void home_free(struct home *home)
{
    free(home);
}

static enum err_kind kind_of_status(int status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
        return ERR_LIMITED;
    case 503:
        return ERR_UNAVAILABLE;
    default:
        return ERR_UPSTREAM;
    }
}

static int refused(const struct net_answer *answer, struct err *err)
{
    struct err ignored = {0};
    scoped_json body = net_answer_json(answer, &ignored);
    const char *said = json_get_str(body, "error");

    /* Without a code it isn't home that answers: a proxy in front of it that has lost it. */
    enum err_kind kind = answer->status == 404 && !json_get_str(body, "code")
                             ? ERR_UPSTREAM
                             : kind_of_status(answer->status);

    err_set(err, kind, "home answered %d%s%.300s", answer->status, said ? ": " : "",
            said ? said : "");
    err->retry_after_s = net_answer_retry_after_s(answer);
    return -1;
}

/* POSTs `body` until it is answered or *cancel; *out_answer is the parsed 200, for the caller,
 * unless out_answer is NULL. */
static int post(struct home *home, const char *path, const char *body, int timeout_ms,
                int tries, const volatile bool *cancel, cJSON **out_answer, struct err *err)
{
    const char *headers[] = {home->attempt, NULL};
    scoped_str url = xasprintf("%s%s", home->settings->home_url, path);
    scoped_net_answer answer = {0};
    struct net_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .bearer = home->settings->task_token,
        .body = body,
        .body_size = strlen(body),
        .timeout_ms = timeout_ms,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .retry = NET_IDEMPOTENT,
        .tries_max = tries,
        .cancel = cancel,
    };

    if (net_call(home->net, &request, &answer, err) < 0)
        return -1;
    if (answer.status != 200)
        return refused(&answer, err);
    if (!out_answer)
        return 0;
    *out_answer = net_answer_json(&answer, err);
    if (answer.body.data)
        secret_wipe(answer.body.data, answer.body.size); /* it may hold a token */
    return *out_answer ? 0 : -1;
}

cJSON *home_claim(struct home *home, const char *runner_id, struct err *err)
{
    scoped_json body = jobj({"runner_id", jstr(runner_id)});
    scoped_str text = json_text(body);
    int64_t until_ms = clock_monotonic_ms() + CLAIM_FOR_MS;
    cJSON *answer = NULL;

    for (;;) {
        struct err problem = {0};

        if (post(home, "/runner/v1/claim", text, CLAIM_FOR_MS, TRIES_MAX, stop_flag(), &answer,
                 &problem)
            == 0)
            return answer;
        if (problem.kind != ERR_UPSTREAM || clock_monotonic_ms() > until_ms
            || !stop_sleep(CLAIM_WAIT_MS)) {
            *err = problem;
            err_wrap(err, "claiming the run");
            return NULL;
        }
        log_warn("claiming failed, will retry", KV("error", problem.text));
    }
}

static int64_t parse_time_ms(const char *text)
{
    struct tm parts = {0};

    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &parts))
        return 0;
    return (int64_t)timegm(&parts) * 1000;
}

int home_git_token(struct home *home, struct git_token *out, struct err *err)
{
    scoped_json answer = NULL;
    const char *token;

    if (post(home, "/runner/v1/git-token", "{}", TOKEN_FOR_MS, TRIES_MAX, stop_flag(), &answer,
             err)
        < 0)
        return err_wrap(err, "asking for a git token");
    token = json_get_str(answer, "token");
    if (!token || !token[0] || strlen(token) > TOKEN_MAX_BYTES || strpbrk(token, " \t\r\n"))
        return err_set(err, ERR_UPSTREAM, "home's answer holds no usable git token");
    secret_free(out->secret);
    out->secret = secret_new(token);
    out->expires_ms = parse_time_ms(json_get_str(answer, "expires_at"));
    return 0;
}

cJSON *home_tool_headers(struct home *home, struct err *err)
{
    scoped_json answer = NULL;
    cJSON *headers;

    if (post(home, "/runner/v1/tool-headers", "{}", TOKEN_FOR_MS, TRIES_MAX, stop_flag(),
             &answer, err)
        < 0) {
        err_wrap(err, "asking for the tools' headers");
        return NULL;
    }
    headers = cJSON_DetachItemFromObjectCaseSensitive(answer, "tools");
    if (cJSON_IsObject(headers))
        return headers;
    cJSON_Delete(headers);
    (void)err_set(err, ERR_UPSTREAM, "home's answer holds no headers of tools");
    return NULL;
}

int home_send_events(struct home *home, const struct buf *events, int timeout_ms,
                     struct err *err)
{
    scoped_str body = xasprintf("{\"events\":[%s]}", events->data ? events->data : "");

    if (post(home, "/runner/v1/events", body, timeout_ms, 4, NULL, NULL, err) < 0)
        return err_wrap(err, "sending events");
    return 0;
}

int home_heartbeat(struct home *home, bool *out_stop, struct err *err)
{
    scoped_json answer = NULL;

    if (post(home, "/runner/v1/heartbeat", "{}", HEARTBEAT_FOR_MS, 4, NULL, &answer, err) < 0)
        return err_wrap(err, "heartbeat");
    *out_stop = json_get_bool(answer, "stop", false);
    return 0;
}

/* Refusals that will not change: who asks again is asking the same of the same run. */
static bool is_final(enum err_kind kind)
{
    return kind == ERR_CONFLICT || kind == ERR_UNAUTHENTICATED || kind == ERR_INVALID
           || kind == ERR_DENIED;
}

int home_complete(struct home *home, const char *report, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + HOME_REPORT_FOR_MS;
    int wait_ms = REPORT_WAIT_FIRST_MS;

    for (;;) {
        struct err problem = {0};

        if (post(home, "/api/callbacks/complete", report, REPORT_TRY_MS, 1, NULL, NULL,
                 &problem)
            == 0)
            return 0;
        if (is_final(problem.kind) || clock_monotonic_ms() + wait_ms > until_ms) {
            *err = problem;
            return err_wrap(err, "reporting the outcome");
        }
        log_warn("home didn't take the outcome, will retry", KV("error", problem.text),
                 KV("wait_ms", wait_ms));
        /* Not stop_sleep: who is being stopped still wants to say how it ended. */
        (void)usleep((useconds_t)(wait_ms / 2 + (int)(random_u64() % (unsigned)wait_ms) / 2)
                     * 1000);
        wait_ms = wait_ms * 2 > REPORT_WAIT_MAX_MS ? REPORT_WAIT_MAX_MS : wait_ms * 2;
    }
}
