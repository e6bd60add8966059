/* SPDX-License-Identifier: Apache-2.0 */
/* config get-contexts, use-context, set-context and view. */
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/contexts.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/output.h"
#include "dispatchctl/target.h"

struct opened {
    char *path;
    struct contexts *contexts;
};

static void opened_done(struct opened *opened)
{
    free(opened->path);
    contexts_free(opened->contexts);
}

#define scoped_opened __attribute__((cleanup(opened_done))) struct opened

static int open_file(const struct invocation *call, struct opened *out, struct err *err)
{
    out->path = contexts_path(call->options.config);
    if (!out->path)
        return err_set(err, ERR_INVALID, "there is no $HOME: name a file with --config");
    out->contexts = contexts_read(out->path, false, err);
    return out->contexts ? 0 : -1;
}

int command_get_contexts(const struct invocation *call)
{
    static const char *const headings[] = {"CURRENT", "NAME", "SERVER", "CREDENTIAL", NULL};
    struct err err = {0};
    scoped_opened opened = {0};
    const cJSON *context;

    if (open_file(call, &opened, &err) < 0)
        return output_fail(&err);
    scoped_json list = contexts_list(opened.contexts);
    if (output_list(call, list, NULL, "name"))
        return output_end(EXIT_DONE);
    scoped(table) table = table_new(headings, false);
    cJSON_ArrayForEach(context, list)
    {
        const char *kube = json_get_str(context, "kube_context");
        scoped_str in_cluster = kube ? xasprintf("kubectl: %s", kube) : NULL;
        const char *cells[] = {json_get_bool(context, "current", false) ? "*" : "",
                               json_get_str(context, "name"),
                               kube ? in_cluster : json_get_str(context, "server"),
                               json_get_str(context, "credential")};

        table_add(table, cells);
    }
    table_print(table, stdout);
    return output_end(EXIT_DONE);
}

int command_use_context(const struct invocation *call)
{
    struct err err = {0};
    scoped_opened opened = {0};

    if (open_file(call, &opened, &err) < 0
        || contexts_use(opened.contexts, call->words[0], &err) < 0
        || contexts_write(opened.contexts, opened.path, &err) < 0)
        return output_fail(&err);
    output_remark(call, "%s is the current context now", call->words[0]);
    return EXIT_DONE;
}

/* A path that means the same from everywhere. */
static char *absolute(const char *path)
{
    char folder[PATH_MAX];

    if (!path || *path == '/' || !getcwd(folder, sizeof(folder)))
        return xstrdup(path);
    return xasprintf("%s/%s", folder, path);
}

static int check_name(const char *name, struct err *err)
{
    if (!*name
        || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-@:/")])
        return err_set(err, ERR_INVALID, "a context's name has letters, digits and ._-@:/");
    return 0;
}

static struct secret *token_from_stdin(struct err *err)
{
    char text[TARGET_TOKEN_MAX_BYTES];
    size_t size = fread(text, 1, sizeof(text), stdin);
    struct secret *token = target_token("standard input", text, size, err);

    secret_wipe(text, sizeof(text));
    return token;
}

int command_set_context(const struct invocation *call)
{
    struct err err = {0};
    const struct options *o = &call->options;
    scoped_opened opened = {0};
    scoped_str token_file = absolute(o->token_file);
    scoped_str ca_file = absolute(o->ca_file);
    scoped(secret) token = NULL;
    struct context values = {
        .server = o->server,
        .kube_context = o->kube_context,
        .token_file = token_file,
        .ca_file = ca_file,
        .github_url = o->github_url,
    };

    if ((o->server && o->kube_context) || (o->token_file && o->token_stdin)) {
        (void)err_set(&err, ERR_INVALID, "%s",
                      o->server && o->kube_context ? "--server or --kube-context, not both"
                                                   : "--token-file or --token-stdin, not both");
        return output_fail(&err);
    }
    if (check_name(call->words[0], &err) < 0 || open_file(call, &opened, &err) < 0)
        return output_fail(&err);
    token = o->token_stdin ? token_from_stdin(&err) : NULL;
    if (o->token_stdin && !token)
        return output_fail(&err);
    values.token = token ? secret_reveal(token) : NULL;
    contexts_set(opened.contexts, call->words[0], &values);
    if (contexts_write(opened.contexts, opened.path, &err) < 0)
        return output_fail(&err);
    output_remark(call, "%s: context %s is written", opened.path, call->words[0]);
    return EXIT_DONE;
}

int command_config_view(const struct invocation *call)
{
    struct err err = {0};
    scoped_opened opened = {0};
    struct invocation as_yaml = *call;

    as_yaml.options.output = "yaml";
    if (open_file(call, &opened, &err) < 0)
        return output_fail(&err);
    scoped_json shown = contexts_view(opened.contexts);
    if (!output_document(call, shown, NULL))
        (void)output_document(&as_yaml, shown, NULL);
    return output_end(EXIT_DONE);
}
