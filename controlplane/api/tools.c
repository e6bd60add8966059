/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tools.h"

#include <string.h>
#include <strings.h>

#include "api/fields.h"
#include "base/alloc.h"
#include "net/header.h"

/* --- Parameters --------------------------------------------------------------------------- */

static int check_properties(const char *path, const cJSON *properties, struct err *err)
{
    char field[FIELD_PATH_SIZE];
    const cJSON *property;

    field_path(field, path, "properties");
    if (!properties || cJSON_IsNull(properties))
        return err_set_field(err, field, "required");
    if (!cJSON_IsObject(properties))
        return err_set_field(err, field, "expected an object");
    if (cJSON_GetArraySize(properties) > TOOL_PROPERTIES_MAX)
        return err_set_field(err, field, "more than %d", TOOL_PROPERTIES_MAX);
    cJSON_ArrayForEach(property, properties)
    {
        if (!cJSON_IsObject(property))
            return err_set_field(err, field, "expected a JSON Schema for each");
    }
    return 0;
}

static int check_required(const char *path, const cJSON *required, struct err *err)
{
    char field[FIELD_PATH_SIZE];
    const cJSON *name;

    field_path(field, path, "required");
    if (field_array(field, required, TOOL_PROPERTIES_MAX, err) < 0)
        return -1;
    cJSON_ArrayForEach(name, required)
    {
        if (!cJSON_IsString(name))
            return err_set_field(err, field, "expected an array of strings");
    }
    return 0;
}

static int check_parameters(const char *tool, const cJSON *parameters, struct err *err)
{
    const cJSON *type = json_get(parameters, "type");
    const char *type_name = json_get_str(parameters, "type");
    scoped_str text = json_text(parameters);
    char path[FIELD_PATH_SIZE];

    field_path(path, tool, "parameters");
    if (!cJSON_IsObject(parameters))
        return err_set_field(err, path, "expected an object");
    if (strlen(text) > TOOL_PARAMETERS_MAX_BYTES)
        return err_set_field(err, path, "longer than %d bytes", TOOL_PARAMETERS_MAX_BYTES);
    if (type && (!type_name || strcmp(type_name, "object") != 0))
        return err_set_field(err, path, "the type of the whole is object");
    return check_properties(path, json_get(parameters, "properties"), err) < 0
                   || check_required(path, json_get(parameters, "required"), err) < 0
               ? -1
               : 0;
}

/* --- Headers ------------------------------------------------------------------------------ */

static bool is_header_name(const char *text)
{
    return strnlen(text, TOOL_HEADER_NAME_MAX + 1) <= TOOL_HEADER_NAME_MAX
           && header_name_valid(text);
}

static bool is_header_value(const char *text)
{
    size_t length = strlen(text);

    for (const char *c = text; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || (unsigned char)*c >= 0x7f)
            return false;
    return length && length <= TOOL_HEADER_VALUE_MAX_BYTES && !strchr(" \t", text[0])
           && !strchr(" \t", text[length - 1]);
}

/* A complaint never repeats what was given: a value may have slipped into a name's place. */
static int check_header(const char *field, const cJSON *header, struct err *err)
{
    if (!is_header_name(header->string))
        return err_set_field(err, field, "expected names of HTTP headers");
    if (header_is_the_senders(header->string))
        return err_set_field(err, field, "%s is the sender's", header->string);
    if (!cJSON_IsString(header))
        return err_set_field(err, field, "expected strings");
    if (!is_header_value(header->valuestring))
        return err_set_field(err, field, "expected values of 1 to %d visible characters",
                             TOOL_HEADER_VALUE_MAX_BYTES);
    for (const cJSON *other = header->next; other; other = other->next)
        if (strcasecmp(other->string, header->string) == 0)
            return err_set_field(err, field, "a name is here twice");
    return 0;
}

static int check_headers(const char *field, const cJSON *headers, struct err *err)
{
    const cJSON *header;

    if (!headers)
        return 0;
    if (!cJSON_IsObject(headers))
        return err_set_field(err, field, "expected an object");
    if (cJSON_GetArraySize(headers) > TOOL_HEADERS_MAX)
        return err_set_field(err, field, "more than %d", TOOL_HEADERS_MAX);
    cJSON_ArrayForEach(header, headers)
    {
        if (check_header(field, header, err) < 0)
            return -1;
    }
    return 0;
}

/* --- Endpoints ---------------------------------------------------------------------------- */

struct endpoint_body {
    const char *url;
    const char *method;
    const cJSON *headers;
};

static const struct jfield endpoint_fields[] = {
    JFIELD(struct endpoint_body, url, J_REQUIRED),
    JFIELD(struct endpoint_body, method, J_REQUIRED),
    JFIELD(struct endpoint_body, headers, J_OPTIONAL),
};

