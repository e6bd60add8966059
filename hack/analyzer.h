/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HACK_ANALYZER_H
#define HACK_ANALYZER_H
#include "base/err.h"

/*
 * hack/lint-tidy includes this before each file but err.c: the analyzer looks at one file at
 * a time and can't see that these always return -1.
 */
#define err_set(...) ((void)(err_set)(__VA_ARGS__), -1)
#define err_set_code(...) ((void)(err_set_code)(__VA_ARGS__), -1)
#define err_set_field(...) ((void)(err_set_field)(__VA_ARGS__), -1)
#define err_set_errno(...) ((void)(err_set_errno)(__VA_ARGS__), -1)
#define err_wrap(...) ((void)(err_wrap)(__VA_ARGS__), -1)
#endif
