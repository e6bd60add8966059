/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc_issuer.h"

#include <openssl/rsa.h>

#include "../unit/net/server.h"
#include "jwt_signer.h"

struct oidc_issuer {
    struct server server;
    char *url;
    pthread_mutex_t lock; /* over all below */
    pthread_cond_t let_go;
    EVP_PKEY *key;
    char *kid;
    char *name;     /* NULL: url */
    char *jwks_uri; /* NULL: <url>/keys */
    int status;
    char *cache_control;
    bool hold;
    int fetches;
};

static char *discovery(struct oidc_issuer *issuer)
{
    scoped_str body = NULL;
    scoped_str keys = xasprintf("%s/keys", issuer->url);

    (void)pthread_mutex_lock(&issuer->lock);
    body = xasprintf("{\"issuer\":\"%s\",\"jwks_uri\":\"%s\",\"more\":[]}",
                     issuer->name ? issuer->name : issuer->url,
                     issuer->jwks_uri ? issuer->jwks_uri : keys);
    (void)pthread_mutex_unlock(&issuer->lock);
    return xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static char *keys(struct oidc_issuer *issuer)
{
    scoped_str jwk = NULL;
    scoped_str body = NULL;
    scoped_str age = NULL;
    char *answer;

    (void)pthread_mutex_lock(&issuer->lock);
    issuer->fetches++;
    while (issuer->hold)
        (void)pthread_cond_wait(&issuer->let_go, &issuer->lock);
    jwk = jwt_signer_jwk(issuer->key, issuer->kid, ",\"use\":\"sig\"");
    body = jwt_signer_jwks(jwk, NULL);
    age = issuer->cache_control ? xasprintf("Cache-Control: %s\r\n", issuer->cache_control)
                                : xstrdup("");
    answer = xasprintf("HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n%s", issuer->status,
                       age, strlen(body), body);
    (void)pthread_mutex_unlock(&issuer->lock);
    return answer;
}

/* A request without a body; false when the client is gone. */
static bool read_head(int fd, char *out, size_t room)
{
    size_t size = 0;

    for (;;) {
        ssize_t n = recv(fd, out + size, room - 1 - size, 0);

        if (n <= 0)
            return false;
        size += (size_t)n;
        out[size] = '\0';
        if (strstr(out, "\r\n\r\n"))
            return true;
    }
}

static void serve(struct conn *conn)
{
    struct oidc_issuer *issuer = conn->server->ctx;
    char head[8192];

    while (read_head(conn->fd, head, sizeof(head))) {
        scoped_str answer = NULL;

        if (strncmp(head, "GET /.well-known/openid-configuration ", 38) == 0)
            answer = discovery(issuer);
        else if (strncmp(head, "GET /keys ", 10) == 0)
            answer = keys(issuer);
        else
            answer = xstrdup("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        if (!conn_say(conn, answer))
            return;
    }
}

struct oidc_issuer *oidc_issuer_new(void)
{
    struct oidc_issuer *issuer = xcalloc(1, sizeof(*issuer));

    (void)pthread_mutex_init(&issuer->lock, NULL);
    (void)pthread_cond_init(&issuer->let_go, NULL);
    issuer->status = 200;
    oidc_issuer_rotate(issuer, "first");
    server_start(&issuer->server, serve, NULL);
    issuer->url = server_url(&issuer->server, "");
    issuer->server.ctx = issuer;
    return issuer;
}

void oidc_issuer_free(struct oidc_issuer *issuer)
{
    if (!issuer)
        return;
    oidc_issuer_hold(issuer, false);
    server_stop(&issuer->server);
    EVP_PKEY_free(issuer->key);
    free(issuer->kid);
    free(issuer->name);
    free(issuer->jwks_uri);
    free(issuer->cache_control);
    free(issuer->url);
    (void)pthread_cond_destroy(&issuer->let_go);
    (void)pthread_mutex_destroy(&issuer->lock);
    free(issuer);
}

const char *oidc_issuer_url(const struct oidc_issuer *issuer)
{
    return issuer->url;
}

static void replace(char **member, const char *text)
{
    free(*member);
    *member = xstrdup(text);
}

void oidc_issuer_rotate(struct oidc_issuer *issuer, const char *kid)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);

    (void)pthread_mutex_lock(&issuer->lock);
    EVP_PKEY_free(issuer->key);
    issuer->key = key;
    replace(&issuer->kid, kid);
    (void)pthread_mutex_unlock(&issuer->lock);
}

void oidc_issuer_say(struct oidc_issuer *issuer, const char *name, const char *jwks_uri)
{
    (void)pthread_mutex_lock(&issuer->lock);
    replace(&issuer->name, name);
    replace(&issuer->jwks_uri, jwks_uri);
    (void)pthread_mutex_unlock(&issuer->lock);
}

void oidc_issuer_answer(struct oidc_issuer *issuer, int status, const char *cache_control)
{
    (void)pthread_mutex_lock(&issuer->lock);
    issuer->status = status;
    replace(&issuer->cache_control, cache_control);
    (void)pthread_mutex_unlock(&issuer->lock);
}

void oidc_issuer_hold(struct oidc_issuer *issuer, bool hold)
{
    (void)pthread_mutex_lock(&issuer->lock);
    issuer->hold = hold;
    (void)pthread_cond_broadcast(&issuer->let_go);
    (void)pthread_mutex_unlock(&issuer->lock);
}

int oidc_issuer_fetches(struct oidc_issuer *issuer)
{
    int fetches;

    (void)pthread_mutex_lock(&issuer->lock);
    fetches = issuer->fetches;
    (void)pthread_mutex_unlock(&issuer->lock);
    return fetches;
}

char *oidc_issuer_token(struct oidc_issuer *issuer, const char *more_claims)
{
    scoped_str claims = xasprintf("{\"iss\":\"%s\"%s}", issuer->url, more_claims);
    scoped_str header = NULL;
    char *token;

    (void)pthread_mutex_lock(&issuer->lock);
    header = xasprintf("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"x\",\"kid\":\"%s\"}",
                       issuer->kid);
    token = jwt_signer_sign(issuer->key, header, claims);
    (void)pthread_mutex_unlock(&issuer->lock);
    return token;
}
