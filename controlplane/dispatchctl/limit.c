/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/limit.h"

#include <errno.h>
#include <string.h>

int limit_number(const char *flag, const char *text, int64_t least, int64_t most, int64_t *out,
                 struct err *err)
{
    int64_t number;

    errno = 0;
    number = strtoll(text, NULL, 10);
    if (errno || !*text || text[strspn(text, "0123456789")] || number < least || number > most)
        return err_set(err, ERR_INVALID, "--%s: expected a whole number from %lld to %lld",
                       flag, (long long)least, (long long)most);
    *out = number;
    return 0;
}

int limit_read(const struct options *options, int64_t *out, struct err *err)
{
    if (options->all && options->limit)
        return err_set(err, ERR_INVALID, "--limit or --all, not both");
    *out = options->all ? 0 : LIMIT_USUAL;
    if (!options->limit)
        return 0;
    return limit_number("limit", options->limit, 1, LIMIT_MAX, out, err);
}
