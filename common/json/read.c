/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "json/keys.h"

/* A complaint about one member, its key made fit to be shown. */
static int complain(const char *path, const char *key, const char *what, struct err *err)
{
    char shown[JSON_SHOWN_SIZE];
    char field[sizeof(err->field)];
    bool nested = path && *path;

    json_show_key(key, shown);
    (void)snprintf(field, sizeof(field), "%s%s%s", nested ? path : "", nested ? "." : "",
                   shown);
    return err_set_field(err, field, "%s", what);
}

static const struct jfield *field_named(const struct jfield *fields, size_t n_fields,
                                        const char *key)
{
    for (size_t i = 0; i < n_fields; i++)
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

/* What is wrong with a value that isn't null; NULL when it fits. */
static const char *fault_in(const cJSON *value, enum jtype type)
{
    int64_t whole = 0;

    switch (type) {
    case JTYPE_TEXT:
    case JTYPE_TEXT_COPY:
        return cJSON_IsString(value) ? NULL : "expected a string";
    case JTYPE_INT:
        return json_whole(value, &whole) ? NULL : "expected a whole number";
    case JTYPE_INT32:
        if (!json_whole(value, &whole))
            return "expected a whole number";
        return whole >= INT_MIN && whole <= INT_MAX ? NULL : "number out of range";
    case JTYPE_BOOL:
        return cJSON_IsBool(value) ? NULL : "expected true or false";
    case JTYPE_NUMBER:
        return cJSON_IsNumber(value) ? NULL : "expected a number";
    case JTYPE_VALUE:
        break;
    }
    return NULL;
}

static int check_members(const cJSON *object, const struct jfield *fields, size_t n_fields,
                         bool only_known, const char *path, struct err *err)
{
    const cJSON *value;

    cJSON_ArrayForEach(value, object)
    {
        const struct jfield *field = field_named(fields, n_fields, value->string);
        const char *fault = NULL;

        if (!field && only_known)
            return complain(path, value->string, "unknown field", err);
        if (field && !cJSON_IsNull(value))
            fault = fault_in(value, field->type);
        if (fault)
            return complain(path, field->key, fault, err);
    }
    return 0;
}

static int check_required(const cJSON *object, const struct jfield *fields, size_t n_fields,
                          const char *path, struct err *err)
{
    for (size_t i = 0; i < n_fields; i++) {
        const cJSON *value;

        if (fields[i].need != J_REQUIRED)
            continue;
        value = json_get(object, fields[i].key);
        if (!value || cJSON_IsNull(value))
            return complain(path, fields[i].key, "required", err);
    }
    return 0;
}

/* The value went through fault_in. */
static void store(const cJSON *value, enum jtype type, void *at)
{
    int64_t whole = 0;

    switch (type) {
    case JTYPE_TEXT:
        *(const char **)at = value->valuestring;
        break;
    case JTYPE_TEXT_COPY:
        free(*(char **)at);
        *(char **)at = xstrdup(value->valuestring);
        break;
    case JTYPE_INT:
        (void)json_whole(value, (int64_t *)at);
        break;
    case JTYPE_INT32:
        (void)json_whole(value, &whole);
        *(int *)at = (int)whole;
        break;
    case JTYPE_BOOL:
        *(bool *)at = cJSON_IsTrue(value);
        break;
    case JTYPE_NUMBER:
        *(double *)at = value->valuedouble;
        break;
    case JTYPE_VALUE:
        *(const cJSON **)at = value;
        break;
    }
}

/* Everything is checked before anything is stored, so a refusal leaves `out` untouched. */
int json_read_fields(const cJSON *object, const struct jfield *fields, size_t n_fields,
                     bool only_known, const char *path, void *out, struct err *err)
{
    const cJSON *value;

    if (!cJSON_IsObject(object))
        return path && *path ? err_set_field(err, path, "expected an object")
                             : err_set(err, ERR_INVALID, "expected an object");
    if (check_members(object, fields, n_fields, only_known, path, err) < 0
        || check_required(object, fields, n_fields, path, err) < 0)
        return -1;
    cJSON_ArrayForEach(value, object)
    {
        const struct jfield *field = field_named(fields, n_fields, value->string);

        if (field && !cJSON_IsNull(value))
            store(value, field->type, (char *)out + field->offset);
    }
    return 0;
}
