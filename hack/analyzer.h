/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HACK_ANALYZER_H
#define HACK_ANALYZER_H
#include "base/err.h"

/*
 * hack/lint-tidy and hack/analyze include this before each file but err.c: an analyzer looks at
 * one file at a time and can't see that these always return -1.
 */
#define err_set(...) ((void)(err_set)(__VA_ARGS__), -1)
#define err_set_code(...) ((void)(err_set_code)(__VA_ARGS__), -1)
#define err_set_field(...) ((void)(err_set_field)(__VA_ARGS__), -1)
#define err_set_errno(...) ((void)(err_set_errno)(__VA_ARGS__), -1)
#define err_wrap(...) ((void)(err_wrap)(__VA_ARGS__), -1)

/* Nor that these are false for NULL, which cJSON promises. */
#if !defined(__clang__)
#include <cjson/cJSON.h>

#define cJSON_IsObject(item) ((item) && (cJSON_IsObject)(item))
#define cJSON_IsArray(item) ((item) && (cJSON_IsArray)(item))
#define cJSON_IsString(item) ((item) && (cJSON_IsString)(item))
#define cJSON_IsNumber(item) ((item) && (cJSON_IsNumber)(item))
#endif
#endif
