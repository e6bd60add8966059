/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/yaml_text.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "dispatchctl/clean.h"

/* Words that some reader of YAML takes for something else than text. */
static const char *const taken[] = {"true", "false", "null", "yes",  "no",   "on",
                                    "off",  "y",     "n",    ".nan", ".inf", "-.inf"};

/* Needs no quotes: begins with a letter or a slash, has nothing in it that YAML looks for, and
 * is no word of YAML's own. */
static bool is_plain(const char *text)
{
    size_t length = strlen(text);

    if (!isalpha((unsigned char)text[0]) && text[0] != '/')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(" _./-+@,()", text[i]))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (strcasecmp(text, taken[i]) == 0)
            return false;
    return text[length - 1] != ' ';
}

/* A JSON string is a double-quoted scalar of YAML 1.2. */
static void put_string(struct buf *out, const char *text)
{
    scoped_json value = NULL;
    scoped_str quoted = NULL;
    scoped_str cleaned = NULL;

    if (is_plain(text)) {
        buf_append_str(out, text);
        return;
    }
    value = jstr(text);
    quoted = json_text(value);
    cleaned = clean_json(quoted);
    buf_append_str(out, cleaned);
}

static bool has_members(const cJSON *value)
{
    return (cJSON_IsObject(value) || cJSON_IsArray(value)) && value->child;
}

static void put_scalar(struct buf *out, const cJSON *value)
{
    scoped_str text = NULL;

    if (cJSON_IsString(value)) {
        put_string(out, value->valuestring);
        return;
    }
    text = json_text(value); /* numbers, true, null, {}, [] are the same in YAML */
    buf_append_str(out, text);
}

static void put_indent(struct buf *out, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_append_str(out, "  ");
}

/* The members of an object or array; `at_line_start`: the first one still needs its indent.
 * Depth is bounded by JSON_DEPTH_MAX. */
static void put_members(struct buf *out, const cJSON *value, int depth, bool at_line_start)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, value)
    {
        if (at_line_start)
            put_indent(out, depth);
        at_line_start = true;
        if (cJSON_IsArray(value)) {
            buf_append_str(out, "- ");
        } else {
            put_string(out, member->string);
            buf_append_str(out, has_members(member) ? ":\n" : ": ");
        }
        if (has_members(member)) {
            put_members(out, member, depth + 1, !cJSON_IsArray(value));
        } else {
            put_scalar(out, member);
            buf_append_str(out, "\n");
        }
    }
}

char *yaml_text(const cJSON *value)
{
    scoped_buf out = {0};

    if (has_members(value)) {
        put_members(&out, value, 0, true);
    } else {
        put_scalar(&out, value);
        buf_append_str(&out, "\n");
    }
    return buf_take(&out);
}
