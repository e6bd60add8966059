/* SPDX-License-Identifier: Apache-2.0 */
#include "home/assignment.h"

#include <string.h>

#include "base/id.h"
#include "base/mailbox.h"

#define DEFAULT_MODE "execute"
#define DEFAULT_TIMEOUT_S 3600
#define TIMEOUT_MAX_S (7 * 24 * 3600)
#define DEFAULT_HEARTBEAT_S 10
#define HEARTBEAT_MAX_S 300
#define DEFAULT_BOT_NAME "dispatch[bot]"
#define DEFAULT_BOT_EMAIL "dispatch[bot]@users.noreply.github.com"

static const struct jfield fields[] = {
    JFIELD(struct assignment, run_id, J_REQUIRED),
    JFIELD(struct assignment, attempt, J_REQUIRED),
    JFIELD(struct assignment, repo, J_OPTIONAL),
    JFIELD(struct assignment, clone_url, J_OPTIONAL),
    JFIELD(struct assignment, github_api_url, J_REQUIRED),
    JFIELD(struct assignment, base_branch, J_OPTIONAL),
    JFIELD(struct assignment, prompt, J_REQUIRED),
    JFIELD(struct assignment, agent, J_REQUIRED),
    JFIELD(struct assignment, agent_command, J_OPTIONAL),
    JFIELD(struct assignment, mode, J_OPTIONAL),
    JFIELD(struct assignment, model, J_OPTIONAL),
    JFIELD(struct assignment, provider, J_OPTIONAL),
    JFIELD(struct assignment, tools, J_OPTIONAL),
    JFIELD(struct assignment, agents, J_OPTIONAL),
    JFIELD(struct assignment, title, J_OPTIONAL),
    JFIELD(struct assignment, ticket_id, J_OPTIONAL),
    JFIELD(struct assignment, ticket_summary, J_OPTIONAL),
    JFIELD(struct assignment, test_command, J_OPTIONAL),
};

static const struct jfield limit_fields[] = {
    JFIELD(struct assignment, timeout_s, J_OPTIONAL),
    JFIELD(struct assignment, heartbeat_s, J_OPTIONAL),
    JFIELD(struct assignment, max_tokens, J_OPTIONAL),
    JFIELD(struct assignment, max_cost_usd, J_OPTIONAL),
    JFIELD(struct assignment, max_turns, J_OPTIONAL),
};

static const struct jfield flag_fields[] = {
    JFIELD(struct assignment, auto_create_pr, J_OPTIONAL),
    JFIELD(struct assignment, blank_workspace, J_OPTIONAL),
};

static const struct jfield bot_fields[] = {
    JFIELD_AS(struct assignment, bot_name, "name", J_OPTIONAL),
    JFIELD_AS(struct assignment, bot_email, "email", J_OPTIONAL),
};

static const struct jfield requester_fields[] = {
    JFIELD_AS(struct assignment, requester_name, "name", J_REQUIRED),
    JFIELD_AS(struct assignment, requester_email, "email", J_REQUIRED),
};

static const struct jfield policy_fields[] = {
    JFIELD(struct assignment, sandbox, J_OPTIONAL),
    JFIELD(struct assignment, honour_repository_agent_config, J_OPTIONAL),
    JFIELD(struct assignment, workflow_changes, J_OPTIONAL),
    JFIELD(struct assignment, credentials_in_diff, J_OPTIONAL),
    JFIELD(struct assignment, allow_private_urls, J_OPTIONAL),
};

/* An object inside the document, by the same table way; absent is fine. */
#define read_part(out, key, part, err)                                                         \
    (json_get((out)->document, (key))                                                          \
         ? json_read_fields(json_get((out)->document, (key)), (part), ARRAY_SIZE(part), false, \
                            (key), (out), (err))                                               \
         : 0)

static bool repo_valid(const char *repo)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t owner = strspn(repo, allowed);
    size_t name = repo[owner] == '/' ? strspn(repo + owner + 1, allowed) : 0;

    return owner && name && !repo[owner + 1 + name];
}

