/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/exec_plugin.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "process/process.h"

#define API_GROUP "client.authentication.k8s.io/"
#define COMPLAINT_MAX 160 /* of what it says on stderr, shown in errors */

struct exec_plugin {
    char *api_version;
    char **argv; /* NULL at the end */
    char **env;
    char *install_hint;
};

/* Variables that a plugin may need; others come through the kubeconfig's `env`. */
static const char *const passed_on[] = {
    "PATH",        "HOME",        "USER",      "LOGNAME",       "SHELL",        "TMPDIR",
    "LANG",        "TZ",          "NO_PROXY",  "no_proxy",      "HTTP_PROXY",   "http_proxy",
    "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "KUBECONFIG",
};
static const char *const passed_on_prefixes[] = {
    "LC_", "XDG_", "AWS_", "AZURE_", "AAD_", "GOOGLE_", "CLOUDSDK_", "TELEPORT_", "OCI_",
};

static void words_free(char **words)
{
    for (char **word = words; word && *word; word++) {
        secret_wipe(*word, strlen(*word)); /* `env` may hold a secret */
        free(*word);
    }
    free(words);
}

void exec_plugin_free(struct exec_plugin *plugin)
{
    if (!plugin)
        return;
    free(plugin->api_version);
    words_free(plugin->argv);
    words_free(plugin->env);
    free(plugin->install_hint);
    free(plugin);
}

/* --- What the kubeconfig says --------------------------------------------------------- */

static int check_version(const char *api_version, struct err *err)
{
    if (!api_version)
        return err_set(err, ERR_INVALID, "exec.apiVersion: required");
    if (strcmp(api_version, API_GROUP "v1") != 0
        && strcmp(api_version, API_GROUP "v1beta1") != 0)
        return err_set(err, ERR_INVALID,
                       "exec.apiVersion: %s isn't supported, only " API_GROUP "v1 and v1beta1",
                       api_version);
    return 0;
}

static int read_argv(struct exec_plugin *plugin, const cJSON *exec, const char *folder,
                     struct err *err)
{
    const char *command = json_get_str(exec, "command");
    const cJSON *args = json_get(exec, "args");
    const cJSON *arg;
    size_t n = 0;

    if (!command || !*command)
        return err_set(err, ERR_INVALID, "exec.command: required");
    plugin->argv = xcalloc(EXEC_PLUGIN_WORDS_MAX + 2, sizeof(*plugin->argv));
    plugin->argv[n++] = strchr(command, '/') && *command != '/'
                            ? xasprintf("%s/%s", folder, command)
                            : xstrdup(command);
    if (args && !cJSON_IsNull(args) && !cJSON_IsArray(args))
        return err_set(err, ERR_INVALID, "exec.args: expected a list");
    cJSON_ArrayForEach(arg, args)
    {
        if (!cJSON_IsString(arg) || n > EXEC_PLUGIN_WORDS_MAX)
            return err_set(err, ERR_INVALID,
                           "exec.args: expected a list of strings, at most %d",
                           EXEC_PLUGIN_WORDS_MAX);
        plugin->argv[n++] = xstrdup(arg->valuestring);
    }
    return 0;
}

static bool is_passed_on(const char *variable)
{
    size_t name = strcspn(variable, "=");

    for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
        if (strlen(passed_on[i]) == name && strncmp(variable, passed_on[i], name) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(passed_on_prefixes); i++)
        if (strncmp(variable, passed_on_prefixes[i], strlen(passed_on_prefixes[i])) == 0)
            return true;
    return false;
}

/* A later one of the same name takes the place of an earlier one. */
static bool set_variable(char **env, const char *name, const char *value)
{
    char **at = env;
    size_t length = strlen(name);

    while (*at && (strncmp(*at, name, length) != 0 || (*at)[length] != '='))
        at++;
    if (at >= env + EXEC_PLUGIN_WORDS_MAX)
        return false;
    free(*at);
    *at = xasprintf("%s=%s", name, value);
    return true;
}

