/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "model/token.h"

#define URL_MAX_BYTES 2048

/* A URL taken apart; everything points into it. */
struct parts {
    bool ssh;
    const char *user; /* "" for none */
    size_t user_size;
    const char *host; /* an IPv6 address keeps its brackets */
    size_t host_size;
    const char *port; /* "" for the scheme's own */
    size_t port_size;
    const char *path; /* behind the first slash (or colon) */
};

/* --- Taking apart ------------------------------------------------------------------------- */

static bool visible_ascii(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || (unsigned char)*c >= 0x7f)
            return false;
    return strnlen(text, URL_MAX_BYTES + 1) <= URL_MAX_BYTES;
}

/* Behind "scheme://", or NULL. */
static const char *behind_scheme(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);

    return strncasecmp(url, scheme, length) == 0 ? url + length : NULL;
}

/* [user@]host, without a port. */
static void read_host(const char *text, size_t size, struct parts *out)
{
    const char *at = memrchr(text, '@', size);

    out->user = at ? text : "";
    out->user_size = at ? (size_t)(at - text) : 0;
    out->host = at ? at + 1 : text;
    out->host_size = size - (size_t)(out->host - text);
    out->port = "";
    out->port_size = 0;
}

/* [user@]host[:port] */
static void read_authority(const char *text, size_t size, const char *own_port,
                           struct parts *out)
{
    const char *colon;

    read_host(text, size, out);
    colon = memrchr(out->host, ':', out->host_size);
    if (!colon || memchr(colon, ']', out->host_size - (size_t)(colon - out->host)))
        return;
    out->port = colon + 1;
    out->port_size = out->host_size - (size_t)(colon + 1 - out->host);
    out->host_size = (size_t)(colon - out->host);
    if (out->port_size == strlen(own_port) && strncmp(out->port, own_port, out->port_size) == 0)
        out->port_size = 0;
}

/* scheme://authority/path, or git's own [user@]host:path. */
static bool take_apart(const char *url, struct parts *out)
{
    static const struct {
        const char *scheme;
        const char *port;
        bool ssh;
    } schemes[] = {
        {"https://", "443", false}, {"http://", "80", false}, {"ssh://", "22", true}};

    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        const char *authority = behind_scheme(url, schemes[i].scheme);
        size_t size = authority ? strcspn(authority, "/?#") : 0;

        if (!authority)
            continue;
        out->ssh = schemes[i].ssh;
        read_authority(authority, size, schemes[i].port, out);
        out->path = authority + size + (authority[size] == '/');
        return true;
    }
    size_t size = strcspn(url, ":/");
    if (url[size] != ':' || strncmp(url + size, "://", 3) == 0 || !memchr(url, '@', size))
        return false;
    read_host(url, size, out);
    out->ssh = true;
    out->path = url + size + 1;
    return true;
}

/* --- Repositories ------------------------------------------------------------------------- */

static bool same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    return a_size == b_size && strncasecmp(a, b, a_size) == 0;
}

/* The port of ssh is no business of the server's URL. */
static bool same_server(const struct parts *url, const struct parts *server)
{
    return same(url->host, url->host_size, server->host, server->host_size)
           && (url->ssh || same(url->port, url->port_size, server->port, server->port_size));
}

/* OWNER/NAME in a path like /o/r.git/, under the server's own path. */
static char *repo_in_path(const char *path, const char *prefix)
{
    size_t prefix_size = strlen(prefix);
    scoped_str repo = NULL;
    size_t length;

    path += *path == '/'; /* git@host:/o/r */
    if (prefix_size) {
        if (strncmp(path, prefix, prefix_size) != 0 || path[prefix_size] != '/')
            return NULL;
        path += prefix_size + 1;
    }
    length = strlen(path);
    length -= length && path[length - 1] == '/';
    length -= length > 4 && strncasecmp(path + length - 4, ".git", 4) == 0 ? 4 : 0;
    repo = xstrndup(path, length);
    return repo_name_valid(repo) ? TAKE(repo) : NULL;
}

char *repository_from_url(const char *server_url, const char *url, const char *field,
                          struct err *err)
{
    struct parts server = {0};
    struct parts given = {0};
    char *repo;

    if (!take_apart(server_url, &server)) {
        (void)err_set(err, ERR_INTERNAL, "the configured server isn't a URL");
        return NULL;
    }
    if (!visible_ascii(url) || !take_apart(url, &given) || !given.host_size) {
        (void)err_set_field(err, field, "expected a git URL of %.*s", (int)server.host_size,
                            server.host);
        return NULL;
    }
    if (!given.ssh && given.user_size) {
        (void)err_set_field(err, field, "a URL with a user name or password isn't taken");
        return NULL;
    }
    if (!same_server(&given, &server)) {
        (void)err_set_field(err, field, "only repositories of %.*s are served",
                            (int)server.host_size, server.host);
        return NULL;
    }
    repo = repo_in_path(given.path, given.ssh ? "" : server.path);
    if (!repo)
        (void)err_set_field(err, field, "expected OWNER/NAME behind the host");
    return repo;
}

/* --- Branches ----------------------------------------------------------------------------- */

/* One part between slashes. */
static bool part_valid(const char *part, size_t size)
{
    return size && part[0] != '.' && !(size >= 5 && strncmp(part + size - 5, ".lock", 5) == 0);
}

bool branch_name_valid(const char *name)
{
    size_t length = strnlen(name, BRANCH_MAX_BYTES + 1);

    if (!length || length > BRANCH_MAX_BYTES || name[0] == '-' || name[length - 1] == '.'
        || strcmp(name, "@") == 0 || strcmp(name, "HEAD") == 0 || strstr(name, "..")
        || strstr(name, "@{") || strpbrk(name, " ~^:?*[\\"))
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (!part_valid(part, strcspn(part, "/")))
            return false;
    return true;
}
