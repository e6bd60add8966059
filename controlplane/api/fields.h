/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_FIELDS_H
#define API_FIELDS_H
#include "json/json.h"

/* Checks of single fields of a body that several surfaces share. ERR_INVALID about `field`. */

/* Some text that isn't blank, of at most `max_bytes`. */
int field_text(const char *field, const char *text, size_t max_bytes, struct err *err) CHECKED;

/* The same on one line: no control characters. NULL passes: it wasn't given. */
int field_line(const char *field, const char *text, size_t max_bytes, struct err *err) CHECKED;

/* One of `words`, which ends with NULL. NULL passes. */
int field_word(const char *field, const char *text, const char *const *words,
               struct err *err) CHECKED;

/* An array of at most `most`. NULL passes. */
int field_array(const char *field, const cJSON *list, int most, struct err *err) CHECKED;

/* The member `priority` of a body, as json_read has read it: RUN_PRIORITY_MIN to _MAX, or not
 * given, and then RUN_PRIORITY_UNSAID. */
int field_priority(const cJSON *body, int priority, struct err *err) CHECKED;

/* What a model calls a thing by: 1 to 64 of [A-Za-z0-9_-], and no member of the array `others`
 * has it as its name, in whatever case. */
#define FIELD_NAME_MAX 64
int field_name(const char *field, const char *name, const cJSON *others,
               struct err *err) CHECKED;

/* "tools[0].endpoint": `path` with a member's name behind it, as errors show it. */
#define FIELD_PATH_SIZE 96
void field_path(char out[FIELD_PATH_SIZE], const char *path, const char *member);
#endif
