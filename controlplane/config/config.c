/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "config/setting.h"
#include "yaml/yaml.h"

#define S(member) offsetof(struct config, member)

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
    {"runner", "DISPATCH_RUNNER", NULL, SETTING_PATH, S(runner), 0, 0},
    {"work_dir", "DISPATCH_WORK_DIR", "--work-dir", SETTING_PATH, S(work_dir), 0, 0},
    {"default_agent", "DISPATCH_DEFAULT_AGENT", NULL, SETTING_TEXT, S(default_agent), 0, 0},
    {"agent_command", "DISPATCH_AGENT_COMMAND", NULL, SETTING_COMMAND, S(agent_command), 0, 0},
    {"ca_file", "DISPATCH_CA_FILE", NULL, SETTING_PATH, S(ca_file), 0, 0},
    {"api_keys", "CODEBOT_API_KEYS", NULL, SETTING_SECRETS, S(api_keys), 0, 0},
    {"max_workers", "CODEBOT_MAX_WORKERS", "--workers", SETTING_INT, S(max_workers), 0, 100000},
    {"max_queue_size", "CODEBOT_MAX_QUEUE_SIZE", NULL, SETTING_INT, S(max_queue_size), 1, 100000000},
    {"task_retention_s", "CODEBOT_TASK_RETENTION", NULL, SETTING_INT64, S(task_retention_s), 1, 3153600000},
    {"run_timeout_s", "DISPATCH_RUN_TIMEOUT", NULL, SETTING_INT64, S(run_timeout_s), 1, 604800},
    {"claim_timeout_s", "DISPATCH_CLAIM_TIMEOUT", NULL, SETTING_INT64, S(claim_timeout_s), 1, 86400},
    {"queue_timeout_s", "DISPATCH_QUEUE_TIMEOUT", NULL, SETTING_INT64, S(queue_timeout_s), 1, 31536000},
    {"lost_after_s", "DISPATCH_LOST_AFTER", NULL, SETTING_INT64, S(lost_after_s), 2, 86400},
    {"max_connections", "DISPATCH_MAX_CONNECTIONS", NULL, SETTING_INT, S(connections_max), 8, 1000000},
    {"max_connections_per_address", "DISPATCH_MAX_CONNECTIONS_PER_ADDRESS", NULL, SETTING_INT, S(connections_per_address_max), 1, 1000000},
    {"github.api_url", "GITHUB_API_URL", NULL, SETTING_URL, S(github_api_url), 0, 0},
    {"github.server_url", "GITHUB_SERVER_URL", NULL, SETTING_URL, S(github_server_url), 0, 0},
    {"github.app_id", "GITHUB_APP_ID", NULL, SETTING_INT64, S(github_app_id), 1, INT64_C(9007199254740992)},
    {"github.app_private_key_path", "GITHUB_APP_PRIVATE_KEY_PATH", NULL, SETTING_PATH, S(github_app_private_key_path), 0, 0},
    {"github.app_installation_id", "GITHUB_APP_INSTALLATION_ID", NULL, SETTING_INT64, S(github_app_installation_id), 1, INT64_C(9007199254740992)},
    {"github.token", "GITHUB_TOKEN", NULL, SETTING_SECRET, S(github_token), 0, 0},
    {"github.webhook_secret", "GITHUB_WEBHOOK_SECRET", NULL, SETTING_SECRET, S(github_webhook_secret), 0, 0},
    {"bot.name", "DISPATCH_BOT_NAME", NULL, SETTING_TEXT, S(bot_name), 0, 0},
    {"bot.email", "DISPATCH_BOT_EMAIL", NULL, SETTING_TEXT, S(bot_email), 0, 0},
    {"debug", "DISPATCH_DEBUG", "--debug", SETTING_BOOL, S(debug), 0, 0},
};
/* clang-format on */

static void set_defaults(struct config *config)
{
    *config = (struct config){
        .listen_address = xstrdup("127.0.0.1"),
        .listen_port = 5000,
        .launcher = xstrdup("process"),
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
        .github_api_url = xstrdup("https://api.github.com"),
        .github_server_url = xstrdup("https://github.com"),
        .bot_name = xstrdup("dispatch[bot]"),
        .bot_email = xstrdup("dispatch[bot]@users.noreply.github.com"),
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

    if (!*prefix && is_group(key) && cJSON_IsObject(node))
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
    if (strcmp(config->default_agent, "command") == 0 && !config->agent_command)
        return err_set(err, ERR_INVALID,
                       "default_agent is `command`, but agent_command (DISPATCH_AGENT_COMMAND) "
                       "is not set");
    if ((config->github_app_id != 0) != (config->github_app_private_key_path != NULL))
        return err_set(err, ERR_INVALID,
                       "a GitHub App needs both GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_PATH");
    return 0;
}

int config_load(struct config *out, char *const *argv, struct err *err)
{
    const char *file = NULL;

    set_defaults(out);
    if (apply_flags(NULL, argv, &file, err) < 0 || (file && apply_file(out, file, err) < 0)
        || apply_environment(out, err) < 0 || apply_flags(out, argv, &file, err) < 0
        || fill_gaps(out, err) < 0) {
        config_done(out);
        return -1;
    }
    return 0;
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
    *config = (struct config){0};
}
