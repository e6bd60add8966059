/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/schema.h"

#include <stdarg.h>
#include <string.h>

#include "mcp/schema_pattern.h"

/*
 * One check walks schema and value together. A step is one schema applied to one value, or one
 * look at a member. `unsure` is set by whatever isn't judged: an alternative that fits but for
 * that may be the one that was meant, or may not.
 */
struct check {
    char path[sizeof(((struct err *)NULL)->field)];
    int steps;
    bool unsure;
    struct err *err;
};

static bool fits(struct check *check, const cJSON *schema, const cJSON *value);

/* Always false. `path` is empty for the arguments as a whole. */
static bool complain(struct check *check, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool complain(struct check *check, const char *fmt, ...)
{
    char said[256];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(said, sizeof(said), fmt, args);
    va_end(args);
    if (check->err->kind != ERR_TOO_LARGE)
        (void)err_set_field(check->err, check->path[0] ? check->path : "arguments", "%s", said);
    return false;
}

static bool take_steps(struct check *check, int steps)
{
    check->steps += steps;
    if (check->steps <= SCHEMA_STEPS_MAX)
        return true;
    (void)err_set(check->err, ERR_TOO_LARGE,
                  "the arguments are too many to be held against the tool's schema");
    return false;
}

/* --- Where we are ------------------------------------------------------------------------- */

static bool fits_below(struct check *check, const cJSON *schema, const cJSON *value,
                       const char *name, int index)
{
    size_t length = strlen(check->path);
    char *end = check->path + length;
    size_t room = sizeof(check->path) - length;
    bool result;

    if (name)
        (void)snprintf(end, room, "%s%s", length ? "." : "", name);
    else
        (void)snprintf(end, room, "[%d]", index);
    result = fits(check, schema, value);
    *end = '\0';
    return result;
}

/* Without a complaint; *out_unsure says whether it rests on something that isn't judged. */
static bool fits_quietly(struct check *check, const cJSON *schema, const cJSON *value,
                         bool *out_unsure)
{
    struct err ignored = {0};
    struct err *before_err = check->err;
    bool before = check->unsure;
    bool result;

    check->err = &ignored;
    check->unsure = false;
    result = fits(check, schema, value);
    *out_unsure = check->unsure;
    check->unsure = before;
    check->err = before_err;
    if (ignored.kind == ERR_TOO_LARGE)
        *check->err = ignored;
    return result;
}

/* --- Types and values --------------------------------------------------------------------- */

static bool is_integer(const cJSON *value)
{
    int64_t whole;

    return json_whole(value, &whole)
           || (cJSON_IsNumber(value)
               && (value->valuedouble >= JSON_WHOLE_LIMIT
                   || value->valuedouble <= -JSON_WHOLE_LIMIT));
}

static bool has_type(const cJSON *value, const char *type)
{
    return (strcmp(type, "object") == 0 && cJSON_IsObject(value))
           || (strcmp(type, "array") == 0 && cJSON_IsArray(value))
           || (strcmp(type, "string") == 0 && cJSON_IsString(value))
           || (strcmp(type, "number") == 0 && cJSON_IsNumber(value))
           || (strcmp(type, "integer") == 0 && is_integer(value))
           || (strcmp(type, "boolean") == 0 && cJSON_IsBool(value))
           || (strcmp(type, "null") == 0 && cJSON_IsNull(value));
}

static bool fits_type(struct check *check, const cJSON *schema, const cJSON *value)
{
    const cJSON *type = json_get(schema, "type");
    const cJSON *one;

    if (cJSON_IsString(type))
        return has_type(value, type->valuestring)
               || complain(check, "expected %s %.40s",
                           strchr("aeiou", type->valuestring[0]) ? "an" : "a",
                           type->valuestring);
    if (!cJSON_IsArray(type))
        return true;
    cJSON_ArrayForEach(one, type)
    {
        if (cJSON_IsString(one) && has_type(value, one->valuestring))
            return true;
    }
    return complain(check, "expected a value of another type");
}

static bool fits_enum(struct check *check, const cJSON *schema, const cJSON *value)
{
    const cJSON *allowed = json_get(schema, "enum");
    const cJSON *only = json_get(schema, "const");
    const cJSON *one;

    if (only && !cJSON_Compare(only, value, true))
        return complain(check, "isn't the one value that is allowed");
    if (!cJSON_IsArray(allowed))
        return true;
    cJSON_ArrayForEach(one, allowed)
    {
        if (!take_steps(check, 1))
            return false;
        if (cJSON_Compare(one, value, true))
            return true;
    }
    return complain(check, "isn't one of the values that are allowed");
}

/* A keyword's number; false when there is none. */
static bool number_of(const cJSON *schema, const char *keyword, double *out)
{
    const cJSON *value = json_get(schema, keyword);

    if (!cJSON_IsNumber(value))
        return false;
    *out = value->valuedouble;
    return true;
}

static bool fits_range(struct check *check, const cJSON *schema, double number)
{
    double limit;
    /* As a boolean (older drafts) it makes the other one exclusive. */
    bool above = json_get_bool(schema, "exclusiveMinimum", false);
    bool below = json_get_bool(schema, "exclusiveMaximum", false);

    if (number_of(schema, "minimum", &limit) && (above ? number <= limit : number < limit))
        return complain(check, "expected %s %g", above ? "more than" : "at least", limit);
    if (number_of(schema, "maximum", &limit) && (below ? number >= limit : number > limit))
        return complain(check, "expected %s %g", below ? "less than" : "at most", limit);
    if (number_of(schema, "exclusiveMinimum", &limit) && number <= limit)
        return complain(check, "expected more than %g", limit);
    if (number_of(schema, "exclusiveMaximum", &limit) && number >= limit)
        return complain(check, "expected less than %g", limit);
    return true;
}

static bool fits_count(struct check *check, const cJSON *schema, const char *least_keyword,
                       const char *most_keyword, size_t count, const char *what)
{
    double limit;

    if (number_of(schema, least_keyword, &limit) && (double)count < limit)
        return complain(check, "expected at least %g %s", limit, what);
    if (number_of(schema, most_keyword, &limit) && (double)count > limit)
        return complain(check, "expected at most %g %s", limit, what);
    return true;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool fits_text(struct check *check, const cJSON *schema, const char *text)
{
    const char *pattern = json_get_str(schema, "pattern");

    if (!fits_count(check, schema, "minLength", "maxLength", count_characters(text),
                    "characters"))
        return false;
    if (!pattern)
        return true;
    switch (schema_pattern_match(pattern, text)) {
    case SCHEMA_MATCHES:
        return true;
    case SCHEMA_DIFFERS:
        return complain(check, "doesn't match the pattern %.100s", pattern);
    case SCHEMA_NOT_JUDGED:
    default:
        check->unsure = true;
        return true;
    }
}

/* --- Members and items -------------------------------------------------------------------- */

static bool has_required(struct check *check, const cJSON *schema, const cJSON *object)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, json_get(schema, "required"))
    {
        if (!take_steps(check, 1))
            return false;
        if (cJSON_IsString(name) && !json_get(object, name->valuestring)) {
            /* The missing member's own place reads best. */
            size_t length = strlen(check->path);

            (void)snprintf(check->path + length, sizeof(check->path) - length, "%s%s",
                           length ? "." : "", name->valuestring);
            (void)complain(check, "required");
            check->path[length] = '\0';
            return false;
        }
    }
    return true;
}

