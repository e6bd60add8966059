/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_PARSER_H
#define JSON_PARSER_H
#include "json/json.h"
#include "json/keys.h"

/* Where json_parse stands in its text: between parse.c and string.c only. */
struct json_parser {
    const char *text;
    size_t size;
    size_t at;
    int depth;
    size_t n_values;
    size_t values_max;
    const char *const *left_out; /* names; NULL: none */
    struct json_keys keys;
    struct err *err;
};

/* ERR_INVALID with the line and column of a byte. Always -1. */
int json_complain_at(struct json_parser *p, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The string whose opening quote comes next; the caller's. NULL when it isn't one. */
char *json_parse_string(struct json_parser *p) CHECKED;
/* Moves past it, as strictly. */
int json_skip_string(struct json_parser *p) CHECKED;
#endif
