/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "net/url.h"

#define ADDRESS_TEXT_MAX 256
#define IPV4_BITS 32
#define IPV6_BITS 128

/* --- Notations ---------------------------------------------------------------------------- */

/* One part of an IPv4 address: decimal, octal after a 0, hexadecimal after a 0x. */
static bool read_part(const char **text, uint64_t *out)
{
    const char *at = *text;
    char *end;

    if (*at < '0' || *at > '9')
        return false;
    *out = strtoull(at, &end, 0); /* beyond 2^64 it is the largest, and that is too large */
    if (end == at + 1 && *at == '0' && (*end == 'x' || *end == 'X'))
        end++; /* some take a bare 0x for zero */
    *text = end;
    return true;
}

/* One to four parts; the last one fills what is left. */
static bool parse_ipv4(const char *text, uint32_t *out)
{
    uint64_t parts[4];
    uint32_t address = 0;
    int n = 0;

    for (;;) {
        if (n == 4 || !read_part(&text, &parts[n++]))
            return false;
        if (*text == '.' && text[1])
            text++;
        else
            break;
    }
    if (*text == '.') /* the root, as behind a name */
        text++;
    if (*text || parts[n - 1] >> (8 * (5 - n)))
        return false;
    for (int i = 0; i < n - 1; i++) {
        if (parts[i] > 255)
            return false;
        address |= (uint32_t)parts[i] << (24 - 8 * i);
    }
    *out = address | (uint32_t)parts[n - 1];
    return true;
}

static bool parse_ipv6(const char *text, struct in6_addr *out)
{
    char plain[INET6_ADDRSTRLEN];
    size_t length = strlen(text);

    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    const char *zone = memchr(text, '%', length);
    if (zone)
        length = (size_t)(zone - text);
    if (length >= sizeof(plain))
        return false;
    memcpy(plain, text, length);
    plain[length] = '\0';
    return inet_pton(AF_INET6, plain, out) == 1;
}

static struct sockaddr_storage ipv4_address(uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct sockaddr_storage out = {0};

    memcpy(&out, &in, sizeof(in));
    return out;
}

bool address_parse(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    uint32_t ipv4;

    if (strnlen(text, ADDRESS_TEXT_MAX) == ADDRESS_TEXT_MAX)
        return false;
    if (parse_ipv4(text, &ipv4)) {
        *out = ipv4_address(ipv4);
        return true;
    }
    if (!parse_ipv6(text, &in6.sin6_addr))
        return false;
    *out = (struct sockaddr_storage){0};
    memcpy(out, &in6, sizeof(in6));
    return true;
}

/* --- Ranges ------------------------------------------------------------------------------- */

/* The bytes of an address, 4 or 16; a mapped one as the IPv4 address it is. 0: another family.
 */
