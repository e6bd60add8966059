/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_SCHEMA_H
#define MCP_SCHEMA_H
#include "json/json.h"

/*
 * Do a call's arguments fit the tool's JSON Schema? The schema is the client's, the arguments
 * are a model's. Judged are: type (one or several), enum, const, nullable; properties,
 * required, additionalProperties, minProperties, maxProperties; items, minItems, maxItems;
 * minimum, maximum and their exclusive forms; minLength, maxLength, and pattern where
 * schema_pattern.h can; allOf, anyOf, oneOf, not; true and false.
 *
 * What else a schema says ($ref, format, if, patternProperties, ...) isn't judged: such a part
 * fits, and neither fails a oneOf or a not. The endpoint has the last word anyway.
 *
 * Pure, safe from any thread; the work is bounded by SCHEMA_STEPS_MAX.
 */
#define SCHEMA_STEPS_MAX 200000

/* ERR_INVALID names the place: "filters[2].name: expected a string". ERR_TOO_LARGE when judging
 * would take too long. */
int schema_check(const cJSON *schema, const cJSON *value, struct err *err) CHECKED;
#endif
