/* SPDX-License-Identifier: Apache-2.0 */
/* What a credential plugin prints: a token or a certificate with its key, or a refusal. */
#include <stdlib.h>

#include "fuzz.h"
#include "kubernetes/exec_plugin.h"

static const struct exec_plugin *plugin(void)
{
    static struct exec_plugin *made;
    struct err err = {0};
    scoped_json exec =
        jobj({"apiVersion", jstr("client.authentication.k8s.io/v1")}, {"command", jstr("p")});

    if (!made)
        made = exec_plugin_new(exec, "/nowhere", NULL, &err);
    return made ? made : (abort(), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_exec_credential credential = {0};
    struct err err = {0};

    json_setup();
    if (exec_plugin_read(plugin(), (const char *)data, size, &credential, &err) < 0) {
        if (err.kind != ERR_UNAVAILABLE || credential.token || credential.client_cert_pem
            || credential.client_key_pem)
            abort();
        return 0;
    }
    if (!credential.client_cert_pem != !credential.client_key_pem)
        abort();
    if (!credential.token && !credential.client_cert_pem)
        abort();
    return 0;
}
