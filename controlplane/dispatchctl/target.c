/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/target.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "dispatchctl/contexts.h"
#include "net/address.h"
#include "net/url.h"

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

void target_done(struct target *target)
{
    free(target->server);
    secret_free(target->token);
    free(target->ca_file);
    free(target->github_url);
    *target = (struct target){0};
}

/* --- Servers ------------------------------------------------------------------------------ */

/* The host of a URL that url_check took, which refuses user and password only by leaving them
 * out; the caller frees it. */
static char *host_of(const char *url)
{
    const char *begin = strstr(url, "://") + 3;
    size_t length = strcspn(begin, "/?#");
    const char *at = memrchr(begin, '@', length);

    if (at)
        begin = at + 1;
    if (*begin == '[')
        return xstrndup(begin, strcspn(begin, "]") + 1);
    return xstrndup(begin, strcspn(begin, ":/?#"));
}

static bool is_this_machine(const char *host)
{
    static const char loopback[] = "127.0.0.0/8";
    struct sockaddr_storage address;
    struct address_range range;
    struct err err = {0};

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (!address_parse(host, &address) || address_range_parse(loopback, &range, &err) < 0)
        return false;
    if (address_in_range((struct sockaddr *)&address, &range))
        return true;
    return address_range_parse("::1", &range, &err) == 0
           && address_in_range((struct sockaddr *)&address, &range);
}

int target_check_transport(const char *server, bool insecure_http, struct err *err)
{
    scoped_str host = host_of(server);

    if (strncasecmp(server, "https://", 8) == 0 || insecure_http || is_this_machine(host))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s is another machine, and over plain http anyone on the way reads the "
                   "token: use https, or --insecure-http where you know the network",
                   host);
}

static int set_server(struct target *target, const char *url, struct err *err)
{
    scoped_str shown = NULL;
    size_t length = strlen(url);

    if (url_check(url, &shown, err) < 0)
        return err_wrap(err, "the server's address");
    if (strpbrk(url, "?#@"))
        return err_set(err, ERR_INVALID,
                       "the server's address: no user, query or fragment, please");
    while (url[length - 1] == '/')
        length--;
    target->server = xstrndup(url, length);
    return 0;
}

/* --- Tokens ------------------------------------------------------------------------------- */

struct secret *target_token(const char *what, const char *text, size_t size, struct err *err)
{
    struct secret *token;
    char *copy;

    while (size && strchr(" \t\r\n", text[size - 1]))
        size--;
    while (size && strchr(" \t\r\n", *text)) {
        text++;
        size--;
    }
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~') {
            (void)err_set(err, ERR_INVALID, "%s is no token: expected one word", what);
            return NULL;
        }
    if (!size) {
        (void)err_set(err, ERR_INVALID, "%s is empty", what);
        return NULL;
    }
    copy = xstrndup(text, size);
    token = secret_new(copy);
    secret_wipe(copy, size);
    free(copy);
    return token;
}

static struct secret *token_from_file(const char *path, struct err *err)
{
    scoped_buf text = {0};
    struct secret *token;

    if (buf_read_file(&text, path, TARGET_TOKEN_MAX_BYTES, err) < 0) {
        err->kind = ERR_INVALID; /* whatever it is, it is how we were called */
        return NULL;
    }
    token = target_token(path, text.data ? text.data : "", text.size, err);
    if (text.data)
        secret_wipe(text.data, text.size);
    return token;
}

static int set_token_file(struct target *target, const char *path, struct err *err)
{
    target->token = token_from_file(path, err);
    return target->token ? 0 : -1;
}

static int set_token(struct target *target, const char *what, const char *text, struct err *err)
{
    target->token = target_token(what, text, strlen(text), err);
    return target->token ? 0 : -1;
}

/* --- All of it ---------------------------------------------------------------------------- */

/* The context that counts: named, or the current one, or the kubeconfig's. Empty when none. */
static int find_context(const struct invocation *call, const struct contexts *contexts,
                        const char *kube_context, struct context *out, struct err *err)
{
    const char *named = call->as_plugin ? NULL : call->options.context;
    const char *name = named ? named : from_environment("DISPATCH_CONTEXT");

    *out = (struct context){0};
    if (kube_context) {
        (void)contexts_for_kube(contexts, kube_context, out);
        return 0;
    }
    /* An address of its own has no part in any context that wasn't asked for. */
    if (!named && (call->options.server || from_environment("DISPATCH_SERVER")))
        return 0;
    if (!name)
        name = contexts_current(contexts);
    if (!name)
        return 0;
    if (named && call->options.server)
        return err_set(err, ERR_INVALID, "--server or --context, not both");
    if (contexts_get(contexts, name, out, err) < 0)
        return -1;
    if (!out->server)
        return err_set(err, ERR_INVALID, "context %s has no server: it is for kubectl-dispatch",
                       name);
    return 0;
}

static int find_token(const struct invocation *call, const struct context *context,
                      struct target *out, struct err *err)
{
    bool named = call->options.context && !call->as_plugin;
    const char *environment = from_environment("DISPATCH_TOKEN");

    if (call->options.token_file)
        return set_token_file(out, call->options.token_file, err);
    if (environment && !(named && (context->token || context->token_file)))
        return set_token(out, "$DISPATCH_TOKEN", environment, err);
    if (context->token_file)
        return set_token_file(out, context->token_file, err);
    return context->token ? set_token(out, "the context's token", context->token, err) : 0;
}

static int find_server(const struct invocation *call, const struct context *context,
                       struct target *out, struct err *err)
{
    const char *url = call->options.server                  ? call->options.server
                      : context->server                     ? context->server
                      : from_environment("DISPATCH_SERVER") ? getenv("DISPATCH_SERVER")
                                                            : TARGET_SERVER_USUAL;

    if (set_server(out, url, err) < 0)
        return -1;
    return out->token ? target_check_transport(out->server, call->options.insecure_http, err)
                      : 0;
}

int target_find(const struct invocation *call, const char *kube_context, struct target *out,
                struct err *err)
{
    const char *github = from_environment("GITHUB_SERVER_URL");
    scoped_str path = contexts_path(call->options.config);
    scoped(contexts) contexts = contexts_read(path, call->options.config, err);
    struct context context;
    scoped_target found = {0};

    if (!contexts || find_context(call, contexts, kube_context, &context, err) < 0
        || find_token(call, &context, &found, err) < 0
        || (!kube_context && find_server(call, &context, &found, err) < 0))
        return -1;
    found.ca_file = xstrdup(context.ca_file);
    found.github_url = xstrdup(context.github_url ? context.github_url
                               : github           ? github
                                                  : "https://github.com");
    *out = found;
    found = (struct target){0};
    return 0;
}
