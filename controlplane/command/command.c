/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

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
