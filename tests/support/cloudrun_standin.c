/* SPDX-License-Identifier: Apache-2.0 */
#include "cloudrun_standin.h"

#include "test.h"

#include "base/alloc.h"

#define PROGRAM "tests/support/cloudrun-standin/cloudrun-standin"
#define FLAGS_MAX 16

static const char job[] =
    "{\"template\": {\"taskCount\": 1, \"template\": {\"maxRetries\": 0, "
    "\"timeout\": \"7200s\", \"serviceAccount\": \"runner@acme.example\", "
    "\"containers\": [{\"image\": \"" CLOUDRUN_IMAGE "\"}]}}}";

void cloudrun_standin_start(struct standin *out, const char *dir, const char *runner,
                            const char *const *flags)
{
    const char *all[FLAGS_MAX] = {"--token", CLOUDRUN_ACCESS_TOKEN, "--grace-ms", "500"};
    size_t count = 4;

    for (; flags && *flags && count < FLAGS_MAX - 3; flags++)
        all[count++] = *flags;
    if (runner) {
        all[count++] = "--run-command";
        all[count] = runner;
    }
    standin_start(out, PROGRAM, dir, all);
    cloudrun_standin_do(out, "POST", CLOUDRUN_JOBS "?jobId=runner", job);
}

void cloudrun_standin_settings(const struct standin *standin, struct config *config)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d", standin->port);

    config->run_timeout_s = 3600;
    config->claim_timeout_s = 120;
    config->cloudrun = (struct config_cloudrun){
        .project = xstrdup("acme"),
        .region = xstrdup("europe-west1"),
        .job = xstrdup("runner"),
        .image = xstrdup(CLOUDRUN_IMAGE),
        .service_account = xstrdup("runner@acme.example"),
        .token_via = xstrdup("override"),
        .access_token = secret_new(CLOUDRUN_ACCESS_TOKEN),
        .api_url = xstrdup(url),
        .logging_url = xstrdup(url),
        .secretmanager_url = xstrdup(url),
        .qps = 10000,
        .burst = 10000,
        .connections = 16,
        .poll_every_ms = 20,
    };
}

void cloudrun_standin_settings_done(struct config *config)
{
    struct config_cloudrun *settings = &config->cloudrun;

    free(settings->project);
    free(settings->region);
    free(settings->job);
    free(settings->image);
    free(settings->service_account);
    free(settings->token_via);
    free(settings->env_secrets);
    free(settings->cpu);
    free(settings->memory);
    free(settings->credentials_file);
    secret_free(settings->access_token);
    free(settings->api_url);
    free(settings->logging_url);
    free(settings->secretmanager_url);
}

cJSON *cloudrun_standin_call(struct standin *standin, const char *method, const char *path,
                             const char *json)
{
    static const char *const headers[] = {"Authorization: Bearer " CLOUDRUN_ACCESS_TOKEN, NULL};

    return standin_call(standin, method, path, json, headers);
}

void cloudrun_standin_do(struct standin *standin, const char *method, const char *path,
                         const char *json)
{
    cJSON_Delete(cloudrun_standin_call(standin, method, path, json));
}

int cloudrun_standin_count(struct standin *standin, const char *what)
{
    scoped_json counts = cloudrun_standin_call(standin, "GET", "/standin/counts", NULL);

    return (int)json_get_int(counts, what, -1);
}
