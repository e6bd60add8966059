/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kubeconfig.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"
#include "yaml/yaml.h"

#define FILES_MAX 16
/* Of an authority that a plugin is told of: one variable may have 128 KiB. */
#define CA_TOLD_MAX (64 * 1024)

/* The files as one, and which of them an entry stands in. */
struct files {
    struct yaml *all[FILES_MAX];
    size_t count;
};

static void files_done(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        yaml_free(files->all[i]);
}

#define scoped_files __attribute__((cleanup(files_done))) struct files

struct entry {
    const struct yaml *file;
    const cJSON *value;
};

/* --- Finding -------------------------------------------------------------------------- */

static int complain(struct entry entry, const cJSON *at, struct err *err)
{
    int line = yaml_line(entry.file, at ? at : entry.value);

    if (!line)
        line = yaml_line(entry.file, entry.value);
    return err_wrap(err, "%s:%d", yaml_name(entry.file), line);
}

static int refuse(struct entry entry, const char *key, const char *why, struct err *err)
{
    (void)err_set_field(err, key, "%s", why);
    (void)complain(entry, json_get(entry.value, key), err);
    return -1;
}

/* The entry called `name` of the list `list`, which holds it under `key`:
 *     clusters: [{name: dev, cluster: {...}}] */
static int find(const struct files *files, const char *list, const char *key, const char *name,
                struct entry *out, struct err *err)
{
    for (size_t i = 0; i < files->count; i++) {
        const cJSON *one;

        cJSON_ArrayForEach(one, json_get(yaml_root(files->all[i]), list))
        {
            const char *its = json_get_str(one, "name");

            if (its && strcmp(its, name) == 0) {
                *out = (struct entry){.file = files->all[i], .value = json_get(one, key)};
                if (!cJSON_IsObject(out->value)) {
                    out->value = one;
                    return refuse(*out, key, "expected a mapping", err);
                }
                return 0;
            }
        }
    }
    return err_set(err, ERR_INVALID, "%s: there is no %s called %s", yaml_name(files->all[0]),
                   key, name);
}

static const char *current_context(const struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *name = json_get_str(yaml_root(files->all[i]), "current-context");

        if (name && *name)
            return name;
    }
    return NULL;
}

/* The text under a key; NULL where there is none. */
static int text_at(struct entry entry, const char *key, const char **out, struct err *err)
{
    const cJSON *value = json_get(entry.value, key);

    if (value && !cJSON_IsNull(value) && !cJSON_IsString(value))
        return refuse(entry, key, "expected a string", err);
    *out = value && cJSON_IsString(value) && value->valuestring[0] ? value->valuestring : NULL;
    return 0;
}

static char *folder_of(const struct yaml *file)
{
    const char *slash = strrchr(yaml_name(file), '/');

    if (!slash)
        return xstrdup(".");
    return slash == yaml_name(file)
               ? xstrdup("/")
               : xstrndup(yaml_name(file), (size_t)(slash - yaml_name(file)));
}

static int path_at(struct entry entry, const char *key, char **out, struct err *err)
{
    scoped_str folder = folder_of(entry.file);
    const char *path = NULL;

    if (text_at(entry, key, &path, err) < 0)
        return -1;
    if (path)
        *out = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", folder, path);
    return 0;
}

/* Base64 with padding, as YAML may have folded it. */
static char *decode(const char *text, size_t *out_size)
{
    scoped_str plain = xstrdup(text);
    size_t n = 0;
    char *decoded;

    for (const char *c = text; *c; c++) {
        if (*c == '+')
            plain[n++] = '-';
        else if (*c == '/')
            plain[n++] = '_';
        else if (*c == '-' || *c == '_')
            return NULL;
        else if (!isspace((unsigned char)*c))
            plain[n++] = *c;
    }
    for (int i = 0; i < 2 && n > 0 && plain[n - 1] == '='; i++)
        n--;
    plain[n] = '\0';
    decoded = base64url_decode(plain, out_size);
    secret_wipe(plain, strlen(plain));
    return decoded;
}

/* PEM in base64, for the caller. */
static int data_at(struct entry entry, const char *key, char **out, struct err *err)
{
    const char *text = NULL;
    scoped_str decoded = NULL;
    size_t size = 0;

    if (text_at(entry, key, &text, err) < 0)
        return -1;
    if (!text)
        return 0;
    decoded = decode(text, &size);
    if (!decoded || strlen(decoded) != size || !strstr(decoded, "-----BEGIN "))
        return refuse(entry, key, "expected PEM in base64", err);
    *out = TAKE(decoded);
    return 0;
}

