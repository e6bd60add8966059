/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/contexts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "dispatchctl/yaml_text.h"
#include "yaml/yaml.h"

#define HIDDEN "(hidden)"

struct contexts {
    cJSON *root;
};

static const struct jfield context_fields[] = {
    JFIELD(struct context, server, J_OPTIONAL),
    JFIELD(struct context, kube_context, J_OPTIONAL),
    JFIELD(struct context, token, J_OPTIONAL),
    JFIELD(struct context, token_file, J_OPTIONAL),
    JFIELD(struct context, ca_file, J_OPTIONAL),
    JFIELD(struct context, github_url, J_OPTIONAL),
};

struct root {
    const char *current_context;
    const cJSON *contexts;
};

static const struct jfield root_fields[] = {
    JFIELD(struct root, current_context, J_OPTIONAL),
    JFIELD(struct root, contexts, J_OPTIONAL),
};

char *contexts_path(const char *given)
{
    const char *environment = getenv("DISPATCH_CONFIG");
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (given || (environment && *environment))
        return xstrdup(given ? given : environment);
    if (xdg && *xdg == '/')
        return xasprintf("%s/dispatch/config.yaml", xdg);
    return home && *home ? xasprintf("%s/.config/dispatch/config.yaml", home) : NULL;
}

/* --- Reading ------------------------------------------------------------------------------ */

static int check_context(const cJSON *value, bool *has_token, struct err *err)
{
    scoped_str path = xasprintf("contexts.%s", value->string);
    struct context context = {0};

    if (json_read_fields(value, context_fields, ARRAY_SIZE(context_fields), true, path,
                         &context, err)
        < 0)
        return -1;
    if (context.token && context.token_file)
        return err_set(err, ERR_INVALID, "%s: token or token_file, not both", path);
    if (context.server && context.kube_context)
        return err_set(err, ERR_INVALID, "%s: server or kube_context, not both", path);
    *has_token = *has_token || context.token;
    return 0;
}

static int check_root(const cJSON *root, bool *has_token, struct err *err)
{
    struct root read = {0};
    const cJSON *context;

    if (json_read(root, root_fields, &read, err) < 0)
        return -1;
    if (read.contexts && !cJSON_IsObject(read.contexts))
        return err_set_field(err, "contexts", "expected a mapping");
    cJSON_ArrayForEach(context, read.contexts)
    {
        if (check_context(context, has_token, err) < 0)
            return -1;
    }
    return 0;
}

/* The open file is what is looked at, so that nobody swaps it in between. */
static int check_mode(FILE *file, const char *path, bool has_token, struct err *err)
{
    struct stat seen;

    if (fstat(fileno(file), &seen) < 0)
        return err_set_errno(err, errno, "%s", path);
    if (has_token && seen.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, ERR_INVALID,
                       "%s holds a token and other users may read it (mode %03o): "
                       "chmod 600 it, and think of the token as known",
                       path, (unsigned)seen.st_mode & 0777);
    return 0;
}

static int read_all(FILE *file, const char *path, struct buf *out, struct err *err)
{
    char piece[4096];
    size_t got;

    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        if (!buf_append_within(out, piece, got, YAML_SIZE_MAX))
            return err_set(err, ERR_INVALID, "%s is larger than %d bytes", path, YAML_SIZE_MAX);
    return ferror(file) ? err_set_errno(err, errno, "%s", path) : 0;
}

