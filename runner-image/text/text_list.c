/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_list.h"

#include <stdarg.h>

#include "base/alloc.h"

/* Takes `text`. */
static void take(struct text_list *list, char *text)
{
    list->all = xrealloc(list->all, (list->n + 2) * sizeof(*list->all));
    list->all[list->n++] = text;
    list->all[list->n] = NULL;
}

void text_list_add(struct text_list *list, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    take(list, xvasprintf(fmt, args));
    va_end(args);
}

void text_list_add_all(struct text_list *list, const char *const *more)
{
    for (; *more; more++)
        take(list, xstrdup(*more));
}

void text_list_done(struct text_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->all[i]);
    free(list->all);
    *list = (struct text_list){0};
}
