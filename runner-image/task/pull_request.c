/* SPDX-License-Identifier: Apache-2.0 */
#include "task/pull_request.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "home/stop.h"

#define CALL_MAX_MS 30000
#define TRIES_MAX 4
#define WAIT_FIRST_MS 1000
#define RATE_WAIT_DEFAULT_S 30
#define RATE_WAIT_MAX_S 120
#define URL_MAX_BYTES 2048

struct opening {
    struct net *net;
    const struct secret *token;
    const struct pull_request *wanted;
    bool draft; /* what we ask for now */
};

/* What to do after a try. */
enum next { NEXT_DONE, NEXT_FAIL, NEXT_FIND, NEXT_FIND_THEN_RETRY, NEXT_NO_DRAFT, NEXT_WAIT };

static int call(struct opening *opening, const char *method, const char *url, const char *body,
                enum net_retry retry, struct net_answer *out, struct err *err)
{
    static const char *const headers[] = {
        "Accept: application/vnd.github+json",
        "X-GitHub-Api-Version: 2022-11-28",
        NULL,
    };
    struct net_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .bearer = opening->token,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = CALL_MAX_MS,
        .retry = retry,
    };

    return net_call(opening->net, &request, out, err);
}

static int take_url(const cJSON *pull, struct opened_pull_request *out, struct err *err)
{
    const char *url = json_get_str(pull, "html_url");

    if (!url || strlen(url) > URL_MAX_BYTES)
        return err_set(err, ERR_UPSTREAM, "GitHub's answer names no pull request");
    out->url = xstrdup(url);
    out->draft = json_get_bool(pull, "draft", false);
    return 0;
}

/* --- Looking for it ---------------------------------------------------------------------- */

/* 1 when it is there, 0 when it isn't. */
static int find(struct opening *opening, struct opened_pull_request *out, struct err *err)
{
    const struct pull_request *wanted = opening->wanted;
    scoped_str owner = xstrndup(wanted->repo, strcspn(wanted->repo, "/"));
    scoped_str head_text = xasprintf("%s:%s", owner, wanted->head);
    scoped_str head = net_escape(head_text);
    scoped_str base = net_escape(wanted->base);
    scoped_str url = xasprintf("%s/repos/%s/pulls?head=%s&base=%s&state=open", wanted->api_url,
                               wanted->repo, head, base);
    scoped_net_answer answer = {0};
    scoped_json pulls = NULL;

    if (call(opening, "GET", url, NULL, NET_IDEMPOTENT, &answer, err) < 0)
        return -1;
    if (answer.status != 200)
        return err_set(err, ERR_UPSTREAM, "GitHub answered %d to a look for it", answer.status);
    pulls = net_answer_json(&answer, err);
    if (!pulls)
        return -1;
    if (!cJSON_IsArray(pulls) || !pulls->child)
        return 0;
    return take_url(pulls->child, out, err) < 0 ? -1 : 1;
}

/* --- Asking for it ----------------------------------------------------------------------- */

/* GitHub's message with those of its errors[]; the caller frees it. */
static char *what_it_says(const cJSON *body)
{
    const char *message = json_get_str(body, "message");
    const cJSON *errors = json_get(body, "errors");
    scoped_buf text = {0};

    buf_printf(&text, "%.200s", message ? message : "no message");
    if (cJSON_IsArray(errors)) {
        for (const cJSON *one = errors->child; one && text.size < 400; one = one->next) {
            const char *said =
                cJSON_IsString(one) ? one->valuestring : json_get_str(one, "message");

            if (said)
                buf_printf(&text, "; %.150s", said);
        }
    }
    return buf_take(&text);
}

static bool is_rate_limit(const struct net_answer *answer, const char *said)
{
    return answer->status == 429
           || (answer->status == 403
               && (net_answer_retry_after_s(answer) || strcasestr(said, "rate limit")));
}

