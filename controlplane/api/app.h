/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_APP_H
#define API_APP_H
#include "config/config.h"
#include "github/github.h"
#include "httpd/httpd.h"
#include "service/service.h"
#include "store/audit.h"
#include "store/credential_store.h"
#include "store/db.h"
#include "store/personal_token_store.h"
#include "store/run_store.h"
#include "store/token_store.h"
#include "store/vault.h"

/*
 * What every handler gets: the program's parts, borrowed, and who is asking.
 */
struct app {
    const struct config *config;
    struct db *db;
    struct token_store *tokens;
    struct personal_token_store *personal_tokens;
    struct credential_store *credentials;
    const struct api_keys *api_keys;
    struct oidc *oidc; /* NULL: no issuer is configured */
    struct github *github;
    struct service *service;
    struct deliveries *deliveries;
    const struct vault *vault;
    struct live *live;         /* service/live.h */
    struct rate *rate;         /* api/rate.h; NULL: nobody is limited */
    const struct httpd *httpd; /* NULL until it listens */
    int64_t started_ms;
};

/* What a route demands of its caller: one bit each, as the scopes of struct route. */
enum scope {
    ANYONE,
    SCOPE_DISPATCH, /* an integration token */
    SCOPE_READ,     /* who may look: an API key, a personal token, an OIDC token */
    SCOPE_TASKS,    /* the same, who may queue, stop and retry as well */
    SCOPE_OPERATOR, /* a personal token of scope admin */
    SCOPE_RUNNER,   /* the task token of one run, and the attempt it is at */
    SCOPE_ADMIN,    /* whoever may open the control socket */
};

#define PRINCIPAL_ACTOR_SIZE 160 /* "oidc:", a repository's name, and a NUL */

/* Who was let in; what is filled follows from the route's scope. */
struct principal {
    /* For logs and the audit log: "token:<id>", "key:<16 hex digits>", "personal:<id>",
     * "oidc:OWNER/NAME", "runner:<run>", "control-socket". */
    char actor[PRINCIPAL_ACTOR_SIZE];
    int64_t owner;    /* the credential whose runs these are; 0 with SCOPE_DISPATCH */
    bool sees_shared; /* runs of no owner as well: the operator's API keys */
    bool sees_all;    /* everybody's: personal tokens of scope admin */
    char *requester;  /* "NAME <EMAIL>"; NULL: not known */
    char *only_repo;  /* OWNER/NAME: it may queue runs against this one alone; NULL: any */
    struct token_grant grant; /* SCOPE_DISPATCH */
    struct run *run;          /* SCOPE_RUNNER: as it was at the check; owned */
    int attempt;              /* SCOPE_RUNNER: as the runner said */
};

/* May the caller know of this run? Where not, there is no such run (404). */
bool principal_may_see(const struct principal *principal, const struct run *run);
/* The run, where the caller may see it: ERR_NOT_FOUND in the same words whether there is none
 * or it is somebody else's. */
struct run *principal_load_run(const struct app *app, const struct request *req, struct id id,
                               struct err *err) CHECKED;
/* So that a list has only what may be seen. */
void principal_narrow(const struct principal *principal, struct run_filter *filter);
/* May it queue a run against this repository (NULL: a blank workspace)? ERR_DENIED. */
int principal_check_repo(const struct principal *principal, const char *repo,
                         struct err *err) CHECKED;

/* For httpd_options: ERR_UNAUTHENTICATED, ERR_DENIED, or for runners ERR_CONFLICT. */
int authorize(struct app *app, struct request *req, int scope, struct err *err);
void principal_free(void *principal);
const struct principal *principal_of(const struct request *req);
/* The same for the audit log, with where the request came from; borrowed from it. (source.c) */
struct audit_source request_source(const struct app *app, const struct request *req);

/* The tables: what the network sees, and what the control socket sees. */
extern const struct route public_routes[];
extern const size_t n_public_routes;
extern const struct route admin_routes[];
extern const size_t n_admin_routes;

/* --- Handlers, by the file they are in -------------------------------------------------------
 */

/* dispatch.c */
int dispatch_task(struct app *app, struct request *req, cJSON **out, struct err *err);

/* tasks.c */
int show_task(struct app *app, struct request *req, cJSON **out, struct err *err);
int list_tasks(struct app *app, struct request *req, cJSON **out, struct err *err);
int stop_task(struct app *app, struct request *req, cJSON **out, struct err *err);
int list_history(struct app *app, struct request *req, cJSON **out, struct err *err);

/* submit.c */
int submit_task(struct app *app, struct request *req, cJSON **out, struct err *err);
int retry_task(struct app *app, struct request *req, cJSON **out, struct err *err);

/* agents.c */
int create_agent(struct app *app, struct request *req, cJSON **out, struct err *err);
int list_agents(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_agent(struct app *app, struct request *req, cJSON **out, struct err *err);
int stop_agent_run(struct app *app, struct request *req, cJSON **out, struct err *err);

/* streams.c */
int stream_task(struct app *app, struct request *req, cJSON **out, struct err *err);
int stream_agent(struct app *app, struct request *req, cJSON **out, struct err *err);
int stream_all(struct app *app, struct request *req, cJSON **out, struct err *err);
int stream_task_log(struct app *app, struct request *req, cJSON **out, struct err *err);

/* runner.c */
int claim_run(struct app *app, struct request *req, cJSON **out, struct err *err);
int give_git_token(struct app *app, struct request *req, cJSON **out, struct err *err);
int give_tool_headers(struct app *app, struct request *req, cJSON **out, struct err *err);
int add_events(struct app *app, struct request *req, cJSON **out, struct err *err);
int heartbeat(struct app *app, struct request *req, cJSON **out, struct err *err);
int complete_run(struct app *app, struct request *req, cJSON **out, struct err *err);

/* deliveries.c */
int list_deliveries(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_delivery(struct app *app, struct request *req, cJSON **out, struct err *err);
int redeliver(struct app *app, struct request *req, cJSON **out, struct err *err);

/* audit.c */
int list_audit(struct app *app, struct request *req, cJSON **out, struct err *err);
int verify_audit(struct app *app, struct request *req, cJSON **out, struct err *err);

/* ops.c */
int show_health(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_live(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_ready(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_metrics(struct app *app, struct request *req, cJSON **out, struct err *err);
int check_startup(struct app *app, struct request *req, cJSON **out, struct err *err);
int show_openapi(struct app *app, struct request *req, cJSON **out, struct err *err);

/* rate_limit.c */
int show_rate_limit(struct app *app, struct request *req, cJSON **out, struct err *err);

/* tokens.c */
int create_integration_token(struct app *app, struct request *req, cJSON **out,
                             struct err *err);
int list_integration_tokens(struct app *app, struct request *req, cJSON **out, struct err *err);
int revoke_integration_token(struct app *app, struct request *req, cJSON **out,
                             struct err *err);
int create_personal_token(struct app *app, struct request *req, cJSON **out, struct err *err);
int list_personal_tokens(struct app *app, struct request *req, cJSON **out, struct err *err);
int revoke_personal_token(struct app *app, struct request *req, cJSON **out, struct err *err);
#endif
