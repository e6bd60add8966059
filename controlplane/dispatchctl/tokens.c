/* SPDX-License-Identifier: Apache-2.0 */
/* token create, list and revoke. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/limit.h"
#include "dispatchctl/output.h"
#include "dispatchctl/run_view.h"
#include "model/run.h"

#define INTEGRATION_PATH "/api/tokens/integration"
#define PERSONAL_PATH "/api/tokens/personal"

static const char *path_of(const struct options *options)
{
    return options->personal ? PERSONAL_PATH : INTEGRATION_PATH;
}

static int check_kind(const struct options *options, struct err *err)
{
    if (options->personal && options->integration)
        return err_set(err, ERR_INVALID, "--personal or --integration, not both");
    return 0;
}

/* --- Making ------------------------------------------------------------------------------- */

static cJSON *expiry(const struct options *options)
{
    return options->expires_ms ? jtime(clock_wall_ms() + options->expires_ms) : NULL;
}

/* "read,dispatch" as an array; the server knows which there are. */
static cJSON *scopes_of(const char *text)
{
    cJSON *scopes = cJSON_CreateArray();

    while (*text) {
        size_t size = strcspn(text, ",");
        scoped_str scope = xstrndup(text, size);

        cJSON_AddItemToArray(scopes, jstr(scope));
        text += size + (text[size] == ',');
    }
    return scopes;
}

static cJSON *personal_wish(const struct options *o, struct err *err)
{
    if (o->repo || o->installation_id || o->rate || o->priority) {
        (void)err_set(err, ERR_INVALID,
                      "--repo, --installation-id, --rate and --priority are of integration "
                      "tokens");
        return NULL;
    }
    if (!o->user) {
        (void)err_set(err, ERR_INVALID, "a personal token needs a --user NAME");
        return NULL;
    }
    return jobj({"user", jstr(o->user)}, {"email", jstr(o->email)}, {"name", jstr(o->name)},
                {"scopes", o->scope ? scopes_of(o->scope) : NULL}, {"expires_at", expiry(o)});
}

/* A number that may be there: 0 for none. ERR_INVALID. */
static int optional(const char *flag, const char *text, int64_t most, cJSON **out,
                    struct err *err)
{
    int64_t number;

    *out = NULL;
    if (!text)
        return 0;
    if (limit_number(flag, text, strcmp(flag, "priority") == 0 ? 0 : 1, most, &number, err) < 0)
        return -1;
    *out = jint(number);
    return 0;
}

static cJSON *integration_wish(const struct options *o, struct err *err)
{
    scoped_json installation = NULL;
    scoped_json rate = NULL;
    scoped_json priority = NULL;

    if (!o->repo || o->scope || o->user || o->email) {
        (void)err_set(err, ERR_INVALID, "%s",
                      o->repo
                          ? "--scope, --user and --email are of personal tokens"
                          : "an integration token needs a --repo OWNER/NAME; or --personal");
        return NULL;
    }
    if (optional("installation-id", o->installation_id, INT64_C(9007199254740991),
                 &installation, err)
            < 0
        || optional("rate", o->rate, INT32_MAX, &rate, err) < 0
        || optional("priority", o->priority, RUN_PRIORITY_MAX, &priority, err) < 0)
        return NULL;
    return jobj({"repo", jstr(o->repo)}, {"name", jstr(o->name)},
                {"installation_id", TAKE(installation)}, {"rate_per_minute", TAKE(rate)},
                {"priority", TAKE(priority)}, {"expires_at", expiry(o)});
}

int command_token_create(const struct invocation *call)
{
    struct err err = {0};
    const struct options *options = &call->options;
    scoped_json wish =
        options->personal ? personal_wish(options, &err) : integration_wish(options, &err);
    const struct client_request request = {
        .method = "POST", .path = path_of(options), .body = wish};
    scoped_json answer = NULL;

    if (!wish)
        return output_fail(&err);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    if (!client || client_call(client, &request, &answer, &err) < 0)
        return output_fail(&err);
    if (output_document(call, answer, "token"))
        return output_end(EXIT_DONE);
    output_remark(call, "This is shown once:");
    printf("%s\n", json_get_str(answer, "token") ? json_get_str(answer, "token") : "");
    return output_end(EXIT_DONE);
}

/* --- Looking ------------------------------------------------------------------------------ */

static const char *const headings[] = {"ID",        "PREFIX",  "REPOSITORY", "AGE", "EXPIRES",
                                       "LAST USED", "REVOKED", "NAME",       NULL};
static const char *const personal_headings[] = {
    "ID", "PREFIX", "USER", "AGE", "EXPIRES", "LAST USED", "REVOKED", "SCOPES", NULL};

static char *scopes_text(const cJSON *token)
{
    scoped_buf text = {0};
    const cJSON *scope;

    cJSON_ArrayForEach(scope, json_get(token, "scopes"))
    {
        if (cJSON_IsString(scope))
            buf_printf(&text, "%s%s", text.size ? "," : "", scope->valuestring);
    }
    return buf_take(&text);
}

/* Ids are numbers or texts. */
static char *id_of(const cJSON *token)
{
    const cJSON *id = json_get(token, "id");

    return cJSON_IsNumber(id) ? xasprintf("%lld", (long long)json_get_int(token, "id", 0))
                              : xstrdup(json_get_str(token, "id"));
}

static void print_tokens(const struct invocation *call, const cJSON *page)
{
    bool personal = call->options.personal;
    scoped(table) table = table_new(personal ? personal_headings : headings, false);
    const cJSON *token;

    cJSON_ArrayForEach(token, json_get(page, "tokens"))
    {
        scoped_str id = id_of(token);
        scoped_str scopes = scopes_text(token);
        char age[AGE_SIZE];
        char used[AGE_SIZE];
        const char *cells[] = {id,
                               json_get_str(token, "display_prefix"),
                               json_get_str(token, personal ? "user" : "repo"),
                               age,
                               json_get_str(token, "expires_at"),
                               used,
                               json_get_str(token, "revoked_at"),
                               personal ? scopes : json_get_str(token, "name")};

        output_age(json_get_str(token, "created_at"), age);
        output_age(json_get_str(token, "last_used_at"), used);
        table_add(table, cells);
    }
    table_print(table, stdout);
}

int command_token_list(const struct invocation *call)
{
    struct err err = {0};

    if (check_kind(&call->options, &err) < 0)
        return output_fail(&err);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json page = client ? client_get(client, path_of(&call->options), &err) : NULL;
    if (!page)
        return output_fail(&err);
    if (!output_list(call, page, "tokens", "id"))
        print_tokens(call, page);
    return output_end(EXIT_DONE);
}

int command_token_revoke(const struct invocation *call)
{
    struct err err = {0};

    if (check_kind(&call->options, &err) < 0)
        return output_fail(&err);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_str folder = xasprintf("%s/", path_of(&call->options));
    scoped_str path = run_view_path(folder, call->words[0], "");
    const struct client_request request = {
        .method = "DELETE", .path = path, .repeatable = true};
    scoped_json answer = NULL;

    if (!client || client_call(client, &request, &answer, &err) < 0)
        return output_fail(&err);
    if (!output_document(call, answer, "revoked"))
        printf("%s is revoked\n", call->words[0]);
    return output_end(EXIT_DONE);
}
