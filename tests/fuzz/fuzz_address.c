/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, ranges, URLs of tools and of repositories, and branches, as clients write them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "model/repository.h"
#include "model/token.h"
#include "net/address.h"

/* Whatever the notation: what is read as an address that isn't public is refused in a URL. */
static void check_host(const char *text)
{
    struct sockaddr_storage address;
    scoped_str url = xasprintf("http://%s/", text);
    struct err err = {0};

    if (!address_parse(text, &address) || strpbrk(text, ":@/?#%"))
        return;
    if (!address_is_public((const struct sockaddr *)&address)
        && address_check_url(url, NULL, 0, &err) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_str text = xstrndup((const char *)data, size);
    struct address_range range;
    struct err err = {0};
    scoped_str repo = repository_from_url("https://github.com", text, "repository_url", &err);

    if (repo && !repo_name_valid(repo))
        abort();
    if (branch_name_valid(text) && (text[0] == '-' || strstr(text, "..")))
        abort();
    if (address_range_parse(text, &range, &err) == 0 && (range.bits < 0 || range.bits > 128))
        abort();
    if (address_check_url(text, NULL, 0, &err) == 0 && strncasecmp(text, "http", 4) != 0)
        abort();
    check_host(text);
    return 0;
}
