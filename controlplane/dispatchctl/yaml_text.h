/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_YAML_TEXT_H
#define DISPATCHCTL_YAML_TEXT_H
#include "json/json.h"

/* A JSON document as YAML that reads as the same document; ends with a line break. The caller
 * frees it. */
char *yaml_text(const cJSON *value) CHECKED;
#endif
