/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_CHECK_H
#define LAUNCH_KUBERNETES_CHECK_H
#include "config/config.h"
#include "yaml/yaml.h"

/*
 * Can this document become the Job of a run? ERR_INVALID with its name, the line and the path
 * of what is wrong. Only what we add to or rely on is looked at; the API server knows the rest
 * better.
 */
int kubernetes_check_template(const struct yaml *yaml, const struct config_kubernetes *settings,
                              const char *namespace, struct err *err) CHECKED;

/* The settings themselves: quantities, and the names that go into the Job. */
int kubernetes_check_settings(const struct config_kubernetes *settings,
                              struct err *err) CHECKED;

/* The runner's place among the containers; -1 when it can't be told. */
int kubernetes_check_runner(const cJSON *containers);
#endif
