/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "api/rate.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "store/run_store.h"

int auth_refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHENTICATED, "%s", why);
}

struct principal *auth_let_in(struct request *req, const char *actor_fmt, ...)
{
    struct principal *principal = xcalloc(1, sizeof(*principal));
    va_list args;

    va_start(args, actor_fmt);
    (void)vsnprintf(principal->actor, sizeof(principal->actor), actor_fmt, args);
    va_end(args);
    request_set_principal(req, principal);
    return principal;
}

/* --- Whoever was let in ---------------------------------------------------------------------
 */

void principal_free(void *principal)
{
    struct principal *p = principal;

    if (!p)
        return;
    run_free(p->run);
    free(p->requester);
    free(p->only_repo);
    free(p);
}

const struct principal *principal_of(const struct request *req)
{
    return request_principal(req);
}

bool principal_may_see(const struct principal *principal, const struct run *run)
{
    return principal->sees_all || (principal->sees_shared && !run->owner)
           || (principal->owner && run->owner == principal->owner);
}

/* The same sentence as where there is no such run: nobody learns of others' runs. */
struct run *principal_load_run(const struct app *app, const struct request *req, struct id id,
                               struct err *err)
{
    scoped(run) run = run_store_load(app->db, id, err);

    if (!run || principal_may_see(principal_of(req), run))
        return TAKE(run);
    (void)run_store_no_such(id, err);
    return NULL;
}

int principal_check_repo(const struct principal *principal, const char *repo, struct err *err)
{
    /* GitHub's names don't differ by case. */
    if (!principal->only_repo || (repo && strcasecmp(principal->only_repo, repo) == 0))
        return 0;
    return err_set_code(err, ERR_DENIED, "other_repository",
                        "this credential may queue runs against %s alone",
                        principal->only_repo);
}

void principal_narrow(const struct principal *principal, struct run_filter *filter)
{
    filter->owner = principal->owner;
    filter->shared = principal->sees_shared;
    filter->all = principal->sees_all;
}

/* --- Who asks? ------------------------------------------------------------------------------
 */

/* A bearer of another kind never reaches the look-up: a task token that went astray is told
 * from an integration token by its first characters. */
static int authorize_dispatch(struct app *app, struct request *req, struct err *err)
{
    const char *bearer = request_bearer(req);
    struct token_grant grant;

    if (!bearer)
        return auth_refuse(err,
                           "an integration token is needed: Authorization: Bearer vgvbot_...");
    if (!integration_token_well_formed(bearer))
        return auth_refuse(err, "this is no integration token");
    if (!token_store_find(app->tokens, bearer, clock_latest_ms(), &grant))
        return auth_refuse(err, "the integration token is unknown, revoked or expired");
    auth_let_in(req, "token:%lld", (long long)grant.id)->grant = grant;
    return 0;
}

static int find_caller(struct app *app, struct request *req, enum scope scope, struct err *err)
{
    switch (scope) {
    case ANYONE:
        return 0;
    case SCOPE_ADMIN: /* the control socket's file mode is the check */
        (void)auth_let_in(req, "control-socket");
        return 0;
    case SCOPE_DISPATCH:
        return authorize_dispatch(app, req, err);
    case SCOPE_OPERATOR:
    case SCOPE_READ:
    case SCOPE_TASKS:
        return authorize_tasks(app, req, scope, err);
    case SCOPE_RUNNER:
        return authorize_runner(app, req, err);
    }
    return err_set(err, ERR_INTERNAL, "a route of no known scope");
}

int authorize(struct app *app, struct request *req, int scope, struct err *err)
{
    if (rate_before(app, req, scope, err) < 0)
        return -1;
    if (find_caller(app, req, (enum scope)scope, err) < 0)
        return rate_refused(app, req, scope, err);
    return rate_check(app, req, err);
}
