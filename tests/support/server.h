/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_SERVER_H
#define SUPPORT_SERVER_H
#include "api/app.h"
#include "net/net.h"
#include "service/deliveries.h"
#include "service/live.h"
#include "test.h"

/*
 * The real server in this process: a fresh database, the fake launcher unless another is
 * named, port 0. Calls go through the network like anybody's.
 */
struct test_server_options {
    const char *launcher;      /* NULL: "fake" */
    const char *agent_command; /* NULL: none */
    const char *github_api_url;
    int max_workers;     /* 0: no limit; -1: nothing is ever launched */
    int max_queue_size;  /* 0: 1000 */
    int lost_after_s;    /* 0: 60 */
    int claim_timeout_s; /* 0: 120 */
    int run_timeout_s;   /* 0: 60 */
    int queue_timeout_s; /* 0: 86400 */
    /* of live streams; 0: 15 */
    int stream_heartbeat_s;
    /* Changes the configuration once more before it is used; NULL. */
    void (*configure)(struct config *config);
    const char *oidc_issuer;   /* NULL: none; the audience is TEST_AUDIENCE */
    const char *more_api_keys; /* beside TEST_API_KEY, separated by commas; NULL: none */
};

#define TEST_API_KEY "test-api-key"
#define TEST_AUDIENCE "https://dispatch.example.com"

struct test_server {
    struct config config;
    struct app app;
    struct db *db;
    struct token_store *tokens;
    struct personal_token_store *personal_tokens;
    struct credential_store *credentials;
    struct api_keys *api_keys;
    struct oidc *oidc;
    struct net *net;
    struct github *github;
    struct vault *vault;
    struct live *live;
    struct deliveries *deliveries;
    struct service *service;
    struct rate *rate;
    struct httpd *httpd;
    char *dir;
    char *url;
};

struct test_server *test_server_new(const struct test_server_options *options);
/* Stops it and starts it again on the same database, as after a restart. */
void test_server_restart(struct test_server *server);
/* The same with other settings: `change` sets them while nothing reads them. */
void test_server_restart_with(struct test_server *server,
                              void (*change)(struct test_server *server));
void test_server_free(struct test_server *server);
DEFINE_SCOPED(test_server)

/* An integration token for `repo`; the caller frees it. */
char *test_server_token(struct test_server *server, const char *repo);

/* A personal token of scope admin; the caller frees it. */
char *test_server_admin(struct test_server *server);

/* One request. `bearer` and `body` may be NULL; `headers` is NULL-ended or NULL. Returns the
 * status; the answer's JSON (or NULL) is the caller's in *out when out isn't NULL. */
int test_server_call(struct test_server *server, const char *method, const char *path,
                     const char *bearer, const char *const *headers, const char *body,
                     cJSON **out);

/* POST /dispatchTask; the run id, for the caller to free. Fails the test unless 200. */
char *test_server_dispatch(struct test_server *server, const char *token, const char *prompt);

/* The public status of a task, as a literal to compare; "?" when it can't be had. */
const char *test_server_status(struct test_server *server, const char *run_id);
#endif
