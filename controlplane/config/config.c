/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "config/oidc.h"
#include "config/setting.h"
#include "model/agent.h"
#include "model/token.h"
#include "yaml/yaml.h"

#define S(member) offsetof(struct config, member)
#define RATE_MAX 60000000

/*
 * Every setting, with its three names. The order is that of manifests/config.example.yaml;
 * a setting without a flag or an environment name has NULL there.
 */
/* clang-format off */
static const struct setting settings[] = {
    {"listen", "DISPATCH_LISTEN", NULL, SETTING_LISTEN, 0, 0, 0},
    {"port", NULL, "--port", SETTING_INT, S(listen_port), 0, 65535},
    {"database", "DISPATCH_DATABASE", NULL, SETTING_PATH, S(database), 0, 0},
    {"public_url", "DISPATCH_PUBLIC_URL", NULL, SETTING_URL, S(public_url), 0, 0},
    {"launcher", "DISPATCH_LAUNCHER", NULL, SETTING_TEXT, S(launcher), 0, 0},
    {"launcher_fallback", "DISPATCH_LAUNCHER_FALLBACK", NULL, SETTING_LIST, S(launcher_fallback), 0, 0},
    {"launcher_fallback_after_s", "DISPATCH_LAUNCHER_FALLBACK_AFTER", NULL, SETTING_INT64, S(launcher_fallback_after_s), 0, 86400},
    {"launchers", "DISPATCH_LAUNCHERS", NULL, SETTING_LIST, S(launchers), 0, 0},
    {"runner", "DISPATCH_RUNNER", NULL, SETTING_PATH, S(runner), 0, 0},
    {"work_dir", "DISPATCH_WORK_DIR", "--work-dir", SETTING_PATH, S(work_dir), 0, 0},
    {"default_agent", "DISPATCH_DEFAULT_AGENT", NULL, SETTING_TEXT, S(default_agent), 0, 0},
    {"agent_command", "DISPATCH_AGENT_COMMAND", NULL, SETTING_COMMAND, S(agent_command), 0, 0},
    {"ca_file", "DISPATCH_CA_FILE", NULL, SETTING_PATH, S(ca_file), 0, 0},
    {"api_keys", "CODEBOT_API_KEYS", NULL, SETTING_SECRETS, S(api_keys), 0, 0},
    {"max_workers", "CODEBOT_MAX_WORKERS", "--workers", SETTING_INT, S(max_workers), 0, 100000},
    {"max_queue_size", "CODEBOT_MAX_QUEUE_SIZE", NULL, SETTING_INT, S(max_queue_size), 1, 100000000},
    {"max_in_flight", "DISPATCH_MAX_IN_FLIGHT", NULL, SETTING_INT, S(max_in_flight), 0, 100000},
    {"task_retention_s", "CODEBOT_TASK_RETENTION", NULL, SETTING_INT64, S(task_retention_s), 1, 3153600000},
    {"run_timeout_s", "DISPATCH_RUN_TIMEOUT", NULL, SETTING_INT64, S(run_timeout_s), 1, 604800},
    {"claim_timeout_s", "DISPATCH_CLAIM_TIMEOUT", NULL, SETTING_INT64, S(claim_timeout_s), 1, 86400},
    {"queue_timeout_s", "DISPATCH_QUEUE_TIMEOUT", NULL, SETTING_INT64, S(queue_timeout_s), 1, 31536000},
    {"lost_after_s", "DISPATCH_LOST_AFTER", NULL, SETTING_INT64, S(lost_after_s), 2, 86400},
    {"max_connections", "DISPATCH_MAX_CONNECTIONS", NULL, SETTING_INT, S(connections_max), 8, 1000000},
    {"max_connections_per_address", "DISPATCH_MAX_CONNECTIONS_PER_ADDRESS", NULL, SETTING_INT, S(connections_per_address_max), 1, 1000000},
    {"stream_heartbeat_s", "DISPATCH_STREAM_HEARTBEAT", NULL, SETTING_INT, S(stream_heartbeat_s), 1, 3600},
    {"rate_limit.per_credential_per_minute", "DISPATCH_RATE_LIMIT_PER_CREDENTIAL", NULL, SETTING_INT, S(rate_limit.per_credential_per_minute), 0, RATE_MAX},
    {"rate_limit.per_credential_burst", "DISPATCH_RATE_LIMIT_PER_CREDENTIAL_BURST", NULL, SETTING_INT, S(rate_limit.per_credential_burst), 0, RATE_MAX},
    {"rate_limit.per_address_per_minute", "DISPATCH_RATE_LIMIT_PER_ADDRESS", NULL, SETTING_INT, S(rate_limit.per_address_per_minute), 0, RATE_MAX},
    {"rate_limit.per_address_burst", "DISPATCH_RATE_LIMIT_PER_ADDRESS_BURST", NULL, SETTING_INT, S(rate_limit.per_address_burst), 0, RATE_MAX},
    {"rate_limit.failures_per_minute", "DISPATCH_RATE_LIMIT_FAILURES", NULL, SETTING_INT, S(rate_limit.failures_per_minute), 0, RATE_MAX},
    {"rate_limit.exempt", "DISPATCH_RATE_LIMIT_EXEMPT", NULL, SETTING_RANGES, S(rate_limit.exempt), 0, 0},
    {"trusted_proxies", "DISPATCH_TRUSTED_PROXIES", NULL, SETTING_RANGES, S(trusted_proxies), 0, 0},
    {"github.api_url", "GITHUB_API_URL", NULL, SETTING_URL, S(github_api_url), 0, 0},
    {"github.server_url", "GITHUB_SERVER_URL", NULL, SETTING_URL, S(github_server_url), 0, 0},
    {"github.app_id", "GITHUB_APP_ID", NULL, SETTING_INT64, S(github_app_id), 1, INT64_C(9007199254740992)},
    {"github.app_private_key_path", "GITHUB_APP_PRIVATE_KEY_PATH", NULL, SETTING_PATH, S(github_app_private_key_path), 0, 0},
    {"github.app_installation_id", "GITHUB_APP_INSTALLATION_ID", NULL, SETTING_INT64, S(github_app_installation_id), 1, INT64_C(9007199254740992)},
    {"github.token", "GITHUB_TOKEN", NULL, SETTING_SECRET, S(github_token), 0, 0},
    {"github.webhook_secret", "GITHUB_WEBHOOK_SECRET", NULL, SETTING_SECRET, S(github_webhook_secret), 0, 0},
    {"kubernetes.kubeconfig", "DISPATCH_KUBERNETES_KUBECONFIG", NULL, SETTING_PATH, S(kubernetes.kubeconfig), 0, 0},
    {"kubernetes.context", "DISPATCH_KUBERNETES_CONTEXT", NULL, SETTING_TEXT, S(kubernetes.context), 0, 0},
    {"kubernetes.namespace", "DISPATCH_KUBERNETES_NAMESPACE", NULL, SETTING_TEXT, S(kubernetes.namespace), 0, 0},
    {"kubernetes.image", "DISPATCH_KUBERNETES_IMAGE", NULL, SETTING_TEXT, S(kubernetes.image), 0, 0},
    {"kubernetes.image_pull_policy", "DISPATCH_KUBERNETES_IMAGE_PULL_POLICY", NULL, SETTING_TEXT, S(kubernetes.image_pull_policy), 0, 0},
    {"kubernetes.job_template", "DISPATCH_KUBERNETES_JOB_TEMPLATE", NULL, SETTING_PATH, S(kubernetes.job_template), 0, 0},
    {"kubernetes.service_account", "DISPATCH_KUBERNETES_SERVICE_ACCOUNT", NULL, SETTING_TEXT, S(kubernetes.service_account), 0, 0},
    {"kubernetes.env_secret", "DISPATCH_KUBERNETES_ENV_SECRET", NULL, SETTING_TEXT, S(kubernetes.env_secret), 0, 0},
    {"kubernetes.queue_name", "DISPATCH_KUBERNETES_QUEUE_NAME", NULL, SETTING_TEXT, S(kubernetes.queue_name), 0, 0},
    {"kubernetes.runtime_class", "DISPATCH_KUBERNETES_RUNTIME_CLASS", NULL, SETTING_TEXT, S(kubernetes.runtime_class), 0, 0},
    {"kubernetes.priority_class", "DISPATCH_KUBERNETES_PRIORITY_CLASS", NULL, SETTING_TEXT, S(kubernetes.priority_class), 0, 0},
    {"kubernetes.cpu_request", "DISPATCH_KUBERNETES_CPU_REQUEST", NULL, SETTING_TEXT, S(kubernetes.cpu_request), 0, 0},
    {"kubernetes.cpu_limit", "DISPATCH_KUBERNETES_CPU_LIMIT", NULL, SETTING_TEXT, S(kubernetes.cpu_limit), 0, 0},
    {"kubernetes.memory_request", "DISPATCH_KUBERNETES_MEMORY_REQUEST", NULL, SETTING_TEXT, S(kubernetes.memory_request), 0, 0},
    {"kubernetes.memory_limit", "DISPATCH_KUBERNETES_MEMORY_LIMIT", NULL, SETTING_TEXT, S(kubernetes.memory_limit), 0, 0},
    {"kubernetes.ephemeral_storage_request", "DISPATCH_KUBERNETES_EPHEMERAL_STORAGE_REQUEST", NULL, SETTING_TEXT, S(kubernetes.ephemeral_storage_request), 0, 0},
    {"kubernetes.ephemeral_storage_limit", "DISPATCH_KUBERNETES_EPHEMERAL_STORAGE_LIMIT", NULL, SETTING_TEXT, S(kubernetes.ephemeral_storage_limit), 0, 0},
    {"kubernetes.qps", "DISPATCH_KUBERNETES_QPS", NULL, SETTING_INT, S(kubernetes.qps), 1, 10000},
    {"kubernetes.burst", "DISPATCH_KUBERNETES_BURST", NULL, SETTING_INT, S(kubernetes.burst), 1, 100000},
    {"kubernetes.connections", "DISPATCH_KUBERNETES_CONNECTIONS", NULL, SETTING_INT, S(kubernetes.connections), 1, 256},
    {"kubernetes.ttl_s", "DISPATCH_KUBERNETES_TTL", NULL, SETTING_INT64, S(kubernetes.ttl_s), 60, 31536000},
    {"kubernetes.stop_grace_s", "DISPATCH_KUBERNETES_STOP_GRACE", NULL, SETTING_INT64, S(kubernetes.stop_grace_s), 1, 3600},
    {"kubernetes.schedule_timeout_s", "DISPATCH_KUBERNETES_SCHEDULE_TIMEOUT", NULL, SETTING_INT64, S(kubernetes.schedule_timeout_s), 1, 604800},
    {"kubernetes.start_timeout_s", "DISPATCH_KUBERNETES_START_TIMEOUT", NULL, SETTING_INT64, S(kubernetes.start_timeout_s), 1, 86400},
    {"cloudrun.project", "DISPATCH_CLOUDRUN_PROJECT", NULL, SETTING_TEXT, S(cloudrun.project), 0, 0},
    {"cloudrun.region", "DISPATCH_CLOUDRUN_REGION", NULL, SETTING_TEXT, S(cloudrun.region), 0, 0},
    {"cloudrun.job", "DISPATCH_CLOUDRUN_JOB", NULL, SETTING_TEXT, S(cloudrun.job), 0, 0},
    {"cloudrun.image", "DISPATCH_CLOUDRUN_IMAGE", NULL, SETTING_TEXT, S(cloudrun.image), 0, 0},
    {"cloudrun.service_account", "DISPATCH_CLOUDRUN_SERVICE_ACCOUNT", NULL, SETTING_TEXT, S(cloudrun.service_account), 0, 0},
    {"cloudrun.token_via", "DISPATCH_CLOUDRUN_TOKEN_VIA", NULL, SETTING_CHOICE, S(cloudrun.token_via), CHOICE_TOKEN_VIA, 0},
    {"cloudrun.env_secrets", "DISPATCH_CLOUDRUN_ENV_SECRETS", NULL, SETTING_TEXT, S(cloudrun.env_secrets), 0, 0},
    {"cloudrun.cpu", "DISPATCH_CLOUDRUN_CPU", NULL, SETTING_TEXT, S(cloudrun.cpu), 0, 0},
    {"cloudrun.memory", "DISPATCH_CLOUDRUN_MEMORY", NULL, SETTING_TEXT, S(cloudrun.memory), 0, 0},
    {"cloudrun.credentials_file", "GOOGLE_APPLICATION_CREDENTIALS", NULL, SETTING_PATH, S(cloudrun.credentials_file), 0, 0},
    {"cloudrun.access_token", "GOOGLE_OAUTH_ACCESS_TOKEN", NULL, SETTING_SECRET, S(cloudrun.access_token), 0, 0},
    {"cloudrun.api_url", "DISPATCH_CLOUDRUN_API_URL", NULL, SETTING_URL, S(cloudrun.api_url), 0, 0},
    {"cloudrun.logging_url", "DISPATCH_CLOUDRUN_LOGGING_URL", NULL, SETTING_URL, S(cloudrun.logging_url), 0, 0},
    {"cloudrun.secretmanager_url", "DISPATCH_CLOUDRUN_SECRETMANAGER_URL", NULL, SETTING_URL, S(cloudrun.secretmanager_url), 0, 0},
    {"cloudrun.qps", "DISPATCH_CLOUDRUN_QPS", NULL, SETTING_INT, S(cloudrun.qps), 1, 10000},
    {"cloudrun.burst", "DISPATCH_CLOUDRUN_BURST", NULL, SETTING_INT, S(cloudrun.burst), 1, 100000},
    {"cloudrun.connections", "DISPATCH_CLOUDRUN_CONNECTIONS", NULL, SETTING_INT, S(cloudrun.connections), 1, 256},
    {"cloudrun.poll_every_ms", "DISPATCH_CLOUDRUN_POLL_EVERY_MS", NULL, SETTING_INT, S(cloudrun.poll_every_ms), 10, 60000},
    {"docker.host", "DISPATCH_DOCKER_HOST", NULL, SETTING_TEXT, S(docker.host), 0, 0},
    {"docker.ca_file", "DISPATCH_DOCKER_CA_FILE", NULL, SETTING_PATH, S(docker.ca_file), 0, 0},
    {"docker.cert_file", "DISPATCH_DOCKER_CERT_FILE", NULL, SETTING_PATH, S(docker.cert_file), 0, 0},
    {"docker.key_file", "DISPATCH_DOCKER_KEY_FILE", NULL, SETTING_PATH, S(docker.key_file), 0, 0},
    {"docker.namespace", "DISPATCH_DOCKER_NAMESPACE", NULL, SETTING_TEXT, S(docker.namespace), 0, 0},
    {"docker.image", "DISPATCH_DOCKER_IMAGE", NULL, SETTING_TEXT, S(docker.image), 0, 0},
    {"docker.pull_policy", "DISPATCH_DOCKER_PULL_POLICY", NULL, SETTING_CHOICE, S(docker.pull_policy), CHOICE_PULL, 0},
    {"docker.network", "DISPATCH_DOCKER_NETWORK", NULL, SETTING_TEXT, S(docker.network), 0, 0},
    {"docker.user", "DISPATCH_DOCKER_USER", NULL, SETTING_TEXT, S(docker.user), 0, 0},
    {"docker.runtime", "DISPATCH_DOCKER_RUNTIME", NULL, SETTING_TEXT, S(docker.runtime), 0, 0},
    {"docker.memory", "DISPATCH_DOCKER_MEMORY", NULL, SETTING_TEXT, S(docker.memory), 0, 0},
    {"docker.cpus", "DISPATCH_DOCKER_CPUS", NULL, SETTING_NUMBER, S(docker.cpus), 0, 4096},
    {"docker.pids", "DISPATCH_DOCKER_PIDS", NULL, SETTING_INT, S(docker.pids), 16, 4194304},
    {"docker.tmp_size", "DISPATCH_DOCKER_TMP_SIZE", NULL, SETTING_TEXT, S(docker.tmp_size), 0, 0},
    {"docker.work_size", "DISPATCH_DOCKER_WORK_SIZE", NULL, SETTING_TEXT, S(docker.work_size), 0, 0},
    {"docker.ulimits", "DISPATCH_DOCKER_ULIMITS", NULL, SETTING_TEXT, S(docker.ulimits), 0, 0},
    {"docker.env_file", "DISPATCH_DOCKER_ENV_FILE", NULL, SETTING_PATH, S(docker.env_file), 0, 0},
    {"docker.auth_file", "DISPATCH_DOCKER_AUTH_FILE", NULL, SETTING_PATH, S(docker.auth_file), 0, 0},
    {"docker.init", "DISPATCH_DOCKER_INIT", NULL, SETTING_BOOL, S(docker.init), 0, 0},
    {"docker.stop_grace_s", "DISPATCH_DOCKER_STOP_GRACE", NULL, SETTING_INT64, S(docker.stop_grace_s), 1, 3600},
    {"defaults.repo", "DISPATCH_DEFAULT_REPO", NULL, SETTING_TEXT, S(default_repo), 0, 0},
    {"defaults.model", "DISPATCH_DEFAULT_MODEL", NULL, SETTING_TEXT, S(defaults.model), 0, 0},
    {"defaults.provider", "DISPATCH_DEFAULT_PROVIDER", NULL, SETTING_TEXT, S(defaults.provider), 0, 0},
    {"limits.max_tokens", "DISPATCH_MAX_TOKENS", NULL, SETTING_INT64, S(defaults.max_tokens), 1, RUN_TOKENS_MAX},
    {"limits.max_cost_usd", "DISPATCH_MAX_COST_USD", NULL, SETTING_NUMBER, S(defaults.max_cost_usd), 0, RUN_COST_USD_MAX},
    {"limits.max_turns", "DISPATCH_MAX_TURNS", NULL, SETTING_INT, S(defaults.max_turns), 1, RUN_TURNS_MAX},
    {"policy.sandbox", "DISPATCH_SANDBOX", NULL, SETTING_CHOICE, S(policy.sandbox), CHOICE_SANDBOX, 0},
    {"policy.honour_repository_agent_config", "DISPATCH_HONOUR_REPOSITORY_AGENT_CONFIG", NULL, SETTING_BOOL, S(policy.honour_repository_agent_config), 0, 0},
    {"policy.workflow_changes", "DISPATCH_WORKFLOW_CHANGES", NULL, SETTING_CHOICE, S(policy.workflow_changes), CHOICE_ON_FINDING, 0},
    {"policy.credentials_in_diff", "DISPATCH_CREDENTIALS_IN_DIFF", NULL, SETTING_CHOICE, S(policy.credentials_in_diff), CHOICE_ON_FINDING, 0},
    {"allow_private_urls", "DISPATCH_ALLOW_PRIVATE_URLS", NULL, SETTING_RANGES, S(allow_private_urls), 0, 0},
    {"deliveries.secret", "DISPATCH_WEBHOOK_SECRET", NULL, SETTING_SECRET, S(webhook_secret), 0, 0},
    {"oidc.issuers", "DISPATCH_OIDC_ISSUERS", NULL, SETTING_LIST, S(oidc_issuers), 0, 0},
    {"oidc.audience", "DISPATCH_OIDC_AUDIENCE", NULL, SETTING_TEXT, S(oidc_audience), 0, 0},
    {"oidc.repositories", "DISPATCH_OIDC_REPOSITORIES", NULL, SETTING_LIST, S(oidc_repositories), 0, 0},
    {"encryption_key", "DISPATCH_ENCRYPTION_KEY", NULL, SETTING_SECRET, S(encryption_key), 0, 0},
    {"bot.name", "DISPATCH_BOT_NAME", NULL, SETTING_TEXT, S(bot_name), 0, 0},
    {"bot.email", "DISPATCH_BOT_EMAIL", NULL, SETTING_TEXT, S(bot_email), 0, 0},
    {"confine", "DISPATCH_CONFINE", NULL, SETTING_CHOICE, S(confine), CHOICE_SANDBOX, 0},
    {"debug", "DISPATCH_DEBUG", "--debug", SETTING_BOOL, S(debug), 0, 0},
};
/* clang-format on */

