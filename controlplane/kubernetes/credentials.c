/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/credentials.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#define TOKEN_MAX_BYTES 16384
#define PEM_MAX_BYTES (1024 * 1024)

struct credentials {
    const struct access *access;
    const volatile bool *stop;

    pthread_mutex_t lock; /* held while files are read and the plugin runs: others wait */
    struct identity *current;
    uint64_t last_serial;
    uint64_t last_tls_serial;
    int64_t read_ms;  /* when `current` was made, wall clock */
    int64_t renew_ms; /* when a plugin is to be asked again, wall clock; 0: never */
    int64_t asked_ms; /* when it was asked last */
    bool asked;
    struct err failed; /* why it has given us nothing yet */
};

void identity_free(struct identity *identity)
{
    if (!identity || atomic_fetch_sub(&identity->holders, 1) > 1)
        return;
    secret_free(identity->token);
    free(identity->ca_pem);
    free(identity->client_cert_pem);
    secret_free(identity->client_key_pem);
    free(identity);
}

/* --- Files ---------------------------------------------------------------------------- */

static void wipe(struct buf *buf)
{
    if (buf->data)
        secret_wipe(buf->data, buf->size);
    buf_done(buf);
}

#define scoped_secret_buf __attribute__((cleanup(wipe))) struct buf

static struct secret *read_token(const char *path, struct err *err)
{
    scoped_secret_buf text = {0};
    size_t start;

    if (buf_read_file(&text, path, TOKEN_MAX_BYTES, err) < 0)
        return NULL;
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1]))
        text.data[--text.size] = '\0';
    start = text.data ? strspn(text.data, " \t\r\n") : 0;
    if (start >= text.size) {
        (void)err_set(err, ERR_INVALID, "%s: there is no token in it", path);
        return NULL;
    }
    return secret_new(text.data + start);
}

/* A copy of `text`, or what stands in the file. *out stays NULL where there is neither. */
static int read_pem(const char *text, const char *path, char **out, struct err *err)
{
    scoped_secret_buf read = {0};

    if (text || !path) {
        *out = xstrdup(text);
        return 0;
    }
    if (buf_read_file(&read, path, PEM_MAX_BYTES, err) < 0)
        return -1;
    if (!read.data || strlen(read.data) != read.size || !strstr(read.data, "-----BEGIN "))
        return err_set(err, ERR_INVALID, "%s: not PEM", path);
    *out = xstrdup(read.data);
    return 0;
}

static int read_key(const struct access *access, struct secret **out, struct err *err)
{
    scoped_str text = NULL;
    int result = 0;

    if (access->client_key_pem)
        *out = secret_new(secret_reveal(access->client_key_pem));
    else
        result = read_pem(NULL, access->client_key_file, &text, err);
    if (text) {
        *out = secret_new(text);
        secret_wipe(text, strlen(text));
    }
    return result;
}

/* --- Making an identity --------------------------------------------------------------- */

static int ask_plugin(struct credentials *c, struct identity *identity, struct err *err)
{
    scoped_exec_credential credential = {0};
    int64_t now_ms = clock_wall_ms();

    c->asked = true;
    c->asked_ms = now_ms;
    if (exec_plugin_run(c->access->plugin, c->stop, &credential, err) < 0)
        return -1;
    identity->token = TAKE(credential.token);
    if (credential.client_cert_pem && !identity->client_cert_pem) {
        identity->client_cert_pem = TAKE(credential.client_cert_pem);
        identity->client_key_pem = TAKE(credential.client_key_pem);
    }
    c->renew_ms = 0;
    if (credential.expires_ms) {
        c->renew_ms = credential.expires_ms - CREDENTIALS_LEEWAY_MS;
        if (c->renew_ms < now_ms + CREDENTIALS_PLUGIN_PAUSE_MS)
            c->renew_ms = now_ms + CREDENTIALS_PLUGIN_PAUSE_MS;
    }
    return 0;
}

/* Without asking a plugin, its part is the current identity's. */
static void keep_plugins_part(const struct identity *current, struct identity *identity)
{
    if (!current)
        return;
    identity->token = secret_new(secret_reveal(current->token));
    if (current->client_cert_pem && !identity->client_cert_pem) {
        identity->client_cert_pem = xstrdup(current->client_cert_pem);
        identity->client_key_pem = secret_new(secret_reveal(current->client_key_pem));
    }
}

