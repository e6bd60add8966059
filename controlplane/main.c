/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "command/command.h"
#include "json/json.h"

static const char usage[] =
    "usage: dispatchd serve [--config FILE] [--port N] [--workers N] [--work-dir DIR] "
    "[--debug]\n"
    "       dispatchd token create --repo OWNER/NAME [--installation-id N] [--name S]\n"
    "       dispatchd token create --personal --user NAME [--email E] [--scope S]...\n"
    "       dispatchd token list\n"
    "       dispatchd token revoke PREFIX|ID\n"
    "       dispatchd audit verify [--head HEX] [--config FILE]\n"
    "       dispatchd webhook-secret [--config FILE]\n"
    "       dispatchd cloudrun apply [--config FILE]\n"
    "       dispatchd --version\n";

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    json_setup();
    if (strcmp(command, "serve") == 0)
        return command_serve(argv + 2);
    if (strcmp(command, "token") == 0)
        return command_token(argv + 2);
    if (strcmp(command, "cloudrun") == 0)
        return command_cloudrun(argv + 2);
    if (strcmp(command, "audit") == 0)
        return command_audit(argv + 2);
    if (strcmp(command, "webhook-secret") == 0)
        return command_webhook_secret(argv + 2);
    if (strcmp(command, "--version") == 0) {
        printf("dispatchd %s\n", DISPATCH_VERSION);
        return 0;
    }
    if (strcmp(command, "--help") == 0) {
        printf("%s", usage);
        return 0;
    }
    (void)fputs(usage, stderr);
    return 2;
}
