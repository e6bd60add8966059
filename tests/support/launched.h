/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_LAUNCHED_H
#define SUPPORT_LAUNCHED_H
#include <string.h>

#include "base/alloc.h"
#include "model/token.h"
#include "server.h"
#include "store/run_store.h"

/* A run that was launched by hand, so that the test knows its token and is its runner. For
 * servers that launch nothing themselves (max_workers = -1). */
struct launched {
    struct test_server *server;
    char *id_text;
    char *task_token;
    struct id id;
    int attempt;
};

static inline void launched_done(struct launched *run)
{
    free(run->id_text);
    free(run->task_token);
}
#define scoped_launched __attribute__((cleanup(launched_done))) struct launched

static inline void relaunch(struct launched *run)
{
    struct err err = {0};
    uint8_t hash[SHA256_SIZE];
    scoped(secret) token = task_token_make(run->id);

    free(run->task_token);
    run->task_token = xstrdup(secret_reveal(token));
    token_hash(run->task_token, hash);
    assert_ok(run_store_launch(run->server->db, run->id, "fake", hash, clock_wall_ms() + 60000,
                               &run->attempt, &err),
              err);
}

/* A run that waits. */
static inline void launch_id(struct launched *run, struct test_server *server, const char *id)
{
    *run = (struct launched){.server = server, .id_text = xstrdup(id)};
    assert_true(id_parse(run->id_text, &run->id));
    relaunch(run);
}

/* A new one, by /dispatchTask. */
static inline void launch(struct launched *run, struct test_server *server, const char *prompt)
{
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, prompt);

    launch_id(run, server, id);
}

static inline int call_as(const struct launched *run, const char *token, int attempt,
                          const char *path, const char *body, cJSON **out)
{
    scoped_str header = xasprintf("X-Dispatch-Attempt: %d", attempt);
    const char *const headers[] = {header, NULL};

    return test_server_call(run->server, "POST", path, token, headers, body, out);
}

static inline int call(const struct launched *run, const char *path, const char *body,
                       cJSON **out)
{
    return call_as(run, run->task_token, run->attempt, path, body, out);
}

static inline int claim(const struct launched *run, const char *runner_id, cJSON **out)
{
    scoped_str body = xasprintf("{\"runner_id\": \"%s\"}", runner_id);

    return call(run, "/runner/v1/claim", body, out);
}

/* `rest` is what follows task_id and status: "" or ", \"pr_url\": ...". */
static inline int complete_with(const struct launched *run, const char *status,
                                const char *rest)
{
    scoped_str body =
        xasprintf("{\"task_id\": \"%s\", \"status\": \"%s\"%s}", run->id_text, status, rest);

    return call(run, "/api/callbacks/complete", body, NULL);
}
#endif