static bool fits_members(struct check *check, const cJSON *schema, const cJSON *object)
{
    const cJSON *properties = json_get(schema, "properties");
    const cJSON *others = json_get(schema, "additionalProperties");
    const cJSON *member;

    if (json_get(schema, "patternProperties")) {
        check->unsure = true;
        others = NULL;
    }
    cJSON_ArrayForEach(member, object)
    {
        const cJSON *known = json_get(properties, member->string);

        /* Looking a name up means walking along the list. */
        if (!take_steps(check, 1 + (properties ? cJSON_GetArraySize(properties) / 16 : 0)))
            return false;
        if (cJSON_IsFalse(others) && !known)
            return fits_below(check, others, member, member->string, 0);
        if ((known || others)
            && !fits_below(check, known ? known : others, member, member->string, 0))
            return false;
    }
    return true;
}

static bool fits_object(struct check *check, const cJSON *schema, const cJSON *object)
{
    return has_required(check, schema, object)
           && fits_count(check, schema, "minProperties", "maxProperties",
                         (size_t)cJSON_GetArraySize(object), "members")
           && fits_members(check, schema, object);
}

static bool fits_array(struct check *check, const cJSON *schema, const cJSON *array)
{
    const cJSON *items = json_get(schema, "items");
    const cJSON *item;
    int index = 0;

    if (!fits_count(check, schema, "minItems", "maxItems", (size_t)cJSON_GetArraySize(array),
                    "items"))
        return false;
    if (!items || cJSON_IsArray(items) || json_get(schema, "prefixItems")) {
        check->unsure |= items != NULL;
        return true;
    }
    cJSON_ArrayForEach(item, array)
    {
        if (!fits_below(check, items, item, NULL, index++))
            return false;
    }
    return true;
}

