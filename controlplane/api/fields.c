/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fields.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "model/run.h"

int field_text(const char *field, const char *text, size_t max_bytes, struct err *err)
{
    if (!text[strspn(text, " \t\r\n\f\v")])
        return err_set_field(err, field, "expected some text");
    if (strnlen(text, max_bytes + 1) > max_bytes)
        return err_set_field(err, field, "longer than %zu bytes", max_bytes);
    return 0;
}

int field_line(const char *field, const char *text, size_t max_bytes, struct err *err)
{
    if (!text)
        return 0;
    if (field_text(field, text, max_bytes, err) < 0)
        return -1;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set_field(err, field, "expected one line without control characters");
    return 0;
}

int field_word(const char *field, const char *text, const char *const *words, struct err *err)
{
    scoped_buf known = {0};

    if (!text)
        return 0;
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return 0;
        buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    }
    return err_set_field(err, field, "expected one of %s", known.data);
}

int field_priority(const cJSON *body, int priority, struct err *err)
{
    const cJSON *given = json_get(body, "priority");

    if (!given || cJSON_IsNull(given)
        || (priority >= RUN_PRIORITY_MIN && priority <= RUN_PRIORITY_MAX))
        return 0;
    return err_set_field(err, "priority", "expected a whole number from %d to %d",
                         RUN_PRIORITY_MIN, RUN_PRIORITY_MAX);
}

int field_array(const char *field, const cJSON *list, int most, struct err *err)
{
    if (list && !cJSON_IsArray(list))
        return err_set_field(err, field, "expected an array");
    if (cJSON_GetArraySize(list) > most)
        return err_set_field(err, field, "more than %d", most);
    return 0;
}

int field_name(const char *field, const char *name, const cJSON *others, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_-";
    size_t length = strlen(name);
    const cJSON *other;

    if (!length || length > FIELD_NAME_MAX || strspn(name, allowed) != length)
        return err_set_field(err, field, "expected 1 to %d letters, digits, _ and -",
                             FIELD_NAME_MAX);
    cJSON_ArrayForEach(other, others)
    {
        if (strcasecmp(json_get_str(other, "name"), name) == 0)
            return err_set_field(err, field, "this name is here twice");
    }
    return 0;
}

void field_path(char out[FIELD_PATH_SIZE], const char *path, const char *member)
{
    (void)snprintf(out, FIELD_PATH_SIZE, "%s.%s", path, member);
}
