/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_JSON_H
#define JSON_JSON_H
#include "base/err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * JSON in and out. cJSON is the value type everywhere, and this header is the only way to
 * it. Call json_setup once at start: from then on building a document cannot fail.
 *
 * Writing: values are expressions, and jobj and jarr take ownership of what they are given.
 *     return jobj({"id", jstr(run->id)}, {"pr_url", jstr(run->pr_url)}, {"jobs", jobs});
 * jstr(NULL) is NULL, and a pair whose value is NULL is left out: that is how optional
 * fields work.
 *
 * Reading: json_parse takes hostile bytes, and a table of JFIELDs fills a struct from the
 * object.
 */
void json_setup(void);

#define scoped_json __attribute__((cleanup(json_free_at))) cJSON *
static inline void json_free_at(cJSON **value)
{
    cJSON_Delete(*value);
}

/* --- Writing -------------------------------------------------------------------------- */

struct jpair {
    const char *key;
    cJSON *value; /* taken; NULL leaves the pair out */
};

#define jobj(...)                                                                              \
    json_object((const struct jpair[]){__VA_ARGS__},                                           \
                sizeof((const struct jpair[]){__VA_ARGS__}) / sizeof(struct jpair))
#define jarr(...)                                                                              \
    json_array((cJSON *const[]){__VA_ARGS__},                                                  \
               sizeof((cJSON *const[]){__VA_ARGS__}) / sizeof(cJSON *))

cJSON *json_object(const struct jpair *pairs, size_t n_pairs) CHECKED;
cJSON *json_array(cJSON *const *values, size_t n_values) CHECKED; /* NULLs are left out */

cJSON *jstr(const char *text) CHECKED; /* NULL for NULL; bad UTF-8 is replaced by U+FFFD */
cJSON *jint(int64_t number) CHECKED;   /* exact up to 2^53; larger ids travel as strings */
cJSON *jbool(bool value) CHECKED;
cJSON *jtrue(bool value) CHECKED;      /* true, or NULL (left out) for false */
cJSON *jtime(int64_t wall_ms) CHECKED; /* RFC 3339 UTC; NULL (left out) for 0 and below */
cJSON *jnumber(double number) CHECKED;

/* The document on one line; the caller frees it. Never NULL. */
char *json_text(const cJSON *value) CHECKED;

/* --- Reading -------------------------------------------------------------------------- */

/* What json_parse accepts at most; arrays and objects count one level each. */
#define JSON_DEPTH_MAX 32
/* Characters of one number, and the bound that whole numbers stay below: from 2^53 on a
 * double can't tell neighbours apart. */
#define JSON_NUMBER_MAX 128
#define JSON_WHOLE_LIMIT 9007199254740992.0

/*
 * Parses one whole document: valid UTF-8, no NUL (raw or \u0000), no duplicate keys in any
 * object, no lone surrogates, nothing after the end, nesting up to JSON_DEPTH_MAX. NULL with
 * ERR_INVALID and a sentence that names what was wrong and where. Time is O(n log n) in the
 * bytes whatever they are. The result is the caller's (cJSON_Delete or scoped_json).
 */
cJSON *json_parse(const char *text, size_t size, struct err *err) CHECKED;

/* The same of at most `values_max` values: for those who may send anything, since a value takes
 * two bytes to send and a hundred to keep. */
cJSON *json_parse_within(const char *text, size_t size, size_t values_max,
                         struct err *err) CHECKED;

/* The same without the members of these names (NULL at the end), at whatever depth: their
 * values are as strictly looked at, but for keys that repeat inside, and not kept. For answers
 * of which little is wanted. */
cJSON *json_parse_without(const char *text, size_t size, const char *const *left_out,
                          struct err *err) CHECKED;

/* Borrowed members of an object; NULL or the fallback when absent or of another type. */
const cJSON *json_get(const cJSON *object, const char *key);
const char *json_get_str(const cJSON *object, const char *key);
int64_t json_get_int(const cJSON *object, const char *key, int64_t fallback);
bool json_get_bool(const cJSON *object, const char *key, bool fallback);

/* Is this a whole number within JSON_WHOLE_LIMIT? Then it is in *out. NULL is none. */
bool json_whole(const cJSON *value, int64_t *out);

enum jneed { J_OPTIONAL, J_REQUIRED };

enum jtype {
    JTYPE_TEXT,      /* const char *: borrowed from the document */
    JTYPE_TEXT_COPY, /* char *: a copy in place of the one before; freed by _done */
    JTYPE_INT,       /* int64_t: a whole number within JSON_WHOLE_LIMIT */
    JTYPE_INT32,     /* int */
    JTYPE_BOOL,      /* bool */
    JTYPE_NUMBER,    /* double */
    JTYPE_VALUE,     /* const cJSON *: borrowed, of any type */
};

struct jfield {
    const char *key;
    size_t offset;
    enum jtype type;
    enum jneed need;
};

/* clang-format off */
#define JTYPE_OF(member) _Generic((member), const char *: JTYPE_TEXT, char *: JTYPE_TEXT_COPY, \
    int64_t: JTYPE_INT, int: JTYPE_INT32, bool: JTYPE_BOOL, double: JTYPE_NUMBER, \
    const cJSON *: JTYPE_VALUE)
/* clang-format on */
#define JFIELD(type, member, need)                                                             \
    {                                                                                          \
#member, offsetof(type, member), JTYPE_OF(((type *)NULL)->member), need                \
    }
/* The same where the JSON key is not the member's name. */
#define JFIELD_AS(type, member, key, need)                                                     \
    {                                                                                          \
        key, offsetof(type, member), JTYPE_OF(((type *)NULL)->member), need                    \
    }

/*
 * Fills the struct at `out` from `object`. Defaults are what the struct held before; null
 * counts as absent. Errors are ERR_INVALID about one field, with its path in err->field:
 * "repo: required", "limit: expected a whole number", "[2].name: unknown field".
 * json_read refuses fields that the table doesn't have; json_read_open lets them pass (for
 * answers of other systems). A failure leaves the struct as it was.
 */
#define json_read(object, fields, out, err)                                                    \
    json_read_fields((object), (fields), ARRAY_SIZE(fields), true, NULL, (out), (err))
#define json_read_open(object, fields, out, err)                                               \
    json_read_fields((object), (fields), ARRAY_SIZE(fields), false, NULL, (out), (err))

/* `path` is put in front of field names in complaints ("tools[0]"); NULL for none. */
int json_read_fields(const cJSON *object, const struct jfield *fields, size_t n_fields,
                     bool only_known, const char *path, void *out, struct err *err) CHECKED;

/* Is this well-formed UTF-8 (no surrogates, no overlong forms) without NUL? */
bool json_utf8_valid(const char *text, size_t size);
#endif
