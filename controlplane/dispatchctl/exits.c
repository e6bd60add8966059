/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/exits.h"

#include <string.h>

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

enum exit_code exits_for_error(const struct err *err)
{
    switch (err->kind) {
    case ERR_NONE:
        return EXIT_DONE;
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_UNSUPPORTED:
        return EXIT_USAGE;
    case ERR_UNAUTHENTICATED:
    case ERR_DENIED:
        return EXIT_REFUSED;
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
        return EXIT_FAILED;
    case ERR_LIMITED:
    case ERR_TIMEOUT:
    case ERR_UPSTREAM:
    case ERR_UNAVAILABLE:
    case ERR_INTERNAL:
        break;
    }
    return EXIT_SERVER;
}

bool exits_status_ended(const char *status)
{
    return is(status, "completed") || is(status, "failed") || is(status, "stopped");
}

enum exit_code exits_for_run(const cJSON *run)
{
    const char *status = json_get_str(run, "status");
    const char *code = json_get_str(run, "error_code");
    const cJSON *result = json_get(run, "result");

    if (is(status, "completed"))
        return json_get_bool(result, "partial", false) || json_get_bool(result, "draft", false)
                   ? EXIT_PARTIAL
                   : EXIT_DONE;
    if (is(status, "stopped"))
        return EXIT_STOPPED;
    return is(code, "deadline") || is(code, "agent_timeout") ? EXIT_TIMED_OUT : EXIT_FAILED;
}
