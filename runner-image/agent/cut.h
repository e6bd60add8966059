/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_CUT_H
#define RUNNER_CUT_H
#include <stddef.h>

/* Where a text of `size` bytes is cut to at most `max` without cutting a character. */
size_t cut_at(const char *text, size_t size, size_t max);

/* Ends the text there. */
void cut_to(char *text, size_t max);
#endif
