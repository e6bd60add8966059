/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAML_YAML_H
#define YAML_YAML_H
#include "json/json.h"

/*
 * YAML into the same values as JSON. Plain scalars follow the YAML 1.2 core schema (true,
 * false, null, ~, whole and decimal numbers; so "no" and "yes" stay strings); quoted scalars
 * are strings. One document; anchors, aliases, tags and duplicate keys are refused. Limits:
 * YAML_SIZE_MAX bytes, JSON_DEPTH_MAX levels. Each value knows the line it stood on, so that
 * an error can name it.
 */
#define YAML_SIZE_MAX (1024 * 1024)

struct yaml;

/* `name` is the file's name in complaints: "config.yaml:12: ...". ERR_INVALID,
 * ERR_TOO_LARGE. An empty document is an empty object. */
struct yaml *yaml_parse(const char *name, const char *text, size_t size,
                        struct err *err) CHECKED;
/* ERR_NOT_FOUND, ERR_DENIED, ERR_TOO_LARGE, ERR_INVALID. */
struct yaml *yaml_parse_file(const char *path, struct err *err) CHECKED;
/* libyaml calls a yaml_free of its own, which ours would replace under the same name. */
void yaml_free(struct yaml *yaml) __asm__("dispatch_yaml_free");
DEFINE_SCOPED(yaml)

/* Borrowed; lives as long as the yaml. */
const cJSON *yaml_root(const struct yaml *yaml);
/* The line (from 1) of this value of the document, for a member of a mapping the line of its
 * key; 0 for a stranger. */
int yaml_line(const struct yaml *yaml, const cJSON *value);
const char *yaml_name(const struct yaml *yaml);
#endif
