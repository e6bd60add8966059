/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "json/json.h"

static const char usage[] =
    "usage: dispatchd serve [--config FILE] [--port N] [--workers N] [--work-dir DIR] "
    "[--debug]\n"
    "       dispatchd token create --repo OWNER/NAME [--installation-id N] [--name S]\n"
    "       dispatchd token create --personal --user NAME [--email E] [--scope S]...\n"
    "       dispatchd token list\n"
    "       dispatchd token revoke PREFIX|ID\n"
    "       dispatchd backup --to FILE|DIRECTORY [--keep N] [--force] [--config FILE]\n"
    "       dispatchd restore --from FILE [--config FILE]\n"
    "       dispatchd audit verify [--head HEX] [--config FILE]\n"
    "       dispatchd webhook-secret [--config FILE]\n"
    "       dispatchd cloudrun apply [--config FILE]\n"
    "       dispatchd --version\n";

/* Where one of the three was closed, the next file to be opened would take its number, and our
 * log would be written into it. */
static void keep_three(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR); /* at exec they are kept */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    keep_three();
    json_setup();
    if (strcmp(command, "serve") == 0)
        return command_serve(argv + 2);
    if (strcmp(command, "token") == 0)
        return command_token(argv + 2);
    if (strcmp(command, "cloudrun") == 0)
        return command_cloudrun(argv + 2);
    if (strcmp(command, "audit") == 0)
        return command_audit(argv + 2);
    if (strcmp(command, "backup") == 0)
        return command_backup(argv + 2);
    if (strcmp(command, "restore") == 0)
        return command_restore(argv + 2);
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