int public_url_check(const char *field, const char *url, const struct config_ranges *allowed,
                     struct err *err)
{
    struct err why = {0};

    if (strnlen(url, TOOL_URL_MAX_BYTES + 1) > TOOL_URL_MAX_BYTES)
        return err_set_field(err, field, "longer than %d bytes", TOOL_URL_MAX_BYTES);
    if (address_check_url(url, allowed->all, allowed->count, &why) < 0)
        return err_set_field(err, field, "%s", why.text);
    return 0;
}

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

static int read_endpoint(const char *tool, const cJSON *endpoint,
                         const struct config_ranges *allowed, struct endpoint_body *out,
                         struct err *err)
{
    char path[FIELD_PATH_SIZE];
    char url[FIELD_PATH_SIZE];
    char method[FIELD_PATH_SIZE];
    char headers[FIELD_PATH_SIZE];

    field_path(path, tool, "endpoint");
    field_path(url, path, "url");
    field_path(method, path, "method");
    field_path(headers, path, "headers");
    return json_read_fields(endpoint, endpoint_fields, ARRAY_SIZE(endpoint_fields), true, path,
                            out, err)
                       < 0
                   || public_url_check(url, out->url, allowed, err) < 0
                   || field_word(method, out->method, methods, err) < 0
                   || check_headers(headers, out->headers, err) < 0
               ? -1
               : 0;
}

/* --- Tools -------------------------------------------------------------------------------- */

struct tool_body {
    const char *name;
    const char *description;
    const cJSON *parameters;
    const cJSON *endpoint;
};

static const struct jfield tool_fields[] = {
    JFIELD(struct tool_body, name, J_REQUIRED),
    JFIELD(struct tool_body, description, J_REQUIRED),
    JFIELD(struct tool_body, parameters, J_REQUIRED),
    JFIELD(struct tool_body, endpoint, J_REQUIRED),
};

/* Adds one tool to `tools`, and its headers to `headers`. */
static int add_tool(const cJSON *given, const struct config_ranges *allowed, cJSON *tools,
                    cJSON *headers, struct err *err)
{
    struct tool_body tool = {0};
    struct endpoint_body endpoint = {0};
    bool has_headers;
    char path[32];
    char name[FIELD_PATH_SIZE];
    char description[FIELD_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "tools[%d]", cJSON_GetArraySize(tools));
    field_path(name, path, "name");
    field_path(description, path, "description");
    if (json_read_fields(given, tool_fields, ARRAY_SIZE(tool_fields), true, path, &tool, err)
            < 0
        || field_name(name, tool.name, tools, err) < 0
        || field_text(description, tool.description, TOOL_DESCRIPTION_MAX_BYTES, err) < 0
        || check_parameters(path, tool.parameters, err) < 0
        || read_endpoint(path, tool.endpoint, allowed, &endpoint, err) < 0)
        return -1;
    has_headers = cJSON_GetArraySize(endpoint.headers) > 0;
    cJSON_AddItemToArray(
        tools,
        jobj({"name", jstr(tool.name)}, {"description", jstr(tool.description)},
             {"parameters", cJSON_Duplicate(tool.parameters, true)},
             {"endpoint", jobj({"url", jstr(endpoint.url)}, {"method", jstr(endpoint.method)},
                               {"has_headers", jbool(has_headers)})}));
    if (has_headers)
        (void)cJSON_AddItemToObject(headers, tool.name,
                                    cJSON_Duplicate(endpoint.headers, true));
    return 0;
}

static int check_headers_size(const cJSON *headers, struct err *err)
{
    char *text = json_text(headers);
    size_t size = strlen(text);

    secret_wipe(text, size);
    free(text);
    if (size > TOOL_HEADERS_MAX_BYTES)
        return err_set_field(err, "tools", "their headers are longer than %d bytes",
                             TOOL_HEADERS_MAX_BYTES);
    return 0;
}

int tools_read(const cJSON *list, const struct config_ranges *allowed, cJSON **out_tools,
               cJSON **out_headers, struct err *err)
{
    scoped_json tools = json_array(NULL, 0);
    scoped_json headers = json_object(NULL, 0);
    const cJSON *tool;

    if (field_array("tools", list, TOOLS_MAX, err) < 0)
        return -1;
    cJSON_ArrayForEach(tool, list)
    {
        if (add_tool(tool, allowed, tools, headers, err) < 0)
            return -1;
    }
    if (check_headers_size(headers, err) < 0)
        return -1;
    *out_tools = TAKE(tools);
    *out_headers = headers->child ? TAKE(headers) : NULL;
    return 0;
}