static cJSON *read_file(const char *path, bool must_exist, struct err *err)
{
    scoped_file file = path ? fopen(path, "re") : NULL;
    scoped_buf text = {0};
    bool has_token = false;

    if (!file) {
        if (!path || (errno == ENOENT && !must_exist))
            return cJSON_CreateObject();
        (void)err_set(err, ERR_INVALID, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (read_all(file, path, &text, err) < 0)
        return NULL;
    scoped(yaml) yaml = yaml_parse(path, text.data ? text.data : "", text.size, err);
    if (text.data)
        secret_wipe(text.data, text.size);
    if (!yaml)
        return NULL;
    if (check_root(yaml_root(yaml), &has_token, err) < 0) {
        (void)err_wrap(err, "%s", path);
        return NULL;
    }
    if (check_mode(file, path, has_token, err) < 0)
        return NULL;
    return cJSON_Duplicate(yaml_root(yaml), true);
}

struct contexts *contexts_read(const char *path, bool must_exist, struct err *err)
{
    cJSON *root = read_file(path, must_exist, err);
    struct contexts *contexts = root ? xcalloc(1, sizeof(*contexts)) : NULL;

    if (contexts)
        contexts->root = root;
    return contexts;
}

void contexts_free(struct contexts *contexts)
{
    if (!contexts)
        return;
    cJSON_Delete(contexts->root);
    free(contexts);
}

/* --- Looking ------------------------------------------------------------------------------ */

const char *contexts_current(const struct contexts *contexts)
{
    return json_get_str(contexts->root, "current_context");
}

static const cJSON *find(const struct contexts *contexts, const char *name)
{
    const cJSON *all = json_get(contexts->root, "contexts");

    return all ? json_get(all, name) : NULL;
}

static void read_context(const cJSON *value, struct context *out)
{
    *out = (struct context){
        .server = json_get_str(value, "server"),
        .kube_context = json_get_str(value, "kube_context"),
        .token = json_get_str(value, "token"),
        .token_file = json_get_str(value, "token_file"),
        .ca_file = json_get_str(value, "ca_file"),
        .github_url = json_get_str(value, "github_url"),
    };
}

int contexts_get(const struct contexts *contexts, const char *name, struct context *out,
                 struct err *err)
{
    const cJSON *found = find(contexts, name);

    if (!found)
        return err_set(err, ERR_INVALID, "the configuration file has no context %s", name);
    read_context(found, out);
    return 0;
}

bool contexts_for_kube(const struct contexts *contexts, const char *kube_context,
                       struct context *out)
{
    const cJSON *context;

    cJSON_ArrayForEach(context, json_get(contexts->root, "contexts"))
    {
        const char *name = json_get_str(context, "kube_context");

        if (name && strcmp(name, kube_context) == 0) {
            read_context(context, out);
            return true;
        }
    }
    return false;
}

cJSON *contexts_list(const struct contexts *contexts)
{
    const char *current = contexts_current(contexts);
    cJSON *list = cJSON_CreateArray();
    const cJSON *context;

    cJSON_ArrayForEach(context, json_get(contexts->root, "contexts"))
    {
        bool by_file = json_get_str(context, "token_file");

        cJSON_AddItemToArray(
            list, jobj({"name", jstr(context->string)},
                       {"current", jbool(current && strcmp(current, context->string) == 0)},
                       {"server", jstr(json_get_str(context, "server"))},
                       {"kube_context", jstr(json_get_str(context, "kube_context"))},
                       {"credential", jstr(by_file                          ? "file"
                                           : json_get_str(context, "token") ? "token"
                                                                            : "none")}));
    }
    return list;
}

cJSON *contexts_view(const struct contexts *contexts)
{
    cJSON *shown = cJSON_Duplicate(contexts->root, true);
    cJSON *context;

    cJSON_ArrayForEach(context, cJSON_GetObjectItemCaseSensitive(shown, "contexts"))
    {
        if (json_get_str(context, "token"))
            (void)cJSON_ReplaceItemInObjectCaseSensitive(context, "token", jstr(HIDDEN));
    }
    return shown;
}

/* --- Changing ----------------------------------------------------------------------------- */

/* Takes `value`; NULL changes nothing. */
static void put(cJSON *object, const char *key, cJSON *value)
{
    if (!value)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    (void)cJSON_AddItemToObject(object, key, value);
}

int contexts_use(struct contexts *contexts, const char *name, struct err *err)
{
    if (!find(contexts, name))
        return err_set(err, ERR_INVALID, "the configuration file has no context %s", name);
    put(contexts->root, "current_context", jstr(name));
    return 0;
}

static cJSON *member(cJSON *object, const char *key)
{
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(object, key)))
        put(object, key, cJSON_CreateObject());
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

void contexts_set(struct contexts *contexts, const char *name, const struct context *values)
{
    cJSON *context = member(member(contexts->root, "contexts"), name);

    /* One of each pair takes the other's place. */
    if (values->server || values->kube_context) {
        cJSON_DeleteItemFromObjectCaseSensitive(context, "server");
        cJSON_DeleteItemFromObjectCaseSensitive(context, "kube_context");
    }
    if (values->token || values->token_file) {
        cJSON_DeleteItemFromObjectCaseSensitive(context, "token");
        cJSON_DeleteItemFromObjectCaseSensitive(context, "token_file");
    }
    put(context, "server", jstr(values->server));
    put(context, "kube_context", jstr(values->kube_context));
    put(context, "token", jstr(values->token));
    put(context, "token_file", jstr(values->token_file));
    put(context, "ca_file", jstr(values->ca_file));
    put(context, "github_url", jstr(values->github_url));
    if (!contexts_current(contexts))
        put(contexts->root, "current_context", jstr(name));
}

static int make_folders(const char *path, struct err *err)
{
    scoped_str folder = xstrdup(path);

    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
            return err_set_errno(err, errno, "%s", folder);
        *slash = '/';
    }
    return 0;
}

static int write_out(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left) {
        ssize_t put_bytes = write(fd, text, left);

        if (put_bytes < 0 && errno != EINTR)
            return -1;
        text += put_bytes > 0 ? put_bytes : 0;
        left -= put_bytes > 0 ? (size_t)put_bytes : 0;
    }
    return fsync(fd);
}

int contexts_write(const struct contexts *contexts, const char *path, struct err *err)
{
    scoped_str text = yaml_text(contexts->root);
    scoped_str beside = xasprintf("%s.XXXXXX", path);
    scoped_fd fd = -1;

    if (make_folders(path, err) < 0)
        return -1;
    fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return err_set_errno(err, errno, "%s", beside);
    if (write_out(fd, text) < 0 || rename(beside, path) < 0) {
        (void)err_set_errno(err, errno, "%s", path);
        (void)unlink(beside);
        return -1;
    }
    return 0;
}