static enum next judge(struct opening *opening, const struct net_answer *answer,
                       struct opened_pull_request *out, struct err *err)
{
    struct err ignored = {0};
    scoped_json body = net_answer_json(answer, &ignored);
    scoped_str said = what_it_says(body);

    if (answer->status == 201)
        return take_url(body, out, err) < 0 ? NEXT_FIND : NEXT_DONE;
    err_set(err, ERR_UPSTREAM, "GitHub answered %d: %s", answer->status, said);
    if (answer->status >= 500)
        return NEXT_FIND_THEN_RETRY;
    if (is_rate_limit(answer, said)) {
        err->retry_after_s = net_answer_retry_after_s(answer);
        return NEXT_WAIT;
    }
    if (answer->status == 422 && strcasestr(said, "already exists"))
        return NEXT_FIND;
    if (answer->status == 422 && opening->draft && strcasestr(said, "draft"))
        return NEXT_NO_DRAFT;
    return NEXT_FAIL;
}

static enum next ask(struct opening *opening, struct opened_pull_request *out, struct err *err)
{
    const struct pull_request *wanted = opening->wanted;
    scoped_str url = xasprintf("%s/repos/%s/pulls", wanted->api_url, wanted->repo);
    scoped_json document =
        jobj({"title", jstr(wanted->title)}, {"body", jstr(wanted->description)},
             {"head", jstr(wanted->head)}, {"base", jstr(wanted->base)},
             {"draft", jbool(opening->draft)}, {"maintainer_can_modify", jbool(true)});
    scoped_str body = json_text(document);
    scoped_net_answer answer = {0};

    if (call(opening, "POST", url, body, NET_ONCE, &answer, err) < 0)
        return err->kind == ERR_INVALID ? NEXT_FAIL : NEXT_FIND_THEN_RETRY;
    return judge(opening, &answer, out, err);
}

/* --- Putting it together ----------------------------------------------------------------- */

static int wait_ms_for(const struct err *err, int try_number)
{
    int wait_s = err->retry_after_s ? err->retry_after_s : RATE_WAIT_DEFAULT_S * try_number;

    return (wait_s > RATE_WAIT_MAX_S ? RATE_WAIT_MAX_S : wait_s) * 1000;
}

/* After a try that didn't end in a pull request: 1 when it is there after all, 0 to try again,
 * -1 to give up with the error of the try. */
static int prepare_next(struct opening *opening, enum next next, int try_number,
                        struct opened_pull_request *out, const struct err *problem)
{
    struct err ignored = {0};
    int found = 0;

    switch (next) {
    case NEXT_FIND_THEN_RETRY:
        log_warn("opening the pull request failed, will look for it",
                 KV("error", problem->text));
        if (!stop_sleep(WAIT_FIRST_MS << try_number))
            return -1;
        found = find(opening, out, &ignored);
        return found > 0 ? 1 : 0;
    case NEXT_FIND:
        return find(opening, out, &ignored) > 0 ? 1 : -1;
    case NEXT_WAIT:
        log_warn("GitHub asks us to wait", KV("error", problem->text));
        return stop_sleep(wait_ms_for(problem, try_number)) ? 0 : -1;
    case NEXT_NO_DRAFT:
        opening->draft = false;
        return 0;
    default:
        return -1;
    }
}

int pull_request_open(struct net *net, const struct secret *token,
                      const struct pull_request *wanted, struct opened_pull_request *out,
                      struct err *err)
{
    struct opening opening = {net, token, wanted, wanted->draft};
    struct err problem = {0};

    for (int try_number = 1; try_number <= TRIES_MAX; try_number++) {
        enum next next;
        int prepared;

        problem = (struct err){0};
        next = ask(&opening, out, &problem);
        if (next == NEXT_DONE)
            return 0;
        prepared = prepare_next(&opening, next, try_number, out, &problem);
        if (prepared > 0)
            return 0;
        if (prepared < 0)
            break;
    }
    *err = problem;
    return err_wrap(err, "opening the pull request");
}