static int fill(struct credentials *c, bool ask, struct identity *identity, struct err *err)
{
    const struct access *access = c->access;

    if (read_pem(access->ca_pem, access->ca_file, &identity->ca_pem, err) < 0
        || read_pem(access->client_cert_pem, access->client_cert_file,
                    &identity->client_cert_pem, err)
               < 0
        || read_key(access, &identity->client_key_pem, err) < 0)
        return -1;
    if (access->token_file) {
        identity->token = read_token(access->token_file, err);
        return identity->token ? 0 : -1;
    }
    if (access->token)
        identity->token = secret_new(secret_reveal(access->token));
    else if (access->plugin && ask)
        return ask_plugin(c, identity, err);
    else if (access->plugin)
        keep_plugins_part(c->current, identity);
    return 0;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return strcmp(secret_reveal(a), secret_reveal(b)) == 0;
}

static bool same_tls(const struct identity *a, const struct identity *b)
{
    return same(a->ca_pem, b->ca_pem) && same(a->client_cert_pem, b->client_cert_pem)
           && same_secret(a->client_key_pem, b->client_key_pem);
}

/* Under the lock. Makes a new identity the current one, unless nothing has changed. */
static int reread(struct credentials *c, bool ask, struct err *err)
{
    scoped(identity) made = xcalloc(1, sizeof(*made));
    bool tls_stays;

    made->holders = 1;
    c->read_ms = clock_wall_ms();
    if (fill(c, ask, made, err) < 0)
        return err_wrap(err, "%s", c->access->source);
    tls_stays = c->current && same_tls(c->current, made);
    if (tls_stays && same_secret(c->current->token, made->token))
        return 0;
    made->serial = ++c->last_serial;
    made->tls_serial = tls_stays ? c->current->tls_serial : ++c->last_tls_serial;
    identity_free(c->current);
    c->current = TAKE(made);
    return 0;
}

/* --- Being asked ---------------------------------------------------------------------- */

struct credentials *credentials_new(const struct access *access, const volatile bool *stop,
                                    struct err *err)
{
    scoped(credentials) c = xcalloc(1, sizeof(*c));

    (void)pthread_mutex_init(&c->lock, NULL);
    c->access = access;
    c->stop = stop;
    if (reread(c, false, err) < 0)
        return NULL;
    return TAKE(c);
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    identity_free(credentials->current);
    (void)pthread_mutex_destroy(&credentials->lock);
    free(credentials);
}

static bool is_plugin_due(const struct credentials *c, int64_t now_ms)
{
    if (!c->access->plugin)
        return false;
    return !c->asked || (c->renew_ms && now_ms >= c->renew_ms);
}

/* Also when the clock was set back. */
static bool is_file_due(const struct credentials *c, int64_t now_ms)
{
    return now_ms < c->read_ms || now_ms - c->read_ms >= CREDENTIALS_REREAD_MS;
}

static bool has_credential(const struct credentials *c)
{
    return !c->access->plugin || c->current->token || c->current->client_cert_pem;
}

/* Under the lock. */
static int refresh(struct credentials *c, struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    bool ask = is_plugin_due(c, now_ms);
    bool failed = (ask || is_file_due(c, now_ms)) && reread(c, ask, &c->failed) < 0;

    if (failed && ask)
        c->renew_ms = now_ms + CREDENTIALS_PLUGIN_PAUSE_MS;
    if (!has_credential(c)) {
        *err = c->failed;
        return -1;
    }
    if (failed)
        log_warn("reading the cluster's credentials failed, going on with the old ones",
                 KV("error", c->failed.text));
    return 0;
}

struct identity *credentials_get(struct credentials *c, struct err *err)
{
    struct identity *identity = NULL;

    (void)pthread_mutex_lock(&c->lock);
    if (refresh(c, err) == 0) {
        identity = c->current;
        (void)atomic_fetch_add(&identity->holders, 1);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return identity;
}

/* Under the lock. */
static bool renew(struct credentials *c)
{
    int64_t now_ms = clock_wall_ms();
    bool ask = c->access->plugin != NULL;
    uint64_t before = c->current->serial;
    struct err failed = {0};

    if (ask && c->asked && now_ms >= c->asked_ms
        && now_ms - c->asked_ms < CREDENTIALS_PLUGIN_PAUSE_MS)
        return false;
    if (reread(c, ask, &failed) < 0) {
        log_warn("the cluster doesn't accept our credentials, and reading them again failed",
                 KV("error", failed.text));
        return false;
    }
    return c->current->serial != before;
}

bool credentials_renew(struct credentials *c, const struct identity *refused)
{
    bool newer;

    (void)pthread_mutex_lock(&c->lock);
    newer = c->current->serial != refused->serial || renew(c);
    (void)pthread_mutex_unlock(&c->lock);
    return newer;
}