/* --- Schemas of schemas ------------------------------------------------------------------- */

static bool fits_all(struct check *check, const cJSON *schemas, const cJSON *value)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, schemas)
    {
        if (!fits(check, one, value))
            return false;
    }
    return true;
}

/* How many of them it fits, and how many of these for sure. */
static bool count_fitting(struct check *check, const cJSON *schemas, const cJSON *value,
                          int *out_fitting, int *out_sure)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, schemas)
    {
        bool unsure = false;
        bool fitting = fits_quietly(check, one, value, &unsure);

        *out_fitting += fitting;
        *out_sure += fitting && !unsure;
        if (check->err->kind == ERR_TOO_LARGE)
            return false;
    }
    check->unsure |= *out_fitting > *out_sure;
    return true;
}

static bool fits_choices(struct check *check, const cJSON *schema, const cJSON *value)
{
    const cJSON *any = json_get(schema, "anyOf");
    const cJSON *single = json_get(schema, "oneOf");
    const cJSON *none = json_get(schema, "not");
    int fitting = 0;
    int sure = 0;
    bool unsure = false;

    if (cJSON_IsArray(any)) {
        if (!count_fitting(check, any, value, &fitting, &sure))
            return false;
        if (!fitting)
            return complain(check, "fits none of the forms that are allowed");
    }
    if (cJSON_IsArray(single)) {
        fitting = sure = 0;
        if (!count_fitting(check, single, value, &fitting, &sure))
            return false;
        if (!fitting || sure > 1)
            return complain(check, "fits %s of the forms that are allowed",
                            fitting ? "more than one" : "none");
    }
    if (none && fits_quietly(check, none, value, &unsure)) {
        check->unsure |= unsure;
        if (!unsure)
            return complain(check, "has a form that isn't allowed");
    }
    return check->err->kind != ERR_TOO_LARGE;
}

static void look_for_the_unjudged(struct check *check, const cJSON *schema)
{
    static const char *const keywords[] = {
        "$ref",         "$dynamicRef",       "format",           "if",
        "multipleOf",   "uniqueItems",       "contains",         "propertyNames",
        "dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties",
    };

    for (size_t i = 0; i < ARRAY_SIZE(keywords) && !check->unsure; i++)
        check->unsure = json_get(schema, keywords[i]) != NULL;
}

static bool fits(struct check *check, const cJSON *schema, const cJSON *value)
{
    if (!take_steps(check, 1))
        return false;
    if (cJSON_IsFalse(schema))
        return complain(check, "isn't known");
    if (!cJSON_IsObject(schema)
        || (cJSON_IsNull(value) && json_get_bool(schema, "nullable", false)))
        return true;
    look_for_the_unjudged(check, schema);
    if (!fits_type(check, schema, value) || !fits_enum(check, schema, value))
        return false;
    if (cJSON_IsNumber(value) && !fits_range(check, schema, value->valuedouble))
        return false;
    if (cJSON_IsString(value) && !fits_text(check, schema, value->valuestring))
        return false;
    if (cJSON_IsObject(value) && !fits_object(check, schema, value))
        return false;
    if (cJSON_IsArray(value) && !fits_array(check, schema, value))
        return false;
    return fits_all(check, json_get(schema, "allOf"), value)
           && fits_choices(check, schema, value);
}

int schema_check(const cJSON *schema, const cJSON *value, struct err *err)
{
    struct err problem = {0};
    struct check check = {.err = &problem};

    if (fits(&check, schema, value) && problem.kind != ERR_TOO_LARGE)
        return 0;
    *err = problem;
    return -1;
}
