/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_TEXT_LIST_H
#define RUNNER_TEXT_LIST_H
#include "base/scoped.h"

/* A growing list of texts that it owns, with a NULL at the end: an argv or an environment
 * while it is put together. All zeroes is empty. */
struct text_list {
    char **all; /* NULL while empty */
    size_t n;
};

#define scoped_text_list __attribute__((cleanup(text_list_done))) struct text_list

void text_list_add(struct text_list *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_list_add_all(struct text_list *list, const char *const *more); /* up to its NULL */
void text_list_done(struct text_list *list);

/* As process.h wants it. */
static inline const char *const *text_list_view(const struct text_list *list)
{
    return (const char *const *)list->all;
}
#endif
