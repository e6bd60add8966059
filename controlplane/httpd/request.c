/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/request.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "httpd/server.h"
#include "httpd/stream.h"
#include "httpd/strict.h"

/* Buffers larger than this aren't kept for the connection's next request. */
#define KEEP_BYTES 16384

/* --- Life --------------------------------------------------------------------------------- */

void request_begin(struct request *req, const char *uri)
{
    req->stage = STAGE_LINE;
    req->uri = uri;
    req->uri_length = strlen(uri);
    req->uri_is_clean = strict_target_is_clean(uri);
    req->started_ms = req->httpd->now_ms;
}

static void free_extra(struct request *req)
{
    while (req->extra) {
        struct extra_header *extra = req->extra;

        req->extra = extra->next;
        free(extra->name);
        free(extra->value);
        free(extra);
    }
}

void request_end(struct request *req)
{
    if (req->principal && req->httpd->options.principal_free)
        req->httpd->options.principal_free(req->principal);
    stream_end(req);
    if (req->response)
        MHD_destroy_response(req->response);
    cJSON_Delete(req->body_json);
    free(req->text);
    free_extra(req);
    if (req->body.room > KEEP_BYTES)
        buf_done(&req->body);
    buf_clear(&req->body);
    if (req->decoded_room > KEEP_BYTES) {
        free(TAKE(req->decoded));
        req->decoded_room = 0;
    }
    *req = (struct request){
        .httpd = req->httpd,
        .connection = req->connection,
        .mhd = req->mhd,
        .body = req->body,
        .decoded = req->decoded,
        .decoded_room = req->decoded_room,
    };
}

void request_done(struct request *req)
{
    request_end(req);
    buf_done(&req->body);
    free(TAKE(req->decoded));
}

/* --- Questions ---------------------------------------------------------------------------- */

const char *request_id(const struct request *req)
{
    return req->id;
}

const char *request_peer(const struct request *req)
{
    return req->connection->peer;
}

enum http_method request_method(const struct request *req)
{
    return req->route->method;
}

const char *request_path(const struct request *req)
{
    return req->path;
}

static const char *find(const struct pair *pairs, size_t n_pairs, const char *name)
{
    for (size_t i = 0; i < n_pairs; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

const char *request_param(const struct request *req, const char *name)
{
    const char *value = find(req->params, req->n_params, name);

    return value ? value : "";
}

const char *request_query(const struct request *req, const char *name)
{
    return find(req->query, req->n_query, name);
}

static bool is_among(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

int request_query_only(const struct request *req, const char *const *known, struct err *err)
{
    for (size_t i = 0; i < req->n_query; i++) {
        const char *name = req->query[i].name;

        if (!is_among(known, name))
            return err_set_field(err, name, "not a parameter of this query");
        if (find(req->query, i, name))
            return err_set_field(err, name, "given twice");
    }
    return 0;
}

const char *request_header(const struct request *req, const char *name)
{
    return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

struct values {
    const char *name;
    struct buf text;
};

static enum MHD_Result append_value(void *ctx, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct values *values = ctx;

    (void)kind;
    if (strcasecmp(name, values->name) == 0 && value)
        buf_printf(&values->text, "%s%s", values->text.size ? ", " : "", value);
    return MHD_YES;
}

char *request_header_all(const struct request *req, const char *name)
{
    struct values values = {.name = name};

    if (!request_header(req, name))
        return NULL;
    (void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, append_value, &values);
    return buf_take(&values.text);
}

const char *request_bearer(const struct request *req)
{
    static const char scheme[] = "Bearer ";
    const char *value = req->head.authorization;

    if (!value || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    value += strspn(value + sizeof(scheme) - 1, " ") + sizeof(scheme) - 1;
    return *value && !strpbrk(value, " \t") ? value : NULL;
}

const cJSON *request_body(const struct request *req)
{
    return req->body_json;
}

const char *request_body_text(const struct request *req, size_t *out_size)
{
    *out_size = req->body.size;
    return req->body.data ? req->body.data : "";
}

void *request_principal(const struct request *req)
{
    return req->principal;
}

const char *request_extra_header(const struct request *req, const char *name)
{
    for (const struct extra_header *extra = req->extra; extra; extra = extra->next)
        if (strcasecmp(extra->name, name) == 0)
            return extra->value;
    return NULL;
}

/* --- Actions ------------------------------------------------------------------------------ */

void request_set_principal(struct request *req, void *principal)
{
    if (req->principal && req->httpd->options.principal_free)
        req->httpd->options.principal_free(req->principal);
    req->principal = principal;
}

void request_set_text(struct request *req, const char *content_type, char *text, size_t size)
{
    free(req->text);
    req->text_type = content_type;
    req->text = text;
    req->text_size = size;
}

void request_set_header(struct request *req, const char *name, const char *value)
{
    struct extra_header *extra = xcalloc(1, sizeof(*extra));

    extra->name = xstrdup(name);
    extra->value = xstrdup(value);
    extra->next = req->extra;
    req->extra = extra;
}