static void set_defaults(struct config *config)
{
    *config = (struct config){
        .listen_address = xstrdup("127.0.0.1"),
        .listen_port = 5000,
        .launcher = xstrdup("process"),
        .launcher_fallback_after_s = 30,
        .default_agent = xstrdup("claude-code"),
        .max_workers = -1,
        .max_queue_size = 100,
        .task_retention_s = 86400,
        .run_timeout_s = 3600,
        .claim_timeout_s = 120,
        .queue_timeout_s = 86400,
        .lost_after_s = 60,
        .connections_max = 8192,
        .connections_per_address_max = 1024,
        .stream_heartbeat_s = 15,
        .rate_limit = {.failures_per_minute = 100},
        .github_api_url = xstrdup("https://api.github.com"),
        .github_server_url = xstrdup("https://github.com"),
        .bot_name = xstrdup("dispatch[bot]"),
        .bot_email = xstrdup("dispatch[bot]@users.noreply.github.com"),
        .confine = xstrdup("auto"),
        .policy = {.sandbox = xstrdup("auto"),
                   .workflow_changes = xstrdup("refuse"),
                   .credentials_in_diff = xstrdup("refuse")},
        .cloudrun = {.token_via = xstrdup("override"),
                     .cpu = xstrdup("2"),
                     .memory = xstrdup("4Gi"),
                     .api_url = xstrdup("https://run.googleapis.com"),
                     .logging_url = xstrdup("https://logging.googleapis.com"),
                     .secretmanager_url = xstrdup("https://secretmanager.googleapis.com"),
                     .qps = 10,
                     .burst = 20,
                     .connections = 4,
                     .poll_every_ms = 5000},
        .kubernetes = {.cpu_request = xstrdup("500m"),
                       .cpu_limit = xstrdup("2"),
                       .memory_request = xstrdup("512Mi"),
                       .memory_limit = xstrdup("4Gi"),
                       .ephemeral_storage_request = xstrdup("1Gi"),
                       .ephemeral_storage_limit = xstrdup("10Gi"),
                       .qps = 50,
                       .burst = 100,
                       .connections = 8,
                       .ttl_s = 3600,
                       .stop_grace_s = 30,
                       .schedule_timeout_s = 600,
                       .start_timeout_s = 300},
        .docker = {.image = xstrdup("dispatch-runner:" DISPATCH_VERSION),
                   .pull_policy = xstrdup("missing"),
                   .memory = xstrdup("4g"),
                   .tmp_size = xstrdup("1g"),
                   .cpus = 2,
                   .pids = 1024,
                   .stop_grace_s = 30},
    };
}

