/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/access.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "kubernetes/kubeconfig.h"

#define NAMESPACE_MAX_BYTES 256

void access_free(struct access *access)
{
    if (!access)
        return;
    free(access->source);
    free(access->server);
    free(access->name_space);
    free(access->proxy);
    free(access->ca_pem);
    free(access->ca_file);
    free(access->client_cert_pem);
    free(access->client_cert_file);
    secret_free(access->client_key_pem);
    free(access->client_key_file);
    free(access->token_file);
    secret_free(access->token);
    exec_plugin_free(access->plugin);
    free(access);
}

/* --- In a pod ------------------------------------------------------------------------- */

static int read_namespace(const char *folder, char **out, struct err *err)
{
    scoped_str path = xasprintf("%s/namespace", folder);
    scoped_buf text = {0};

    if (buf_read_file(&text, path, NAMESPACE_MAX_BYTES, err) < 0)
        return err->kind == ERR_NOT_FOUND ? 0 : -1;
    text.data[strcspn(text.data, " \r\n")] = '\0';
    if (text.data[0])
        *out = xstrdup(text.data);
    return 0;
}

static bool has_service_account(const char *folder)
{
    scoped_str token = xasprintf("%s/token", folder);

    return access(token, F_OK) == 0;
}

static struct access *from_service_account(const char *folder, const char *host,
                                           const char *port, struct err *err)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    scoped(access) access = xcalloc(1, sizeof(*access));

    access->source = xasprintf("the service account in %s", folder);
    access->server =
        xasprintf("https://%s%s%s:%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
    access->token_file = xasprintf("%s/token", folder);
    access->ca_file = xasprintf("%s/ca.crt", folder);
    if (read_namespace(folder, &access->name_space, err) < 0)
        return NULL;
    if (!access->name_space)
        access->name_space = xstrdup("default");
    return TAKE(access);
}

/* --- Which ---------------------------------------------------------------------------- */

struct access *access_find(const char *kubeconfig, const char *context,
                           const char *service_account, struct err *err)
{
    const char *folder = service_account ? service_account : ACCESS_SERVICE_ACCOUNT;
    const char *host = getenv("KUBERNETES_SERVICE_HOST"); /* of a pod */
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *paths = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    scoped_str at_home = xasprintf("%s/.kube/config", home ? home : "");

    if (kubeconfig)
        return kubeconfig_read(kubeconfig, false, context, err);
    if (host && *host && port && *port && has_service_account(folder))
        return from_service_account(folder, host, port, err);
    if (paths && *paths)
        return kubeconfig_read(paths, true, context, err);
    if (home && *home && access(at_home, F_OK) == 0)
        return kubeconfig_read(at_home, false, context, err);
    (void)err_set(err, ERR_NOT_FOUND,
                  "no way to a Kubernetes cluster: no kubeconfig is named, this is no pod with "
                  "a service account, and there is neither $KUBECONFIG nor ~/.kube/config");
    return NULL;
}