static int read_env(struct exec_plugin *plugin, const cJSON *exec, struct err *err)
{
    const cJSON *list = json_get(exec, "env");
    const cJSON *one;
    size_t n = 0;

    plugin->env = xcalloc(EXEC_PLUGIN_WORDS_MAX + 1, sizeof(*plugin->env));
    for (char **variable = environ; *variable && n < EXEC_PLUGIN_WORDS_MAX / 2; variable++)
        if (is_passed_on(*variable))
            plugin->env[n++] = xstrdup(*variable);
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return err_set(err, ERR_INVALID, "exec.env: expected a list");
    cJSON_ArrayForEach(one, list)
    {
        const char *name = json_get_str(one, "name");
        const char *value = json_get_str(one, "value");

        if (!name || !*name || strchr(name, '=') || !value)
            return err_set(err, ERR_INVALID, "exec.env: expected a list of names and values");
        if (!set_variable(plugin->env, name, value))
            return err_set(err, ERR_TOO_LARGE, "exec.env: too many");
    }
    return 0;
}

/* What the plugin is told about us and, where it asked, about the cluster. */
static int add_exec_info(struct exec_plugin *plugin, cJSON *cluster, struct err *err)
{
    scoped_json info =
        jobj({"apiVersion", jstr(plugin->api_version)}, {"kind", jstr("ExecCredential")},
             {"spec", jobj({"interactive", jbool(false)}, {"cluster", cluster})});
    scoped_str text = json_text(info);

    if (!set_variable(plugin->env, "KUBERNETES_EXEC_INFO", text))
        return err_set(err, ERR_TOO_LARGE, "exec.env: too many");
    return 0;
}

static int read_exec(struct exec_plugin *plugin, const cJSON *exec, const char *folder,
                     struct err *err)
{
    const char *mode = json_get_str(exec, "interactiveMode");

    if (check_version(json_get_str(exec, "apiVersion"), err) < 0)
        return -1;
    if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
        return err_set(err, ERR_INVALID,
                       "exec.interactiveMode: %s isn't possible: there is no "
                       "terminal, only Never and IfAvailable will do",
                       mode);
    plugin->api_version = xstrdup(json_get_str(exec, "apiVersion"));
    plugin->install_hint = xstrdup(json_get_str(exec, "installHint"));
    return read_argv(plugin, exec, folder, err) < 0 ? -1 : read_env(plugin, exec, err);
}

struct exec_plugin *exec_plugin_new(const cJSON *exec, const char *folder, cJSON *cluster,
                                    struct err *err)
{
    scoped(exec_plugin) plugin = xcalloc(1, sizeof(*plugin));
    scoped_json taken = cluster;

    if (read_exec(plugin, exec, folder, err) < 0 || add_exec_info(plugin, TAKE(taken), err) < 0)
        return NULL;
    return TAKE(plugin);
}

/* --- Asking it ------------------------------------------------------------------------ */

struct output {
    struct buf answer;
    struct buf complaint;
};

static void take_output(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    struct output *output = ctx;

    if (stream == PROCESS_STDOUT)
        buf_append(&output->answer, data, size);
    else
        (void)buf_append_within(&output->complaint, data, size, EXEC_PLUGIN_OUTPUT_MAX);
}

static void output_done(struct output *output)
{
    if (output->answer.data)
        secret_wipe(output->answer.data, output->answer.size);
    buf_done(&output->answer);
    buf_done(&output->complaint);
}

void exec_credential_done(struct exec_credential *credential)
{
    secret_free(credential->token);
    free(credential->client_cert_pem);
    secret_free(credential->client_key_pem);
    *credential = (struct exec_credential){0};
}

static int refuse(const struct exec_plugin *plugin, struct err *err, const char *what)
{
    return err_set(err, ERR_UNAVAILABLE, "the credential plugin %s: %s", plugin->argv[0], what);
}