/* --- YAML --------------------------------------------------------------------------------- */

static const struct setting *setting_by_yaml(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (strcmp(settings[i].yaml, key) == 0)
            return &settings[i];
    return NULL;
}

static bool is_group(const char *key)
{
    size_t length = strlen(key);

    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (strncmp(settings[i].yaml, key, length) == 0 && settings[i].yaml[length] == '.')
            return true;
    return false;
}

static int apply_node(struct config *config, const struct yaml *yaml, const char *prefix,
                      const cJSON *node, struct err *err);

static int apply_members(struct config *config, const struct yaml *yaml, const char *prefix,
                         const cJSON *object, struct err *err)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, object)
    {
        if (apply_node(config, yaml, prefix, node, err) < 0)
            return -1;
    }
    return 0;
}

static int apply_node(struct config *config, const struct yaml *yaml, const char *prefix,
                      const cJSON *node, struct err *err)
{
    scoped_str key = xasprintf("%s%s%s", prefix, *prefix ? "." : "", node->string);
    const struct setting *setting = setting_by_yaml(key);

    if (!*prefix && strcmp(key, "agents") == 0)
        return overrides_read(&config->agents, yaml, node, agent_name_valid, false, err);
    if (!*prefix && strcmp(key, "repositories") == 0)
        return overrides_read(&config->repositories, yaml, node, repo_name_valid, true, err);
    if (strcmp(key, "deliveries.receivers") == 0)
        return receivers_read(&config->receivers, yaml, node, err);
    if (!*prefix && is_group(key) && (cJSON_IsObject(node) || cJSON_IsNull(node)))
        return apply_members(config, yaml, key, node, err);
    if (!setting)
        (void)err_set(err, ERR_INVALID, "there is no such setting");
    else if (setting_from_json(setting, config, node, err) == 0)
        return 0;
    return err_wrap(err, "%s:%d: %.100s", yaml_name(yaml), yaml_line(yaml, node), key);
}

