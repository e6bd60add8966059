/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/fake_home.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define CALL_TIMEOUT_MS 10000
#define HEARTBEAT_S_MAX 3600

/* Takes the body. *out_json (may be NULL) is the answer of a 200, the caller's, or NULL. */
static enum fake_answer call(const struct fake_home *home, const char *path, cJSON *body,
                             cJSON **out_json)
{
    scoped_json sent = body;
    scoped_str text = json_text(sent);
    scoped_str url = xasprintf("%s%s", home->url, path);
    scoped_str attempt = xasprintf("X-Dispatch-Attempt: %d", home->attempt);
    const char *const headers[] = {attempt, NULL};
    struct net_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .bearer = home->token,
        .body = text,
        .body_size = strlen(text),
        .timeout_ms = CALL_TIMEOUT_MS,
        .retry = NET_UNSENT,
        .cancel = home->cancel,
    };
    scoped_net_answer answer = {0};
    struct err err = {0};

    if (net_call(home->net, &request, &answer, &err) < 0) {
        log_debug("a fake runner's call failed, will retry", KV("error", err.text));
        return FAKE_ANSWER_NONE;
    }
    if (answer.status == 200) {
        if (out_json)
            *out_json = net_answer_json(&answer, &err);
        return FAKE_ANSWER_OK;
    }
    log_debug("a fake runner was refused", KV("path", path), KV("status", answer.status));
    return answer.status == 429 || answer.status >= 500 ? FAKE_ANSWER_NONE
                                                        : FAKE_ANSWER_REFUSED;
}

enum fake_answer fake_home_claim(const struct fake_home *home, int *out_heartbeat_s)
{
    scoped_json answer = NULL;
    char run[ID_TEXT_SIZE];
    scoped_str runner_id = NULL;
    enum fake_answer got;

    id_text(home->run, run);
    runner_id = xasprintf("fake-%s-%d", run, home->attempt);
    got = call(home, "/runner/v1/claim", jobj({"runner_id", jstr(runner_id)}), &answer);
    if (got == FAKE_ANSWER_OK) {
        int64_t every_s = json_get_int(json_get(answer, "limits"), "heartbeat_s", 10);

        *out_heartbeat_s = (int)(every_s < 1                 ? 1
                                 : every_s > HEARTBEAT_S_MAX ? HEARTBEAT_S_MAX
                                                             : every_s);
    }
    return got;
}

enum fake_answer fake_home_events(const struct fake_home *home)
{
    int64_t now_ms = clock_wall_ms();
    cJSON *events =
        jarr(jobj({"seq", jint(1)}, {"at", jtime(now_ms)}, {"type", jstr("started")}),
             jobj({"seq", jint(2)}, {"at", jtime(now_ms)}, {"type", jstr("log")},
                  {"text", jstr("a fake runner at work")}),
             jobj({"seq", jint(3)}, {"at", jtime(now_ms)}, {"type", jstr("finished")}));

    return call(home, "/runner/v1/events", jobj({"events", events}), NULL);
}

enum fake_answer fake_home_heartbeat(const struct fake_home *home)
{
    scoped_json answer = NULL;
    enum fake_answer got = call(home, "/runner/v1/heartbeat", cJSON_CreateObject(), &answer);

    return got == FAKE_ANSWER_OK && json_get_bool(answer, "stop", false) ? FAKE_ANSWER_STOP
                                                                         : got;
}

enum fake_answer fake_home_complete(const struct fake_home *home, enum fake_end end,
                                    const char *pr_url)
{
    bool completed = end == FAKE_COMPLETED;
    bool failed = end == FAKE_FAILED;
    char run[ID_TEXT_SIZE];
    scoped_str branch = NULL;

    id_text(home->run, run);
    if (completed && pr_url)
        branch = xasprintf("u/dispatch/%s/fake", run + ID_LENGTH - 7);
    return call(
        home, "/api/callbacks/complete",
        jobj({"task_id", jstr(run)}, {"status", jstr(fake_end_name(end))},
             {"pr_url", completed ? jstr(pr_url) : NULL}, {"branch_name", jstr(branch)},
             {"summary", completed ? jstr("The fake runner has nothing to show") : NULL},
             {"error", failed ? jstr("The fake runner failed as asked") : NULL},
             {"error_code", failed ? jstr("agent_failed") : NULL}),
        NULL);
}
