/* SPDX-License-Identifier: Apache-2.0 */
#include "json/parser.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

/*
 * Our own parser, making cJSON's values: cJSON's takes far more than JSON (control
 * characters, "01", broken surrogates, a second key of the same name). One pass over the
 * bytes; recursion ends at JSON_DEPTH_MAX, before the stack is anywhere near its end.
 */

static cJSON *parse_value(struct json_parser *p);
static int skip_value(struct json_parser *p);

int json_complain_at(struct json_parser *p, size_t at, const char *fmt, ...)
{
    char what[160];
    size_t line = 1;
    size_t column = 1;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    for (size_t i = 0; i < at; i++) {
        column = p->text[i] == '\n' ? 1 : column + 1;
        line += p->text[i] == '\n';
    }
    return err_set(p->err, ERR_INVALID, "line %zu, column %zu: %s", line, column, what);
}

/* The next byte, or -1 at the end. */
static int peek(const struct json_parser *p)
{
    return p->at < p->size ? (unsigned char)p->text[p->at] : -1;
}

static int complain_expected(struct json_parser *p, const char *wanted)
{
    int found = peek(p);

    if (found < 0)
        return json_complain_at(p, p->at, "expected %s, found the end", wanted);
    if (found > 0x20 && found < 0x7f)
        return json_complain_at(p, p->at, "expected %s, found '%c'", wanted, found);
    return json_complain_at(p, p->at, "expected %s, found byte 0x%02x", wanted,
                            (unsigned)found);
}

static void skip_space(struct json_parser *p)
{
    while (p->at < p->size
           && (p->text[p->at] == ' ' || p->text[p->at] == '\n' || p->text[p->at] == '\r'
               || p->text[p->at] == '\t'))
        p->at++;
}

/* Skips white space, and the mark when it comes next. */
static bool take_mark(struct json_parser *p, char mark)
{
    skip_space(p);
    if (peek(p) != mark)
        return false;
    p->at++;
    return true;
}

static cJSON *new_item(int type)
{
    cJSON *item = xcalloc(1, sizeof(*item));

    item->type = type;
    return item;
}

/* --- Numbers -------------------------------------------------------------------------- */

