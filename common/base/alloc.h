/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H
#include "base/scoped.h"

#include <stdarg.h>

/*
 * Memory that is always there: each of these stops the process with one line on stderr when
 * the system has none left, and the supervisor starts it again. Sizes are bounded where
 * bytes come in, never here. What they return is the caller's, released with free().
 */
void *xcalloc(size_t count, size_t size) CHECKED;
void *xrealloc(void *old, size_t size) CHECKED;
char *xstrdup(const char *text) CHECKED; /* xstrdup(NULL) is NULL */
char *xstrndup(const char *text, size_t length) CHECKED;
char *xasprintf(const char *fmt, ...) CHECKED PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list args) CHECKED PRINTF_LIKE(1, 0);

/* The same end where a library had no memory, and its answer would be a false one. */
_Noreturn void out_of_memory(void);
#endif
