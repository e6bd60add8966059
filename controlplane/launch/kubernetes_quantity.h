/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_QUANTITY_H
#define LAUNCH_KUBERNETES_QUANTITY_H
#include <stdbool.h>

/*
 * Amounts as Kubernetes writes them: "500m", "2", "1.5", "512Mi", "1e3". False when it isn't
 * one, or is less than nothing.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
bool kubernetes_quantity_parse(const char *text, double *out);
#endif