static int apply_file(struct config *config, const char *path, struct err *err)
{
    scoped(yaml) yaml = yaml_parse_file(path, err);

    if (!yaml)
        return -1;
    if (!cJSON_IsObject(yaml_root(yaml)))
        return err_set(err, ERR_INVALID, "%s:1: expected settings as `key: value`", path);
    return apply_members(config, yaml, "", yaml_root(yaml), err);
}

/* --- Environment and flags ---------------------------------------------------------------- */

/* A variable that is set to nothing counts as not set. */
static int apply_environment(struct config *config, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        const char *text = settings[i].env ? getenv(settings[i].env) : NULL;

        if (text && *text && setting_from_text(&settings[i], config, text, err) < 0)
            return err_wrap(err, "%s", settings[i].env);
    }
    return 0;
}

static const struct setting *setting_by_flag(const char *flag, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (settings[i].flag && strlen(settings[i].flag) == length
            && strncmp(settings[i].flag, flag, length) == 0)
            return &settings[i];
    return NULL;
}

/*
 * One flag at *argv, as `--flag value` or `--flag=value`; what it took is left behind
 * *argv. *out_setting is NULL for --config.
 */
static int read_flag(char *const **argv, const struct setting **out_setting,
                     const char **out_value, struct err *err)
{
    const char *flag = **argv;
    size_t length = strcspn(flag, "=");
    bool is_config = length == strlen("--config") && strncmp(flag, "--config", length) == 0;

    *out_setting = setting_by_flag(flag, length);
    if (!*out_setting && !is_config)
        return err_set(err, ERR_INVALID, "%.80s: there is no such option", flag);
    (*argv)++;
    if (flag[length] == '=')
        *out_value = flag + length + 1;
    else if (*out_setting && (*out_setting)->type == SETTING_BOOL)
        *out_value = "true";
    else if (**argv)
        *out_value = *(*argv)++;
    else
        return err_set(err, ERR_INVALID, "%.80s: a value is missing", flag);
    return 0;
}

