/* SPDX-License-Identifier: Apache-2.0 */
#include "api/options.h"

#include <string.h>

static cJSON *copy_unless_empty(const cJSON *list)
{
    return cJSON_GetArraySize(list) ? cJSON_Duplicate(list, true) : NULL;
}

int options_write(const struct options *options, char **out, struct err *err)
{
    scoped_json document =
        jobj({"auto_create_pr", options->auto_create_pr ? NULL : jbool(false)},
             {"blank_workspace", jtrue(options->blank_workspace)},
             {"tools", copy_unless_empty(options->tools)},
             {"agents", copy_unless_empty(options->agents)});
    scoped_str text = document->child ? json_text(document) : NULL;

    if (text && strlen(text) > OPTIONS_MAX_BYTES)
        return err_set_field(err, "tools", "tools and agents together are longer than %d bytes",
                             OPTIONS_MAX_BYTES);
    *out = TAKE(text);
    return 0;
}

int options_read(const char *text, struct options *out, cJSON **out_document, struct err *err)
{
    cJSON *document;

    *out = OPTIONS_DEFAULTS;
    *out_document = NULL;
    if (!text)
        return 0;
    document = json_parse(text, strlen(text), err);
    if (!document) {
        err->kind = ERR_INTERNAL; /* we wrote it */
        return err_wrap(err, "the options of a run");
    }
    out->auto_create_pr = json_get_bool(document, "auto_create_pr", true);
    out->blank_workspace = json_get_bool(document, "blank_workspace", false);
    out->tools = json_get(document, "tools");
    out->agents = json_get(document, "agents");
    *out_document = document;
    return 0;
}

bool options_have_headers(const struct options *options)
{
    const cJSON *tool;

    cJSON_ArrayForEach(tool, options->tools)
    {
        if (json_get_bool(json_get(tool, "endpoint"), "has_headers", false))
            return true;
    }
    return false;
}
