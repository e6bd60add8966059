/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

#include <string.h>

#include "base/alloc.h"

int command_quit(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "dispatchd: %s: %s\n", what, err->text);
    return 1;
}

char *control_socket_path(const char *database)
{
    return xasprintf("%s.sock", database);
}

bool command_value(const char *flag, char *const **argv, const char **out)
{
    size_t length = strlen(flag);

    if (strncmp(**argv, flag, length) != 0)
        return false;
    if ((**argv)[length] == '=') {
        *out = **argv + length + 1;
        (*argv)++;
        return true;
    }
    if ((**argv)[length] || !(*argv)[1])
        return false;
    *out = (*argv)[1];
    *argv += 2;
    return true;
}