/* Walks the flags: with config == NULL it only looks for --config. */
static int apply_flags(struct config *config, char *const *argv, const char **out_file,
                       struct err *err)
{
    while (*argv) {
        const struct setting *setting;
        const char *value;

        if (read_flag(&argv, &setting, &value, err) < 0)
            return -1;
        if (!setting)
            *out_file = value;
        else if (config && setting_from_text(setting, config, value, err) < 0)
            return err_wrap(err, "%s", setting->flag);
    }
    return 0;
}

/* --- Together ----------------------------------------------------------------------------- */

static char *runner_beside_us(void)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (size <= 0)
        return xstrdup("/usr/bin/dispatch-runner");
    self[size] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    return xasprintf("%s/dispatch-runner", self);
}

static int fill_gaps(struct config *config, struct err *err)
{
    if (!config->database && setting_path("var/dispatch.db", &config->database, err) < 0)
        return -1;
    if (!config->work_dir && setting_path("var/work", &config->work_dir, err) < 0)
        return -1;
    if (!config->runner)
        config->runner = runner_beside_us();
    if (config->max_workers < 0)
        config->max_workers = strcmp(config->launcher, "process") == 0 ? 1 : 0;
    if (!agent_name_valid(config->default_agent))
        return err_set(err, ERR_INVALID,
                       "default_agent (DISPATCH_DEFAULT_AGENT): expected one of " AGENT_NAMES);
    if (strcmp(config->default_agent, AGENT_COMMAND) == 0 && !config->agent_command)
        return err_set(err, ERR_INVALID,
                       "default_agent is `command`, but agent_command (DISPATCH_AGENT_COMMAND) "
                       "is not set");
    if (config->default_repo && !repo_name_valid(config->default_repo))
        return err_set(err, ERR_INVALID,
                       "defaults.repo (DISPATCH_DEFAULT_REPO): expected OWNER/NAME");
    if ((config->github_app_id != 0) != (config->github_app_private_key_path != NULL))
        return err_set(err, ERR_INVALID,
                       "a GitHub App needs both GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_PATH");
    return config_settle_oidc(config, err);
}

