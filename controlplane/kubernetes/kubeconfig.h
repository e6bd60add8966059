/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_KUBECONFIG_H
#define KUBERNETES_KUBECONFIG_H
#include "kubernetes/access.h"

/*
 * The file that kubectl reads. Paths in it are relative to its folder. What we don't do is
 * refused by name instead of being overlooked: insecure-skip-tls-verify, tls-server-name,
 * username and password, auth-provider, impersonation, plain http except to this machine.
 *
 * https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */

/* `context` NULL: the file's current one. With `is_list` the path is several, with colons
 * between them, as in $KUBECONFIG: files that aren't there are skipped, and of two entries of
 * one name the first counts. ERR_INVALID names the file and the line; ERR_NOT_FOUND and
 * ERR_DENIED. */
struct access *kubeconfig_read(const char *path, bool is_list, const char *context,
                               struct err *err) CHECKED;
#endif
