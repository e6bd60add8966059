/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app.h"
#include "model/token.h"

/* That GitHub doesn't let us in is no fault of who asks. */
static int refused(struct err *err)
{
    if (err->kind == ERR_DENIED)
        err->kind = ERR_UNAVAILABLE;
    return -1;
}

int show_rate_limit(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const known[] = {"repo", NULL};
    const char *repo = request_query(req, "repo");

    if (request_query_only(req, known, err) < 0)
        return -1;
    if (repo && !repo_name_valid(repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (repo && principal_check_repo(principal_of(req), repo, err) < 0)
        return -1;
    if (!repo)
        repo = principal_of(req)->only_repo;
    if (!repo && !app->config->github_app_installation_id)
        repo = app->config->default_repo;
    return github_limits(app->github, repo, out, err) < 0 ? refused(err) : 200;
}