int config_load(struct config *out, char *const *argv, struct err *err)
{
    const char *file = NULL;

    set_defaults(out);
    if (apply_flags(NULL, argv, &file, err) < 0 || (file && apply_file(out, file, err) < 0)
        || (file && setting_path(file, &out->file, err) < 0) || apply_environment(out, err) < 0
        || apply_flags(out, argv, &file, err) < 0 || fill_gaps(out, err) < 0) {
        config_done(out);
        return -1;
    }
    return 0;
}

void config_ranges_done(struct config_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++)
        free(ranges->texts[i]);
    free(ranges->texts);
    free(ranges->all);
    *ranges = (struct config_ranges){0};
}

void config_list_done(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (struct config_list){0};
}

static void kubernetes_done(struct config_kubernetes *kubernetes)
{
    free(kubernetes->kubeconfig);
    free(kubernetes->context);
    free(kubernetes->namespace);
    free(kubernetes->image);
    free(kubernetes->image_pull_policy);
    free(kubernetes->job_template);
    free(kubernetes->service_account);
    free(kubernetes->env_secret);
    free(kubernetes->queue_name);
    free(kubernetes->runtime_class);
    free(kubernetes->priority_class);
    free(kubernetes->cpu_request);
    free(kubernetes->cpu_limit);
    free(kubernetes->memory_request);
    free(kubernetes->memory_limit);
    free(kubernetes->ephemeral_storage_request);
    free(kubernetes->ephemeral_storage_limit);
}

