/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAML_SCALAR_H
#define YAML_SCALAR_H
#include "json/json.h"

/* The value of a plain scalar by the YAML 1.2 core schema, as yaml.h narrows it: numbers are
 * decimal, and what JSON can't say (.inf, .nan, 0x1f) stays a string. NULL when it is a
 * number that no double holds. */
cJSON *yaml_plain_scalar(const char *text) CHECKED;
#endif