static bool skip_digits(struct json_parser *p)
{
    size_t start = p->at;

    while (p->at < p->size && p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at > start;
}

/* Moves past a number as RFC 8259 section 6 writes it. */
static int scan_number(struct json_parser *p)
{
    if (peek(p) == '-')
        p->at++;
    if (peek(p) == '0')
        p->at++;
    else if (!skip_digits(p))
        return complain_expected(p, "a digit");
    if (peek(p) == '.') {
        p->at++;
        if (!skip_digits(p))
            return complain_expected(p, "a digit");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (!skip_digits(p))
            return complain_expected(p, "a digit");
    }
    return 0;
}

static int read_number(struct json_parser *p, double *out)
{
    size_t start = p->at;
    char copy[JSON_NUMBER_MAX + 1];

    if (scan_number(p) < 0)
        return -1;
    if (p->at - start > JSON_NUMBER_MAX)
        return json_complain_at(p, start, "a number of more than %d characters",
                                JSON_NUMBER_MAX);
    memcpy(copy, p->text + start, p->at - start);
    copy[p->at - start] = '\0';
    *out = strtod(copy, NULL);
    if (!isfinite(*out))
        return json_complain_at(p, start, "number out of range");
    return 0;
}

static cJSON *parse_number(struct json_parser *p)
{
    cJSON *item;
    double value = 0;

    if (read_number(p, &value) < 0)
        return NULL;
    item = new_item(cJSON_Number);
    cJSON_SetNumberValue(item, value);
    return item;
}

/* --- Everything else ------------------------------------------------------------------ */

/* The name in the list, or NULL. */
static const char *left_out_name(const struct json_parser *p, const char *key)
{
    for (const char *const *name = p->left_out; name && *name; name++)
        if (strcmp(*name, key) == 0)
            return *name;
    return NULL;
}

static int parse_member(struct json_parser *p, cJSON *object)
{
    scoped_str key = NULL;
    const char *unwanted;
    size_t key_at;
    cJSON *value;

    skip_space(p);
    if (peek(p) != '"')
        return complain_expected(p, "a key in double quotes");
    key_at = p->at;
    key = json_parse_string(p);
    if (!key)
        return -1;
    if (!take_mark(p, ':'))
        return complain_expected(p, "':'");
    unwanted = left_out_name(p, key);
    if (unwanted) {
        json_keys_add(&p->keys, unwanted, key_at);
        return skip_value(p);
    }
    value = parse_value(p);
    if (!value)
        return -1;
    json_keys_add(&p->keys, key, key_at);
    value->string = TAKE(key);
    cJSON_AddItemToArray(object, value);
    return 0;
}

static int refuse_repeated_key(struct json_parser *p, size_t first)
{
    const struct json_key *again = json_keys_close(&p->keys, first);
    char shown[JSON_SHOWN_SIZE];

    if (!again)
        return 0;
    json_show_key(again->name, shown);
    return json_complain_at(p, again->at, "key \"%s\" is there twice", shown);
}

static cJSON *parse_object(struct json_parser *p)
{
    scoped_json object = new_item(cJSON_Object);
    size_t first_key = p->keys.count;

    if (take_mark(p, '}'))
        return TAKE(object);
    do {
        if (parse_member(p, object) < 0)
            return NULL;
    } while (take_mark(p, ','));
    if (!take_mark(p, '}')) {
        complain_expected(p, "',' or '}'");
        return NULL;
    }
    if (refuse_repeated_key(p, first_key) < 0)
        return NULL;
    return TAKE(object);
}

static cJSON *parse_array(struct json_parser *p)
{
    scoped_json array = new_item(cJSON_Array);

    if (take_mark(p, ']'))
        return TAKE(array);
    do {
        cJSON *value = parse_value(p);

        if (!value)
            return NULL;
        cJSON_AddItemToArray(array, value);
    } while (take_mark(p, ','));
    if (!take_mark(p, ']')) {
        complain_expected(p, "',' or ']'");
        return NULL;
    }
    return TAKE(array);
}

static int enter_container(struct json_parser *p)
{
    if (p->depth == JSON_DEPTH_MAX)
        return json_complain_at(p, p->at, "nested more than %d levels deep", JSON_DEPTH_MAX);
    p->depth++;
    p->at++;
    return 0;
}

static cJSON *parse_container(struct json_parser *p)
{
    bool is_object = p->text[p->at] == '{';
    cJSON *container;

    if (enter_container(p) < 0)
        return NULL;
    container = is_object ? parse_object(p) : parse_array(p);
    p->depth--;
    return container;
}

static cJSON *parse_text(struct json_parser *p)
{
    char *text = json_parse_string(p);
    cJSON *item;

    if (!text)
        return NULL;
    item = new_item(cJSON_String);
    item->valuestring = text;
    return item;
}

/* cJSON's type, or -1. */
static int read_word(struct json_parser *p)
{
    static const struct {
        const char *text;
        size_t length;
        int type;
    } words[] = {{"true", 4, cJSON_True}, {"false", 5, cJSON_False}, {"null", 4, cJSON_NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (p->size - p->at >= words[i].length
            && memcmp(p->text + p->at, words[i].text, words[i].length) == 0) {
            p->at += words[i].length;
            return words[i].type;
        }
    return complain_expected(p, "a value");
}

static cJSON *parse_word(struct json_parser *p)
{
    int type = read_word(p);

    return type < 0 ? NULL : new_item(type);
}

static bool begins_number(int next)
{
    return next == '-' || (next >= '0' && next <= '9');
}

static int begin_value(struct json_parser *p)
{
    skip_space(p);
    if (p->n_values++ == p->values_max)
        return json_complain_at(p, p->at, "more than %zu values", p->values_max);
    return 0;
}

static cJSON *parse_value(struct json_parser *p)
{
    int next;

    if (begin_value(p) < 0)
        return NULL;
    next = peek(p);
    if (next == '"')
        return parse_text(p);
    if (next == '{' || next == '[')
        return parse_container(p);
    if (begins_number(next))
        return parse_number(p);
    return parse_word(p);
}

/* --- What is left out --------------------------------------------------------------------- */

static int skip_key(struct json_parser *p)
{
    skip_space(p);
    if (peek(p) != '"')
        return complain_expected(p, "a key in double quotes");
    if (json_skip_string(p) < 0)
        return -1;
    return take_mark(p, ':') ? 0 : complain_expected(p, "':'");
}

static int skip_members(struct json_parser *p, bool is_object)
{
    char end = is_object ? '}' : ']';

    if (take_mark(p, end))
        return 0;
    do {
        if ((is_object && skip_key(p) < 0) || skip_value(p) < 0)
            return -1;
    } while (take_mark(p, ','));
    if (take_mark(p, end))
        return 0;
    return complain_expected(p, is_object ? "',' or '}'" : "',' or ']'");
}

static int skip_container(struct json_parser *p)
{
    bool is_object = p->text[p->at] == '{';

    if (enter_container(p) < 0 || skip_members(p, is_object) < 0)
        return -1;
    p->depth--;
    return 0;
}

static int skip_value(struct json_parser *p)
{
    double number;
    int next;

    if (begin_value(p) < 0)
        return -1;
    next = peek(p);
    if (next == '"')
        return json_skip_string(p);
    if (next == '{' || next == '[')
        return skip_container(p);
    if (begins_number(next))
        return read_number(p, &number);
    return read_word(p) < 0 ? -1 : 0;
}

/* --- The document ------------------------------------------------------------------------- */

static cJSON *parse_document(struct json_parser *p)
{
    scoped_json root = NULL;

    if (p->size >= 3 && memcmp(p->text, "\xef\xbb\xbf", 3) == 0) {
        json_complain_at(p, 0, "a byte order mark before the document");
        return NULL;
    }
    root = parse_value(p);
    if (!root)
        return NULL;
    skip_space(p);
    if (p->at < p->size) {
        complain_expected(p, "the end");
        return NULL;
    }
    return TAKE(root);
}

static cJSON *parse_with(struct json_parser parser)
{
    cJSON *root = parse_document(&parser);

    json_keys_done(&parser.keys);
    return root;
}

cJSON *json_parse_within(const char *text, size_t size, size_t values_max, struct err *err)
{
    return parse_with(
        (struct json_parser){.text = text, .size = size, .values_max = values_max, .err = err});
}

cJSON *json_parse_without(const char *text, size_t size, const char *const *left_out,
                          struct err *err)
{
    return parse_with((struct json_parser){
        .text = text, .size = size, .values_max = SIZE_MAX, .left_out = left_out, .err = err});
}

cJSON *json_parse(const char *text, size_t size, struct err *err)
{
    return json_parse_within(text, size, SIZE_MAX, err);
}