static void cloudrun_done(struct config_cloudrun *cloudrun)
{
    free(cloudrun->project);
    free(cloudrun->region);
    free(cloudrun->job);
    free(cloudrun->image);
    free(cloudrun->service_account);
    free(cloudrun->token_via);
    free(cloudrun->env_secrets);
    free(cloudrun->cpu);
    free(cloudrun->memory);
    free(cloudrun->credentials_file);
    secret_free(cloudrun->access_token);
    free(cloudrun->api_url);
    free(cloudrun->logging_url);
    free(cloudrun->secretmanager_url);
}

static void docker_done(struct config_docker *docker)
{
    free(docker->host);
    free(docker->ca_file);
    free(docker->cert_file);
    free(docker->key_file);
    free(docker->namespace);
    free(docker->image);
    free(docker->pull_policy);
    free(docker->network);
    free(docker->user);
    free(docker->runtime);
    free(docker->memory);
    free(docker->tmp_size);
    free(docker->work_size);
    free(docker->ulimits);
    free(docker->env_file);
    free(docker->auth_file);
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < config->n_api_keys; i++)
        secret_free(config->api_keys[i]);
    free(config->api_keys);
    secret_free(config->github_token);
    secret_free(config->github_webhook_secret);
    free(config->listen_address);
    free(config->database);
    free(config->public_url);
    free(config->launcher);
    config_list_done(&config->launcher_fallback);
    config_list_done(&config->launchers);
    free(config->runner);
    free(config->work_dir);
    free(config->default_agent);
    free(config->agent_command);
    free(config->ca_file);
    free(config->github_api_url);
    free(config->github_server_url);
    free(config->github_app_private_key_path);
    free(config->bot_name);
    free(config->bot_email);
    kubernetes_done(&config->kubernetes);
    docker_done(&config->docker);
    cloudrun_done(&config->cloudrun);
    free(config->default_repo);
    run_defaults_done(&config->defaults);
    overrides_done(&config->agents);
    overrides_done(&config->repositories);
    free(config->policy.sandbox);
    free(config->policy.workflow_changes);
    free(config->policy.credentials_in_diff);
    config_ranges_done(&config->allow_private_urls);
    config_ranges_done(&config->rate_limit.exempt);
    config_ranges_done(&config->trusted_proxies);
    secret_free(config->webhook_secret);
    receivers_done(&config->receivers);
    config_list_done(&config->oidc_issuers);
    config_list_done(&config->oidc_repositories);
    free(config->oidc_audience);
    secret_free(config->encryption_key);
    free(config->confine);
    free(config->file);
    *config = (struct config){0};
}