/* --- The cluster ---------------------------------------------------------------------- */

static bool is_this_machine(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t length = strlen(names[i]);

        if (strncasecmp(host, names[i], length) == 0 && strchr(":/", host[length]))
            return true; /* strchr finds the end, too */
    }
    return false;
}

static int read_server(struct entry cluster, struct access *access, struct err *err)
{
    const char *server = NULL;
    size_t length;

    if (text_at(cluster, "server", &server, err) < 0)
        return -1;
    if (!server)
        return refuse(cluster, "server", "required", err);
    if (strncmp(server, "http://", 7) == 0 && !is_this_machine(server + 7))
        return refuse(cluster, "server",
                      "http would show the credentials to everyone on the way; only https "
                      "will do, and http to this machine",
                      err);
    if ((strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0)
        || strpbrk(server, "@?#"))
        return refuse(cluster, "server", "expected a URL with https", err);
    length = strlen(server);
    while (length && server[length - 1] == '/')
        length--;
    access->server = xstrndup(server, length);
    return 0;
}

static bool is_set(struct entry entry, const char *key)
{
    const cJSON *value = json_get(entry.value, key);

    return value && !cJSON_IsNull(value) && !cJSON_IsFalse(value)
           && !(cJSON_IsString(value) && !value->valuestring[0]);
}

static int read_cluster(struct entry cluster, struct access *access, struct err *err)
{
    const char *proxy = NULL;

    if (is_set(cluster, "insecure-skip-tls-verify"))
        return refuse(cluster, "insecure-skip-tls-verify",
                      "refused: anybody on the way could take the credentials; name the "
                      "cluster's authority in certificate-authority-data",
                      err);
    if (is_set(cluster, "tls-server-name"))
        return refuse(cluster, "tls-server-name",
                      "isn't supported: the server's certificate must name its address", err);
    if (read_server(cluster, access, err) < 0
        || data_at(cluster, "certificate-authority-data", &access->ca_pem, err) < 0
        || path_at(cluster, "certificate-authority", &access->ca_file, err) < 0
        || text_at(cluster, "proxy-url", &proxy, err) < 0)
        return -1;
    access->proxy = xstrdup(proxy ? proxy : "");
    return 0;
}

/* --- The user ------------------------------------------------------------------------- */

static int refuse_what_we_cannot(struct entry user, struct err *err)
{
    static const struct {
        const char *key;
        const char *why;
    } refused[] = {
        {"username", "basic authentication isn't supported, nor is it by Kubernetes"},
        {"password", "basic authentication isn't supported, nor is it by Kubernetes"},
        {"auth-provider", "isn't supported: use exec"},
        {"as", "impersonation isn't supported"},
        {"as-uid", "impersonation isn't supported"},
        {"as-groups", "impersonation isn't supported"},
        {"as-user-extra", "impersonation isn't supported"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (is_set(user, refused[i].key))
            return refuse(user, refused[i].key, refused[i].why, err);
    return 0;
}

static int read_certificate(struct entry user, struct access *access, struct err *err)
{
    scoped_str key = NULL;
    int result = data_at(user, "client-key-data", &key, err);

    access->client_key_pem = secret_new(key);
    if (key)
        secret_wipe(key, strlen(key));
    if (result < 0
        || data_at(user, "client-certificate-data", &access->client_cert_pem, err) < 0
        || path_at(user, "client-certificate", &access->client_cert_file, err) < 0
        || path_at(user, "client-key", &access->client_key_file, err) < 0)
        return -1;
    if ((access->client_cert_pem || access->client_cert_file)
        != (access->client_key_pem || access->client_key_file))
        return refuse(user, access->client_key_pem ? "client-key-data" : "client-certificate",
                      "a certificate needs its key, and a key its certificate", err);
    return 0;
}

static const cJSON *exec_extension(struct entry cluster)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, json_get(cluster.value, "extensions"))
    {
        const char *name = json_get_str(one, "name");

        if (name && strcmp(name, "client.authentication.k8s.io/exec") == 0)
            return json_get(one, "extension");
    }
    return NULL;
}

/* The authority as bytes, wherever it stands. */
static int ca_of(const struct access *access, char **out, struct err *err)
{
    scoped_buf file = {0};

    if (access->ca_pem)
        *out = base64_encode(access->ca_pem, strlen(access->ca_pem));
    if (access->ca_pem || !access->ca_file)
        return 0;
    if (buf_read_file(&file, access->ca_file, CA_TOLD_MAX, err) < 0)
        return -1;
    *out = file.size ? base64_encode(file.data, file.size) : NULL;
    return 0;
}

