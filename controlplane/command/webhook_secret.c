/* SPDX-License-Identifier: Apache-2.0 */
/* dispatchd webhook-secret: what deliveries are signed with, for whoever verifies them. */
#include <string.h>

#include "command/command.h"
#include "command/control.h"
#include "service/deliveries.h"
#include "store/vault.h"

static const char usage[] = "usage: dispatchd webhook-secret [--config FILE]\n";

/* A key file that isn't there yet is made, as a first start would. */
static struct secret *find(const struct config *config, struct err *err)
{
    scoped(vault) vault = NULL;

    if (config->webhook_secret)
        return secret_new(secret_reveal(config->webhook_secret));
    vault = vault_open(config->database, config->encryption_key, err);
    return vault ? deliveries_secret(config, vault) : NULL;
}

int command_webhook_secret(char *const *argv)
{
    const char *file = NULL;
    scoped_config config = {0};
    struct err err = {0};

    while (*argv) {
        if (!command_value("--config", &argv, &file)) {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (control_config(file, &config, &err) < 0)
        return command_quit("configuration", &err);
    scoped(secret) secret = find(&config, &err);
    if (!secret)
        return command_quit("webhook-secret", &err);
    printf("%s\n", secret_reveal(secret));
    return fflush(stdout) == 0 ? 0 : 1;
}