static int judge_end(const struct exec_plugin *plugin, const struct process_end *end,
                     const struct output *output, struct err *err)
{
    if (end->stopped)
        return refuse(plugin, err, "stopped");
    if (end->timed_out)
        return err_set(err, ERR_UNAVAILABLE, "the credential plugin %s: not done after %d s",
                       plugin->argv[0], EXEC_PLUGIN_TIME_MAX_MS / 1000);
    if (end->exit_code != 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "the credential plugin %s ended with %d (signal %d): %.*s",
                       plugin->argv[0], end->exit_code, end->signal, COMPLAINT_MAX,
                       output->complaint.data ? output->complaint.data : "it said nothing");
    if (end->output_bytes > EXEC_PLUGIN_OUTPUT_MAX)
        return refuse(plugin, err, "it prints too much");
    return 0;
}

static int read_status(const struct exec_plugin *plugin, const cJSON *status,
                       struct exec_credential *out, struct err *err)
{
    const char *token = json_get_str(status, "token");
    const char *certificate = json_get_str(status, "clientCertificateData");
    const char *key = json_get_str(status, "clientKeyData");
    const char *expires = json_get_str(status, "expirationTimestamp");
    int64_t expires_ms = 0;

    if (!certificate != !key)
        return refuse(plugin, err, "a certificate needs its key, and a key its certificate");
    if ((!token || !*token) && !certificate)
        return refuse(plugin, err, "it printed neither a token nor a certificate");
    if (expires && !clock_parse(expires, &expires_ms))
        return refuse(plugin, err, "its expirationTimestamp is no time");
    *out = (struct exec_credential){
        .token = secret_new(token),
        .client_cert_pem = xstrdup(certificate),
        .client_key_pem = secret_new(key),
        .expires_ms = expires_ms,
    };
    return 0;
}

static void wipe_strings(cJSON *object)
{
    cJSON *one;

    cJSON_ArrayForEach(one, object)
    {
        if (cJSON_IsString(one))
            secret_wipe(one->valuestring, strlen(one->valuestring));
    }
}

int exec_plugin_read(const struct exec_plugin *plugin, const char *text, size_t size,
                     struct exec_credential *out, struct err *err)
{
    struct err ignored = {0}; /* its sentence could quote the credential */
    scoped_json read = json_parse(text, size, &ignored);
    const char *kind = json_get_str(read, "kind");
    const char *api_version = json_get_str(read, "apiVersion");
    int result;

    if (!read)
        return refuse(plugin, err, "what it printed isn't JSON");
    if (!kind || strcmp(kind, "ExecCredential") != 0 || !api_version
        || strcmp(api_version, plugin->api_version) != 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "the credential plugin %s: it printed something else than an "
                       "ExecCredential of %s",
                       plugin->argv[0], plugin->api_version);
    result = read_status(plugin, json_get(read, "status"), out, err);
    wipe_strings(cJSON_GetObjectItemCaseSensitive(read, "status"));
    return result;
}

static int say_cannot_start(const struct exec_plugin *plugin, struct err *err)
{
    (void)err_wrap(err, "the credential plugin %s%s%s", plugin->argv[0],
                   plugin->install_hint ? ": " : "",
                   plugin->install_hint ? plugin->install_hint : "");
    err->kind = ERR_UNAVAILABLE;
    return -1;
}

int exec_plugin_run(const struct exec_plugin *plugin, const volatile bool *stop,
                    struct exec_credential *out, struct err *err)
{
    __attribute__((cleanup(output_done))) struct output output = {0};
    struct process_end end = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .wall_clock_ms = EXEC_PLUGIN_TIME_MAX_MS,
        .stop = stop,
        .output_max_bytes = EXEC_PLUGIN_OUTPUT_MAX,
        .on_output = take_output,
        .ctx = &output,
    };

    run.spec.argv = (const char *const *)plugin->argv;
    run.spec.env = (const char *const *)plugin->env;
    if (process_run(&run, &end, err) < 0)
        return say_cannot_start(plugin, err);
    if (judge_end(plugin, &end, &output, err) < 0)
        return -1;
    return exec_plugin_read(plugin, output.answer.data ? output.answer.data : "",
                            output.answer.size, out, err);
}
