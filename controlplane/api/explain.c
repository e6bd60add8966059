/* SPDX-License-Identifier: Apache-2.0 */
#include "api/explain.h"

#include <string.h>

#include "api/claim.h"
#include "service/explain.h"

#define DRY_RUN "dryRun"
#define DRY_RUN_ALL "All"

int explain_asked(const struct request *req, bool *out, struct err *err)
{
    static const char *const known[] = {DRY_RUN, NULL};
    const char *value = request_query(req, DRY_RUN);

    if (request_query_only(req, known, err) < 0)
        return -1;
    if (value && strcmp(value, DRY_RUN_ALL) != 0)
        return err_set_field(err, DRY_RUN, "expected " DRY_RUN_ALL);
    *out = value != NULL;
    return 0;
}

/* What its runner would be told; without what only a real run has, the prompt that the caller
 * knows, and the operator's command line. */
static cJSON *run_json(const struct config *config, const struct run *run,
                       const struct options *options)
{
    static const char *const unsaid[] = {"run_id", "attempt", "prompt", "agent_command"};
    cJSON *document = claim_json(config, run, options);

    for (size_t i = 0; i < ARRAY_SIZE(unsaid); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(document, unsaid[i]);
    (void)cJSON_AddItemToObject(document, "priority", jint(run->priority));
    return document;
}

static cJSON *limits_json(const struct config *config)
{
    return jobj({"run_timeout_s", jint(config->run_timeout_s)},
                {"claim_timeout_s", jint(config->claim_timeout_s)},
                {"queue_timeout_s", jint(config->queue_timeout_s)},
                {"max_queue_size", jint(config->max_queue_size)});
}

static cJSON *queue_json(struct app *app, const struct run *run)
{
    struct service_place place;

    service_place_of(app->service, run, &place);
    return jobj({"position", jint(place.position)}, {"pending", jint(place.pending)},
                {"active", jint(place.active)}, {"max_workers", jint(app->config->max_workers)},
                {"blocked_by", jstr(place.blocked_by[0] ? place.blocked_by : NULL)});
}

int explain_run(struct app *app, const struct dispatch_request *wanted, cJSON **out,
                struct err *err)
{
    scoped(run) run = dispatch_preview(app->service, wanted);
    scoped_json document = NULL;
    struct options options;
    const char *launcher = NULL;
    cJSON *object = NULL; /* not every launcher can tell */

    if (options_read(run->options, &options, &document, err) < 0)
        return -1;
    if (service_explain(app->service, run, &launcher, &object, err) < 0
        && err->kind != ERR_UNSUPPORTED)
        return -1;
    *out = jobj({DRY_RUN, jstr(DRY_RUN_ALL)}, {"run", run_json(app->config, run, &options)},
                {"launcher", jstr(launcher)}, {"object", object},
                {"limits", limits_json(app->config)}, {"queue", queue_json(app, run)});
    return 200;
}
