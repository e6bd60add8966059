/* SPDX-License-Identifier: Apache-2.0 */
#include "api/claim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/mailbox.h"
#include "model/agent.h"

#define HEARTBEAT_MAX_S 10
#define HEARTBEATS_TO_BE_LOST 3 /* so many have to go missing, where whole seconds allow it */

static int64_t heartbeat_s(const struct config *config)
{
    int64_t every_s = config->lost_after_s / HEARTBEATS_TO_BE_LOST;

    return every_s < 1 ? 1 : every_s > HEARTBEAT_MAX_S ? HEARTBEAT_MAX_S : every_s;
}

/* A bound of 0 is none, and is left out. */
static cJSON *bound(int64_t number)
{
    return number > 0 ? jint(number) : NULL;
}

static cJSON *limits_json(const struct config *config, const struct run_defaults *wanted)
{
    return jobj(
        {"timeout_s", jint(config->run_timeout_s)}, {"heartbeat_s", jint(heartbeat_s(config))},
        {"max_tokens", bound(wanted->max_tokens)},
        {"max_cost_usd", wanted->max_cost_usd > 0 ? jnumber(wanted->max_cost_usd) : NULL},
        {"max_turns", bound(wanted->max_turns)});
}

static cJSON *policy_json(const struct config *config)
{
    const struct config_policy *policy = &config->policy;
    cJSON *ranges = json_array(NULL, 0);

    for (size_t i = 0; i < config->allow_private_urls.count; i++)
        cJSON_AddItemToArray(ranges, jstr(config->allow_private_urls.texts[i]));
    return jobj(
        {"sandbox", jstr(policy->sandbox)},
        {"honour_repository_agent_config", jbool(policy->honour_repository_agent_config)},
        {"workflow_changes", jstr(policy->workflow_changes)},
        {"credentials_in_diff", jstr(policy->credentials_in_diff)},
        {"allow_private_urls", ranges});
}

static cJSON *list_json(const cJSON *list)
{
    return list ? cJSON_Duplicate(list, true) : json_array(NULL, 0);
}

static char *clone_url_of(const struct config *config, const struct run *run)
{
    return run->repo ? xasprintf("%s/%s.git", config->github_server_url, run->repo) : NULL;
}

/* Who isn't a proper one is left out: nobody's work waits for a name. */
static cJSON *requester_json(const char *requester)
{
    scoped_mailbox person = {0};

    return mailbox_parse(requester, &person)
               ? jobj({"name", jstr(person.name)}, {"email", jstr(person.address)})
               : NULL;
}

cJSON *claim_json(const struct config *config, const struct run *run,
                  const struct options *options)
{
    struct run_defaults wanted = {.model = run->model, .provider = run->provider};
    scoped_str clone_url = clone_url_of(config, run);
    bool is_command = strcmp(run->agent, AGENT_COMMAND) == 0;
    char id[ID_TEXT_SIZE];

    run_defaults_fill(&wanted, config, run->repo, run->agent);
    id_text(run->id, id);
    return jobj(
        {"run_id", jstr(id)}, {"attempt", jint(run->attempt)}, {"repo", jstr(run->repo)},
        {"clone_url", jstr(clone_url)}, {"github_api_url", jstr(config->github_api_url)},
        {"base_branch", jstr(run->base_branch)}, {"prompt", jstr(run->prompt)},
        {"agent", jstr(run->agent)}, {"model", jstr(wanted.model)},
        {"provider", jstr(wanted.provider)}, {"mode", jstr(run->mode ? run->mode : "execute")},
        {"title", jstr(run->title)}, {"ticket_id", jstr(run->ticket_id)},
        {"ticket_summary", jstr(run->ticket_summary)},
        {"test_command", jstr(run->test_command)},
        {"requester", requester_json(run->requester)},
        {"agent_command", is_command ? jstr(config->agent_command) : NULL},
        {"flags", jobj({"auto_create_pr", jbool(options->auto_create_pr)},
                       {"blank_workspace", jbool(options->blank_workspace)})},
        {"tools", list_json(options->tools)}, {"agents", list_json(options->agents)},
        {"limits", limits_json(config, &wanted)}, {"policy", policy_json(config)},
        {"bot", jobj({"name", jstr(config->bot_name)}, {"email", jstr(config->bot_email)})});
}
