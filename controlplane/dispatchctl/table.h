/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_TABLE_H
#define DISPATCHCTL_TABLE_H
#include "base/scoped.h"

#include <stdbool.h>

/*
 * Rows in aligned columns. Cells are cleaned on their way in (clean.h) and are as wide as a
 * terminal shows them. Used by one thread.
 */
struct table;

/* `headings` ends with NULL and is borrowed. With `colors`, words that name a status are
 * coloured. */
struct table *table_new(const char *const *headings, bool colors) CHECKED;
void table_free(struct table *table);
DEFINE_SCOPED(table)

/* As many cells as there are headings; NULL and "" show as "-". Copied. */
void table_add(struct table *table, const char *const *cells);

void table_print(const struct table *table, FILE *out);

/* Columns of a terminal that this text takes. */
int table_text_width(const char *text);
/* The escape sequence for a status, "" for other words. */
const char *table_status_color(const char *status);
#define COLOR_END "\033[0m"
#endif
