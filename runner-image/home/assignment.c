/* SPDX-License-Identifier: Apache-2.0 */
#include "home/assignment.h"

#include <string.h>

#include "base/id.h"

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
    JFIELD(struct assignment, repo, J_REQUIRED),
    JFIELD(struct assignment, clone_url, J_REQUIRED),
    JFIELD(struct assignment, github_api_url, J_REQUIRED),
    JFIELD(struct assignment, base_branch, J_OPTIONAL),
    JFIELD(struct assignment, prompt, J_REQUIRED),
    JFIELD(struct assignment, agent, J_REQUIRED),
    JFIELD(struct assignment, agent_command, J_OPTIONAL),
    JFIELD(struct assignment, mode, J_OPTIONAL),
    JFIELD(struct assignment, title, J_OPTIONAL),
    JFIELD(struct assignment, ticket_id, J_OPTIONAL),
    JFIELD(struct assignment, ticket_summary, J_OPTIONAL),
    JFIELD(struct assignment, test_command, J_OPTIONAL),
};

static const struct jfield limit_fields[] = {
    JFIELD(struct assignment, timeout_s, J_OPTIONAL),
    JFIELD(struct assignment, heartbeat_s, J_OPTIONAL),
};

static const struct jfield flag_fields[] = {
    JFIELD(struct assignment, auto_create_pr, J_OPTIONAL),
    JFIELD(struct assignment, blank_workspace, J_OPTIONAL),
};

static const struct jfield bot_fields[] = {
    JFIELD_AS(struct assignment, bot_name, "name", J_OPTIONAL),
    JFIELD_AS(struct assignment, bot_email, "email", J_OPTIONAL),
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

static int check(const struct assignment *a, struct err *err)
{
    struct id id;

    if (!id_parse(a->run_id, &id))
        return err_set_field(err, "run_id", "expected a run's id");
    if (!repo_valid(a->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
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
    };
    if (json_read_open(document, fields, out, err) < 0
        || read_part(out, "limits", limit_fields, err) < 0
        || read_part(out, "flags", flag_fields, err) < 0
        || read_part(out, "bot", bot_fields, err) < 0 || check(out, err) < 0)
        return err_wrap(err, "home's answer to the claim");
    return 0;
}

void assignment_done(struct assignment *assignment)
{
    cJSON_Delete(assignment->document);
    *assignment = (struct assignment){0};
}
