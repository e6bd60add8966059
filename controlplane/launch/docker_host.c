/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_host.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define DEFAULT_HOST "unix:///var/run/docker.sock"
#define PORT_PLAIN "2375"
#define PORT_TLS "2376"
#define PEM_MAX_BYTES 65536
#define SOCKET_PATH_MAX 107 /* sun_path with its NUL */

void docker_host_done(struct docker_host *host)
{
    free(host->shown);
    free(host->url);
    free(host->unix_socket);
    free(host->ca_file);
    free(host->cert_pem);
    secret_free(host->key_pem);
    *host = (struct docker_host){0};
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* --- Certificates ------------------------------------------------------------------------ */

struct certificates {
    char *ca;
    char *cert;
    char *key;
};

static void certificates_done(struct certificates *files)
{
    free(files->ca);
    free(files->cert);
    free(files->key);
}
#define scoped_certificates __attribute__((cleanup(certificates_done))) struct certificates

/* The settings' or, where there are none, those of Docker's own client. */
static void find_certificates(const struct config_docker *settings, struct certificates *out)
{
    const char *folder = from_environment("DOCKER_CERT_PATH");

    if (settings->ca_file || settings->cert_file || settings->key_file) {
        out->ca = xstrdup(settings->ca_file);
        out->cert = xstrdup(settings->cert_file);
        out->key = xstrdup(settings->key_file);
    } else if (folder && from_environment("DOCKER_TLS_VERIFY")) {
        out->ca = xasprintf("%s/ca.pem", folder);
        out->cert = xasprintf("%s/cert.pem", folder);
        out->key = xasprintf("%s/key.pem", folder);
    }
}

static int read_pem(const char *path, struct buf *out, struct err *err)
{
    return buf_read_file(out, path, PEM_MAX_BYTES, err);
}

static int read_certificates(const struct certificates *files, struct docker_host *out,
                             struct err *err)
{
    scoped_buf cert = {0};
    scoped_buf key = {0};
    int failed = 0;

    if (!files->cert != !files->key)
        return err_set(err, ERR_INVALID,
                       "docker.cert_file and docker.key_file need each other");
    out->ca_file = xstrdup(files->ca);
    if (!files->cert)
        return 0;
    if (read_pem(files->cert, &cert, err) < 0 || read_pem(files->key, &key, err) < 0) {
        failed = -1;
    } else {
        out->cert_pem = buf_take(&cert);
        out->key_pem = secret_new(key.data);
    }
    if (key.data)
        secret_wipe(key.data, key.size);
    return failed;
}

/* --- The address ------------------------------------------------------------------------- */

/* HOST, HOST:PORT, [ADDRESS]:PORT, and nothing behind it. */
static bool is_authority(const char *text)
{
    size_t length = strlen(text);

    return length && length < 256
           && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                           ".-_:[]")
                  == length;
}

static bool has_port(const char *authority)
{
    const char *bracket = strrchr(authority, ']');

    return strchr(bracket ? bracket : authority, ':') != NULL;
}

static int set_tcp(const char *authority, bool tls, struct docker_host *out, struct err *err)
{
    const char *scheme = tls ? "https" : "http";
    scoped_str bare = xstrdup(authority);
    size_t length = strlen(bare);

    if (length && bare[length - 1] == '/')
        bare[length - 1] = '\0';
    if (!is_authority(bare))
        return err_set(err, ERR_INVALID, "docker.host: expected tcp://HOST:PORT");
    out->url = has_port(bare)
                   ? xasprintf("%s://%s", scheme, bare)
                   : xasprintf("%s://%s:%s", scheme, bare, tls ? PORT_TLS : PORT_PLAIN);
    return 0;
}

static int set_unix(const char *path, struct docker_host *out, struct err *err)
{
    if (*path != '/' || strlen(path) > SOCKET_PATH_MAX)
        return err_set(err, ERR_INVALID,
                       "docker.host: expected unix:// and a path of at most %d bytes",
                       SOCKET_PATH_MAX);
    out->unix_socket = xstrdup(path);
    out->url = xstrdup("http://docker"); /* some host has to stand there */
    return 0;
}

static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int set_address(const char *text, bool tls, struct docker_host *out, struct err *err)
{
    const char *rest;

    if ((rest = after(text, "unix://")))
        return set_unix(rest, out, err);
    if ((rest = after(text, "tcp://")))
        return set_tcp(rest, tls, out, err);
    if ((rest = after(text, "https://")))
        return set_tcp(rest, true, out, err);
    if ((rest = after(text, "http://")))
        return set_tcp(rest, false, out, err);
    return err_set(err, ERR_INVALID,
                   "docker.host: expected unix:///path or tcp://HOST:PORT (for ssh://, forward "
                   "the socket with ssh -L)");
}

int docker_host_of(const struct config_docker *settings, struct docker_host *out,
                   struct err *err)
{
    const char *host = settings->host ? settings->host : from_environment("DOCKER_HOST");
    scoped_certificates files = {0};

    *out = (struct docker_host){.shown = xstrdup(host ? host : DEFAULT_HOST)};
    find_certificates(settings, &files);
    if (set_address(out->shown, files.ca || files.cert, out, err) < 0)
        return -1;
    return out->unix_socket ? 0 : read_certificates(&files, out, err);
}

bool docker_host_is_exposed(const struct docker_host *host)
{
    static const char *const ours[] = {"http://127.", "http://localhost:", "http://[::1]:"};

    if (host->unix_socket || after(host->url, "https://"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (after(host->url, ours[i]))
            return false;
    return true;
}
