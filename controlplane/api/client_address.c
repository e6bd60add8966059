/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "api/rate.h"

/*
 * X-Forwarded-For is what each proxy appends the address to that it was asked from, so only its
 * end is to be believed, and only as far as the proxies there are ours.
 */
#define HOPS_MAX 32

/* False when it is no literal address; with the port that some proxies leave on it. */
static bool read_address(const char *text, size_t length, struct sockaddr_storage *out)
{
    char copy[INET6_ADDRSTRLEN + 8];
    char *at = copy;
    char *colon;

    if (!length || length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (*at == '[') {
        char *end = strchr(++at, ']');

        if (!end)
            return false;
        *end = '\0';
    } else if ((colon = strchr(at, ':')) && !strchr(colon + 1, ':')) {
        *colon = '\0';
    }
    *out = (struct sockaddr_storage){0};
    out->ss_family = AF_INET;
    if (inet_pton(AF_INET, at, &((struct sockaddr_in *)out)->sin_addr) == 1)
        return true;
    out->ss_family = AF_INET6;
    return inet_pton(AF_INET6, at, &((struct sockaddr_in6 *)out)->sin6_addr) == 1;
}

static bool is_trusted(const struct config_ranges *proxies, const struct sockaddr_storage *who)
{
    for (size_t i = 0; i < proxies->count; i++)
        if (address_in_range((const struct sockaddr *)who, &proxies->all[i]))
            return true;
    return false;
}

static void write_address(const struct sockaddr_storage *who, char out[CLIENT_ADDRESS_SIZE])
{
    const void *bytes = who->ss_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)who)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)who)->sin6_addr;

    (void)inet_ntop(who->ss_family, bytes, out, CLIENT_ADDRESS_SIZE);
}

/* From the right: the last of ours says whom it was asked by. What isn't an address ends it. */
static void walk(const struct config_ranges *proxies, const char *forwarded,
                 struct sockaddr_storage *who)
{
    size_t end = strlen(forwarded);

    for (int hops = 0; hops < HOPS_MAX && end && is_trusted(proxies, who); hops++) {
        struct sockaddr_storage before;
        size_t begin = end;
        size_t from;
        size_t length;

        while (begin && forwarded[begin - 1] != ',')
            begin--;
        from = begin + strspn(forwarded + begin, " \t");
        length = from < end ? end - from : 0;
        while (length && strchr(" \t", forwarded[from + length - 1]))
            length--;
        if (!read_address(forwarded + from, length, &before))
            return;
        *who = before;
        end = begin ? begin - 1 : 0;
    }
}

void client_address(const struct config *config, const struct request *req,
                    char out[CLIENT_ADDRESS_SIZE])
{
    const char *peer = request_peer(req);
    const struct config_ranges *proxies = &config->trusted_proxies;
    struct sockaddr_storage who;
    scoped_str forwarded = NULL;

    (void)snprintf(out, CLIENT_ADDRESS_SIZE, "%s", peer);
    if (!proxies->count || !read_address(peer, strlen(peer), &who)
        || !is_trusted(proxies, &who))
        return;
    forwarded = request_header_all(req, "X-Forwarded-For");
    if (!forwarded)
        return;
    walk(proxies, forwarded, &who);
    write_address(&who, out);
}