/* What a plugin is told that wants to know which cluster it is for. */
static cJSON *describe(struct entry cluster, const struct access *access, struct err *err)
{
    const cJSON *extension = exec_extension(cluster);
    scoped_str ca = NULL;

    if (ca_of(access, &ca, err) < 0)
        return NULL;
    return jobj({"server", jstr(access->server)}, {"certificate-authority-data", jstr(ca)},
                {"proxy-url", access->proxy[0] ? jstr(access->proxy) : NULL},
                {"config", extension ? cJSON_Duplicate(extension, true) : NULL});
}

static int read_plugin(struct entry user, struct entry cluster, struct access *access,
                       struct err *err)
{
    const cJSON *exec = json_get(user.value, "exec");
    scoped_str folder = folder_of(user.file);
    cJSON *told = NULL;

    if (!exec || cJSON_IsNull(exec) || access->token || access->token_file)
        return 0;
    if (json_get_bool(exec, "provideClusterInfo", false)) {
        told = describe(cluster, access, err);
        if (!told)
            return complain(user, exec, err);
    }
    access->plugin = exec_plugin_new(exec, folder, told, err);
    return access->plugin ? 0 : complain(user, exec, err);
}

static int read_user(struct entry user, struct entry cluster, struct access *access,
                     struct err *err)
{
    const char *token = NULL;

    if (refuse_what_we_cannot(user, err) < 0 || text_at(user, "token", &token, err) < 0
        || path_at(user, "tokenFile", &access->token_file, err) < 0
        || read_certificate(user, access, err) < 0)
        return -1;
    access->token = secret_new(token);
    return read_plugin(user, cluster, access, err);
}

/* --- The whole ------------------------------------------------------------------------ */

static int add_file(struct files *files, const char *path, bool may_miss, struct err *err)
{
    struct yaml *file;

    if (files->count == FILES_MAX)
        return err_set(err, ERR_INVALID, "KUBECONFIG: more than %d files", FILES_MAX);
    file = yaml_parse_file(path, err);
    if (!file && may_miss && err->kind == ERR_NOT_FOUND) {
        *err = (struct err){0};
        return 0;
    }
    if (!file)
        return -1;
    files->all[files->count++] = file;
    if (!cJSON_IsObject(yaml_root(file)))
        return err_set(err, ERR_INVALID, "%s: expected a mapping", path);
    return 0;
}

static int read_files(struct files *files, const char *path, bool is_list, struct err *err)
{
    scoped_str paths = xstrdup(path);
    char *rest = NULL;

    if (!is_list)
        return add_file(files, path, false, err);
    for (char *one = strtok_r(paths, ":", &rest); one; one = strtok_r(NULL, ":", &rest))
        if (add_file(files, one, true, err) < 0)
            return -1;
    if (!files->count)
        return err_set(err, ERR_NOT_FOUND, "KUBECONFIG: there is no file %s", path);
    return 0;
}

static int read_context(const struct files *files, const char *context, struct access *access,
                        struct err *err)
{
    struct entry found;
    struct entry cluster;
    struct entry user;
    const char *cluster_name = NULL;
    const char *user_name = NULL;
    const char *name_space = NULL;

    if (find(files, "contexts", "context", context, &found, err) < 0
        || text_at(found, "cluster", &cluster_name, err) < 0
        || text_at(found, "user", &user_name, err) < 0
        || text_at(found, "namespace", &name_space, err) < 0)
        return -1;
    if (!cluster_name)
        return refuse(found, "cluster", "required", err);
    access->source = xasprintf("%s, context %s", yaml_name(found.file), context);
    access->name_space = xstrdup(name_space ? name_space : "default");
    if (find(files, "clusters", "cluster", cluster_name, &cluster, err) < 0
        || read_cluster(cluster, access, err) < 0)
        return -1;
    if (!user_name)
        return 0;
    if (find(files, "users", "user", user_name, &user, err) < 0)
        return -1;
    return read_user(user, cluster, access, err);
}

struct access *kubeconfig_read(const char *path, bool is_list, const char *context,
                               struct err *err)
{
    scoped(access) access = xcalloc(1, sizeof(*access));
    scoped_files files = {0};

    if (read_files(&files, path, is_list, err) < 0)
        return NULL;
    if (!context || !*context)
        context = current_context(&files);
    if (!context) {
        (void)err_set(err, ERR_INVALID, "%s: current-context: required", path);
        return NULL;
    }
    if (read_context(&files, context, access, err) < 0)
        return NULL;
    return TAKE(access);
}
