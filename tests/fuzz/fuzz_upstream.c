/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to our own calls: GitHub's, an issuer's, Google's, an API server's, and home's to the
 * runner. The first byte says who asks, the second with which status it is answered; then come
 * header lines, an empty line, and the bodies of one answer after the other. The network is
 * left out: this is the net. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "crypto/jwt.h"
#include "fuzz.h"
#include "github/github.h"
#include "googleapis/rpc_status.h"
#include "googleapis/token_source.h"
#include "home/assignment.h"
#include "home/home.h"
#include "home/stop.h"
#include "home/token_secret.h"
#include "kubernetes/status.h"
#include "mcp/tool.h"
#include "net/answer.h"
#include "oidc/key_source.h"
#include "task/pull_request.h"

#define BETWEEN "\n====\n"
#define RETRY_AFTER_MAX_S 86400

static const int statuses[] = {200, 201, 204, 400, 403, 429, 409, 422, 401, 404, 500, 503};

static struct script {
    int status;
    const char *head;
    size_t head_size;
    const char *rest; /* the bodies that are to come */
    size_t rest_size;
} script;

/* --- In the net's place, and in that of the keys that sign ----------------------------------
 */

static int a_net;

struct net *net_new(const struct net_options *options, struct err *err)
{
    (void)options;
    (void)err;
    return (struct net *)(void *)&a_net;
}

void net_stop(struct net *net)
{
    (void)net;
}

void net_free(struct net *net)
{
    (void)net;
}

static void add_head(struct net_answer *answer)
{
    const char *line = script.head;
    size_t left = script.head_size;
    size_t total = 0;

    while (left) {
        const char *end = memchr(line, '\n', left);
        size_t size = end ? (size_t)(end + 1 - line) : left;

        if (!answer_add_header(answer, line, size, &total))
            return;
        line += size;
        left -= size;
    }
}

int net_call(struct net *net, const struct net_request *request, struct net_answer *out,
             struct err *err)
{
    const char *end = script.rest_size
                          ? memmem(script.rest, script.rest_size, BETWEEN, strlen(BETWEEN))
                          : NULL;
    size_t size = end ? (size_t)(end - script.rest) : script.rest_size;

    (void)net;
    if (request->answer_max_bytes && size > request->answer_max_bytes)
        return err_set(err, ERR_TOO_LARGE, "the answer is too large");
    out->status = script.status;
    add_head(out);
    buf_append(&out->body, script.rest, size);
    if (end) {
        script.rest = end + strlen(BETWEEN);
        script.rest_size -= size + strlen(BETWEEN);
    }
    return 0;
}

struct jwt_key *jwt_key_load(const char *path, struct err *err)
{
    (void)path;
    (void)err;
    return (struct jwt_key *)(void *)&a_net;
}

struct jwt_key *jwt_key_parse(const char *pem, size_t size, const char *name, struct err *err)
{
    (void)pem;
    (void)size;
    return jwt_key_load(name, err);
}

void jwt_key_free(struct jwt_key *key)
{
    (void)key;
}

struct secret *jwt_sign(const struct jwt_key *key, const cJSON *claims, struct err *err)
{
    (void)key;
    (void)claims;
    (void)err;
    return secret_new("signed");
}

/* --- Who asks -------------------------------------------------------------------------------
 */

static struct net *the_net(void)
{
    return (struct net *)(void *)&a_net;
}

static void ask_github(bool limits)
{
    char url[] = "https://api.github.com";
    char path[] = "key.pem";
    const struct config config = {
        .github_app_id = 1, .github_app_private_key_path = path, .github_api_url = url};
    struct err err = {0};
    scoped(github) asks = github_new(&config, the_net(), &err);
    struct github_token token = {0};
    scoped_json answer = NULL;

    if (limits)
        (void)!github_limits(asks, "octo/hello", &answer, &err);
    else if (github_token(asks, "octo/hello", 0, &token, &err) == 0
             && !*secret_reveal(token.token))
        abort();
    github_token_done(&token);
}

static void ask_token(void)
{
    ask_github(false);
}

static void ask_limits(void)
{
    ask_github(true);
}

static void ask_keys(void)
{
    struct err err = {0};
    int64_t max_age_s = -1;
    scoped(jwk_set) keys =
        key_source_fetch(the_net(), "https://issuer.example.com", &max_age_s, &err);

    if (max_age_s < -1 || (!keys && err.kind == ERR_NONE))
        abort();
}

