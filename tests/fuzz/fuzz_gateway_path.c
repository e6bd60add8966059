/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent asks of the model gateway: three lines with a path, a query and the name of a
 * header. What is served goes to its provider's host, within its API, with nothing added. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "gateway/headers.h"
#include "gateway/provider.h"

static const char *const methods[] = {"GET", "POST", "DELETE"};

static void check_url(const struct provider *provider, const char *rest, const char *query)
{
    char base[] = "https://models.example";
    const struct configured_provider configured = {.provider = provider, .base_url = base};
    scoped_str url = provider_url(&configured, rest, query);
    size_t length = strlen(base);

    if (strncmp(url, base, length) != 0 || url[length] != '/')
        abort();
    for (const char *c = url; *c && *c != '?'; c++)
        if (*c <= ' ' || *c == '%' || *c == '\\' || strncmp(c, "/..", 3) == 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_str text = xstrndup((const char *)data, size);
    char *rest = text;
    const char *path = strsep(&rest, "\n");
    const char *query = strsep(&rest, "\n");
    const char *name = strsep(&rest, "\n");
    const char *at = NULL;
    const struct provider *provider = provider_of_path(path, &at);

    for (size_t i = 0; provider && i < ARRAY_SIZE(methods); i++)
        if (provider_call_kind(provider, methods[i], at) != CALL_NOT_SERVED)
            check_url(provider, at, query);
    if (name && header_goes_out(name) && !header_comes_back(name))
        abort(); /* none is in both tables */
    return 0;
}
