/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_OUTPUT_H
#define DISPATCHCTL_OUTPUT_H
#include "dispatchctl/commands.h"
#include "dispatchctl/table.h"
#include "json/json.h"

/* What goes to standard output, in the form that --output names; and complaints. */
enum output_form { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };

enum output_form output_form(const struct invocation *call);
/* Colours on standard output: a terminal, and nobody said no. */
bool output_colors(const struct invocation *call);

/* Prints the document where the form is json or yaml, or one of its texts where it is name:
 * then true. `name_key` NULL: there is no name. */
bool output_document(const struct invocation *call, const cJSON *document,
                     const char *name_key);
/* The same for a document with a list of such: names are those of the entries. */
bool output_list(const struct invocation *call, const cJSON *document, const char *list_key,
                 const char *name_key);

/* "dispatchctl: <sentence>" on standard error; returns the exit code for it. */
int output_fail(const struct err *err);
/* A remark on standard error, unless --quiet. */
void output_remark(const struct invocation *call, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* 0 if standard output took everything, else says so and returns 1. */
int output_end(int code);

/* How long ago a timestamp is: "12s", "5m", "3h", "4d"; "-" for none. */
#define AGE_SIZE 24
void output_age(const char *timestamp, char out[AGE_SIZE]);
/* "1:05", "2:03:04". */
void output_elapsed(int64_t ms, char out[AGE_SIZE]);
#endif