static int bytes_of(const struct sockaddr *address, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        memcpy(out, &in.sin_addr, 4);
        return 4;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        memcpy(out, &in6.sin6_addr, 16);
        if (memcmp(out, mapped, sizeof(mapped)) != 0)
            return 16;
        memmove(out, out + 12, 4);
        return 4;
    }
    return 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, int bits)
{
    int whole = bits / 8;
    int rest = bits % 8;

    return memcmp(a, b, (size_t)whole) == 0
           && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool bytes_in(const uint8_t *bytes, int n_bytes, const struct address_range *range)
{
    return n_bytes == (range->family == AF_INET ? 4 : 16)
           && same_bits(bytes, range->bytes, range->bits);
}

bool address_in_range(const struct sockaddr *address, const struct address_range *range)
{
    uint8_t bytes[16];
    int n_bytes = bytes_of(address, bytes);

    return n_bytes && bytes_in(bytes, n_bytes, range);
}

static bool nothing_beyond(const struct address_range *range, int all_bits)
{
    for (int bit = range->bits; bit < all_bits; bit++)
        if (range->bytes[bit / 8] >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* Digits only, at most `most`; -1 otherwise. */
static int read_bits(const char *text, int most)
{
    size_t length = strspn(text, "0123456789");
    long bits = length && length <= 3 && !text[length] ? strtol(text, NULL, 10) : -1;

    return bits <= most ? (int)bits : -1;
}

/* Written out in full: an operator's "10.1" would be 10.0.0.1. */
int address_range_parse(const char *text, struct address_range *out, struct err *err)
{
    size_t length = strcspn(text, "/");
    char address[INET6_ADDRSTRLEN];
    struct address_range range = {0};
    int all_bits;

    if (length >= sizeof(address))
        return err_set(err, ERR_INVALID, "expected a range of addresses, as in 10.1.0.0/16");
    memcpy(address, text, length);
    address[length] = '\0';
    range.family = strchr(address, ':') ? AF_INET6 : AF_INET;
    all_bits = range.family == AF_INET ? IPV4_BITS : IPV6_BITS;
    range.bits = text[length] ? read_bits(text + length + 1, all_bits) : all_bits;
    if (inet_pton(range.family, address, range.bytes) != 1 || range.bits < 0)
        return err_set(err, ERR_INVALID, "expected a range of addresses, as in 10.1.0.0/16");
    if (!nothing_beyond(&range, all_bits))
        return err_set(err, ERR_INVALID, "the range %s has bits beyond its first %d", text,
                       range.bits);
    *out = range;
    return 0;
}

/* --- What is public ----------------------------------------------------------------------- */

/* The registries of special-purpose addresses (RFC 6890 and after), and what clouds keep in
 * public space for themselves. */
static const struct {
    uint8_t bytes[4];
    int bits;
} closed_ipv4[] = {
    {{0, 0, 0, 0}, 8},        /* this host */
    {{10, 0, 0, 0}, 8},       /* private */
    {{100, 64, 0, 0}, 10},    /* behind a provider's NAT; a cloud's metadata */
    {{127, 0, 0, 0}, 8},      /* loopback */
    {{168, 63, 129, 16}, 32}, /* a cloud's metadata */
    {{169, 254, 0, 0}, 16},   /* link-local, metadata */
    {{172, 16, 0, 0}, 12},    /* private */
    {{192, 0, 0, 0}, 24},     /* protocol assignments, metadata */
    {{192, 0, 2, 0}, 24},     /* documentation */
    {{192, 88, 99, 0}, 24},   /* relays of 6to4 */
    {{192, 168, 0, 0}, 16},   /* private */
    {{198, 18, 0, 0}, 15},    /* benchmarks */
    {{198, 51, 100, 0}, 24},  /* documentation */
    {{203, 0, 113, 0}, 24},   /* documentation */
    {{224, 0, 0, 0}, 4},      /* multicast */
    {{240, 0, 0, 0}, 4},      /* reserved, broadcast */
};

/* Inside 2000::/3; nothing outside it is public. */
static const struct {
    uint8_t bytes[16];
    int bits;
} closed_ipv6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

static bool ipv4_is_public(const uint8_t bytes[4])
{
    for (size_t i = 0; i < ARRAY_SIZE(closed_ipv4); i++)
        if (same_bits(bytes, closed_ipv4[i].bytes, closed_ipv4[i].bits))
            return false;
    return true;
}

static bool ipv6_is_public(const uint8_t bytes[16])
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

    if (memcmp(bytes, nat64, sizeof(nat64)) == 0)
        return ipv4_is_public(bytes + 12);
    if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4 */
        return ipv4_is_public(bytes + 2);
    if (bytes[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(closed_ipv6); i++)
        if (same_bits(bytes, closed_ipv6[i].bytes, closed_ipv6[i].bits))
            return false;
    return true;
}

bool address_is_public(const struct sockaddr *address)
{
    uint8_t bytes[16];
    int n_bytes = bytes_of(address, bytes);

    return n_bytes == 4 ? ipv4_is_public(bytes) : n_bytes == 16 && ipv6_is_public(bytes);
}

bool address_allowed(const struct sockaddr *address, const struct address_range *ranges,
                     size_t n_ranges)
{
    if (address_is_public(address))
        return true;
    for (size_t i = 0; i < n_ranges; i++)
        if (address_in_range(address, &ranges[i]))
            return true;
    return false;
}

/* --- URLs --------------------------------------------------------------------------------- */

/* Names whose address is known without asking. */
static const char *address_of_name(const char *host)
{
    static const struct {
        const char *name; /* itself and what is under it */
        const char *address;
    } names[] = {
        {"localhost", "127.0.0.1"},
        {"localhost.localdomain", "127.0.0.1"},
        {"ip6-localhost", "::1"},
        {"ip6-loopback", "::1"},
        {"metadata.google.internal", "169.254.169.254"},
    };
    size_t length = strlen(host);

    length -= length && host[length - 1] == '.';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t size = strlen(names[i].name);

        if (length >= size && strncasecmp(host + length - size, names[i].name, size) == 0
            && (length == size || host[length - size - 1] == '.'))
            return names[i].address;
    }
    return host;
}

static char *part_of(CURLU *url, CURLUPart which)
{
    char *part = NULL;
    CURLUcode code = curl_url_get(url, which, &part, 0);
    char *copy;

    if (code == CURLUE_OUT_OF_MEMORY)
        out_of_memory();
    if (code != CURLUE_OK)
        return NULL;
    copy = xstrdup(part);
    curl_free(part);
    return copy;
}

/* The host of a URL without user and password; the caller frees it. */
static char *host_of(const char *url, struct err *err)
{
    CURLU *parsed = curl_url();
    CURLUcode code = parsed ? curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER)
                            : CURLUE_OUT_OF_MEMORY;
    char *host = code == CURLUE_OK ? part_of(parsed, CURLUPART_HOST) : NULL;

    if (code == CURLUE_OUT_OF_MEMORY)
        out_of_memory();
    curl_url_cleanup(parsed);
    if (!host)
        (void)err_set(err, ERR_INVALID,
                      code == CURLUE_USER_NOT_ALLOWED
                          ? "a URL with a user name or password isn't taken"
                          : "not a URL of http or https");
    return host;
}

int address_check_url(const char *url, const struct address_range *ranges, size_t n_ranges,
                      struct err *err)
{
    struct sockaddr_storage address;
    scoped_str shown = NULL;
    scoped_str host = NULL;

    if (url_check(url, &shown, err) < 0)
        return -1;
    host = host_of(url, err);
    if (!host)
        return -1;
    if (address_parse(address_of_name(host), &address)
        && !address_allowed((const struct sockaddr *)&address, ranges, n_ranges))
        return err_set(err, ERR_INVALID,
                       "must be a public URL, no localhost or private addresses");
    return 0;
}