static bool is_one_of(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static int check_budgets(const struct assignment *a, struct err *err)
{
    if (a->max_tokens < 0)
        return err_set_field(err, "limits.max_tokens", "can't be negative");
    if (!(a->max_cost_usd >= 0))
        return err_set_field(err, "limits.max_cost_usd", "can't be negative");
    if (a->max_turns < 0)
        return err_set_field(err, "limits.max_turns", "can't be negative");
    return 0;
}

/* What we don't know is no policy to guess at. */
static int check_policy(const struct assignment *a, struct err *err)
{
    if (!is_one_of(a->mode, "execute", "plan"))
        return err_set_field(err, "mode", "expected execute or plan");
    if (!is_one_of(a->sandbox, "strict", "auto") && strcmp(a->sandbox, "off") != 0)
        return err_set_field(err, "policy.sandbox", "expected strict, auto or off");
    if (!is_one_of(a->workflow_changes, "refuse", "draft"))
        return err_set_field(err, "policy.workflow_changes", "expected refuse or draft");
    if (!is_one_of(a->credentials_in_diff, "refuse", "draft"))
        return err_set_field(err, "policy.credentials_in_diff", "expected refuse or draft");
    return 0;
}

static int check_repo(const struct assignment *a, struct err *err)
{
    if (a->blank_workspace)
        return 0;
    if (!a->repo || !repo_valid(a->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (!a->clone_url)
        return err_set_field(err, "clone_url", "required");
    return 0;
}

/* They become a line of the commit. */
static int check_requester(const struct assignment *a, struct err *err)
{
    if (!a->requester_name)
        return 0;
    if (!mailbox_name_valid(a->requester_name))
        return err_set_field(err, "requester.name", "expected one line, without < and >");
    if (!mailbox_address_valid(a->requester_email))
        return err_set_field(err, "requester.email", "expected an e-mail address");
    return 0;
}

static int check(const struct assignment *a, struct err *err)
{
    struct id id;

    if (!id_parse(a->run_id, &id))
        return err_set_field(err, "run_id", "expected a run's id");
    if (check_repo(a, err) < 0 || check_budgets(a, err) < 0 || check_policy(a, err) < 0
        || check_requester(a, err) < 0)
        return -1;
    if (a->timeout_s < 1 || a->timeout_s > TIMEOUT_MAX_S)
        return err_set_field(err, "limits.timeout_s", "expected 1 to %d", TIMEOUT_MAX_S);
    if (a->heartbeat_s < 1 || a->heartbeat_s > HEARTBEAT_MAX_S)
        return err_set_field(err, "limits.heartbeat_s", "expected 1 to %d", HEARTBEAT_MAX_S);
    if (strpbrk(a->bot_name, "<>\n") || strpbrk(a->bot_email, "<>\n"))
        return err_set_field(err, "bot", "expected a name and an address that git can take");
    return 0;
}

int assignment_read(struct assignment *out, cJSON *document, struct err *err)
{
    *out = (struct assignment){
        .document = document,
        .mode = DEFAULT_MODE,
        .auto_create_pr = true,
        .timeout_s = DEFAULT_TIMEOUT_S,
        .heartbeat_s = DEFAULT_HEARTBEAT_S,
        .bot_name = DEFAULT_BOT_NAME,
        .bot_email = DEFAULT_BOT_EMAIL,
        .sandbox = "auto",
        .workflow_changes = "refuse",
        .credentials_in_diff = "refuse",
    };
    if (json_read_open(document, fields, out, err) < 0
        || read_part(out, "limits", limit_fields, err) < 0
        || read_part(out, "flags", flag_fields, err) < 0
        || read_part(out, "bot", bot_fields, err) < 0
        || read_part(out, "requester", requester_fields, err) < 0
        || read_part(out, "policy", policy_fields, err) < 0 || check(out, err) < 0)
        return err_wrap(err, "home's answer to the claim");
    return 0;
}

void assignment_done(struct assignment *assignment)
{
    cJSON_Delete(assignment->document);
    *assignment = (struct assignment){0};
}
