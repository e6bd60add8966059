/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

/* --- Building ------------------------------------------------------------------------- */

cJSON *json_object(const struct jpair *pairs, size_t n_pairs)
{
    cJSON *object = cJSON_CreateObject();

    for (size_t i = 0; i < n_pairs; i++)
        if (pairs[i].value)
            (void)cJSON_AddItemToObject(object, pairs[i].key, pairs[i].value);
    return object;
}

cJSON *json_array(cJSON *const *values, size_t n_values)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < n_values; i++)
        if (values[i])
            (void)cJSON_AddItemToArray(array, values[i]);
    return array;
}

/* The text with U+FFFD in place of each byte that isn't UTF-8. */
static char *repaired(const char *text, size_t size)
{
    scoped_buf out = {0};

    while (size) {
        size_t length = utf8_first(text, size);

        if (length)
            buf_append(&out, text, length);
        else
            buf_append_str(&out, UTF8_REPLACEMENT);
        text += length ? length : 1;
        size -= length ? length : 1;
    }
    return buf_take(&out);
}

cJSON *jstr(const char *text)
{
    scoped_str good = NULL;

    if (!text)
        return NULL;
    if (json_utf8_valid(text, strlen(text)))
        return cJSON_CreateString(text);
    good = repaired(text, strlen(text));
    return cJSON_CreateString(good);
}

cJSON *jint(int64_t number)
{
    return cJSON_CreateNumber((double)number);
}

cJSON *jbool(bool value)
{
    return cJSON_CreateBool(value);
}

cJSON *jtrue(bool value)
{
    return value ? cJSON_CreateTrue() : NULL;
}

cJSON *jtime(int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];

    if (wall_ms <= 0)
        return NULL;
    clock_text(wall_ms, text);
    return cJSON_CreateString(text);
}

cJSON *jnumber(double number)
{
    return cJSON_CreateNumber(number);
}

/* --- Printing ------------------------------------------------------------------------- */

static void put_value(struct buf *out, const cJSON *value);

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

static void put_escape(struct buf *out, unsigned char c)
{
    const char *known = short_escape(c);

    if (known)
        buf_append(out, known, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

static void put_string(struct buf *out, const char *text)
{
    const char *plain = text; /* start of what needs no escape and isn't copied yet */

    buf_append(out, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(out, plain, (size_t)(text - plain));
        put_escape(out, c);
        plain = text + 1;
    }
    buf_append(out, plain, (size_t)(text - plain));
    buf_append(out, "\"", 1);
}

/* cJSON's own printing takes 9007199254740991 and ...990 for the same number; here whole
 * numbers come out to the last digit, and others in the shortest form that reads back. */
static void put_number(struct buf *out, const cJSON *value)
{
    double number = value->valuedouble;
    char text[32];
    int64_t whole;
    int length;

    if (!isfinite(number)) {
        buf_append_str(out, "null");
        return;
    }
    if (json_whole(value, &whole)) {
        length = snprintf(text, sizeof(text), "%lld", (long long)whole);
    } else {
        length = snprintf(text, sizeof(text), "%.15g", number);
        if (strtod(text, NULL) != number)
            length = snprintf(text, sizeof(text), "%.17g", number);
    }
    buf_append(out, text, (size_t)length);
}

static void put_members(struct buf *out, const cJSON *container, bool keys)
{
    for (const cJSON *value = container->child; value; value = value->next) {
        if (keys) {
            put_string(out, value->string);
            buf_append(out, ":", 1);
        }
        put_value(out, value);
        if (value->next)
            buf_append(out, ",", 1);
    }
}

/* Recursive as cJSON_Delete is: what we build is as deep as our code nests it, and what was
 * parsed is no deeper than JSON_DEPTH_MAX. */
static void put_value(struct buf *out, const cJSON *value)
{
    switch (value->type & 0xff) {
    case cJSON_Object:
        buf_append(out, "{", 1);
        put_members(out, value, true);
        buf_append(out, "}", 1);
        break;
    case cJSON_Array:
        buf_append(out, "[", 1);
        put_members(out, value, false);
        buf_append(out, "]", 1);
        break;
    case cJSON_String:
        put_string(out, value->valuestring);
        break;
    case cJSON_Number:
        put_number(out, value);
        break;
    case cJSON_Raw:
        buf_append_str(out, value->valuestring);
        break;
    case cJSON_True:
        buf_append(out, "true", 4);
        break;
    case cJSON_False:
        buf_append(out, "false", 5);
        break;
    default:
        buf_append(out, "null", 4);
    }
}

char *json_text(const cJSON *value)
{
    scoped_buf out = {0};

    if (value)
        put_value(&out, value);
    else
        buf_append_str(&out, "null");
    return buf_take(&out);
}