static void ask_google(void)
{
    static const struct token_source_options from_metadata;
    struct err err = {0};
    struct access_token token = {0};
    scoped(token_source) source = token_source_new(&from_metadata, &err);

    if (token_source_fetch(source, &token, &err) == 0
        && (!*secret_reveal(token.secret) || token.life_ms <= 0))
        abort();
    secret_free(token.secret);
}

static void judge(int (*judged)(const struct net_answer *answer, const char *what,
                                struct err *err))
{
    struct net_request request = {.method = "GET"};
    struct err err = {0};
    scoped_net_answer answer = {0};

    if (net_call(the_net(), &request, &answer, &err) == 0
        && (judged(&answer, "asking", &err) == 0 || err.kind == ERR_NONE || !err.text[0]
            || err.retry_after_s < 0))
        abort();
}

static void ask_rpc(void)
{
    judge(rpc_status_from_answer);
}

static void ask_cluster(void)
{
    judge(status_from_answer);
}

static void open_pull_request(void)
{
    static const struct pull_request wanted = {.api_url = "https://api.github.com",
                                               .repo = "octo/hello",
                                               .title = "t",
                                               .description = "d",
                                               .head = "u/dispatch/x",
                                               .base = "main",
                                               .draft = true};
    scoped(secret) token = secret_new("ghs_token");
    struct opened_pull_request out = {0};
    struct err err = {0};

    if (pull_request_open(the_net(), token, &wanted, &out, &err) == 0 && !out.url)
        abort();
    free(out.url);
}

static char home_url[] = "http://127.0.0.1:1";
static const struct settings settings = {.home_url = home_url, .attempt = 1};

static void take_assignment(struct home *home, cJSON *document)
{
    scoped_assignment wanted = {0};
    struct tool_list tools = {0};
    struct err err = {0};
    scoped(redaction) redaction = redaction_new();
    scoped_json headers = NULL;

    if (assignment_read(&wanted, document, &err) < 0) {
        if (err.kind == ERR_NONE)
            abort();
        return;
    }
    if (!wanted.run_id || !wanted.prompt || wanted.timeout_s < 1)
        abort();
    headers = home_tool_headers(home, &err);
    if (tool_list_read(&tools, wanted.tools, headers, redaction, &err) == 0)
        tool_list_done(&tools);
}

static void claim_it(void)
{
    scoped(home) home = home_new(the_net(), &settings);
    struct err err = {0};
    cJSON *document = home_claim(home, "runner", &err);

    if (document)
        take_assignment(home, document);
}

static void ask_git_token(void)
{
    scoped(home) home = home_new(the_net(), &settings);
    struct git_token token = {0};
    struct err err = {0};

    if (home_git_token(home, &token, &err) == 0
        && strpbrk(secret_reveal(token.secret), "\r\n "))
        abort();
    secret_free(token.secret);
}

static void beat(void)
{
    scoped(home) home = home_new(the_net(), &settings);
    struct err err = {0};
    bool stop = false;

    (void)!home_heartbeat(home, &stop, &err);
}

static void read_secret(void)
{
    struct err err = {0};
    scoped(secret) token = token_secret_read(script.rest, script.rest_size, &err);

    if (!token && err.kind == ERR_NONE)
        abort();
}

static void (*const askers[])(void) = {
    ask_token,         ask_limits, ask_keys,      ask_google, ask_rpc,     ask_cluster,
    open_pull_request, claim_it,   ask_git_token, beat,       read_secret,
};

/* What any of them may want to know of a head. */
static void read_head(void)
{
    scoped_net_answer answer = {0};
    int wait_s;

    add_head(&answer);
    wait_s = net_answer_retry_after_s(&answer);
    if (wait_s < 0 || wait_s > RETRY_AFTER_MAX_S)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 2;
    const char *blank;

    if (size < 2)
        return 0;
    json_setup();
    log_set_level(LOG_LEVEL_ERROR);
    stop_request(); /* who waits before asking again doesn't */
    size -= 2;
    blank = memmem(text, size, "\n\n", 2);
    script = (struct script){.status = statuses[data[1] % ARRAY_SIZE(statuses)],
                             .head = text,
                             .head_size = blank ? (size_t)(blank + 1 - text) : 0};
    script.rest = blank ? blank + 2 : text;
    script.rest_size = size - (size_t)(script.rest - text);
    read_head();
    askers[data[0] % ARRAY_SIZE(askers)]();
    return 0;
}
