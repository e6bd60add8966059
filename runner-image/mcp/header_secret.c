/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/header_secret.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

#define KEY_MIN_BYTES 16
#define PART_MIN_BYTES 8

static bool says_credential(const char *name)
{
    static const char *const words[] = {"auth",   "cookie",     "key",  "token", "secret",
                                        "passwd", "credential", "pass", "sign",  "session"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

/* Long, of one piece, with letters and digits. */
static bool looks_like_key(const char *text, size_t size)
{
    bool letter = false;
    bool digit = false;

    for (size_t i = 0; i < size; i++) {
        if (!isgraph((unsigned char)text[i]) || strchr("/;,", text[i]))
            return false;
        letter |= isalpha((unsigned char)text[i]) != 0;
        digit |= isdigit((unsigned char)text[i]) != 0;
    }
    return size >= KEY_MIN_BYTES && letter && digit;
}

static void redact(const char *text, struct redaction *redaction)
{
    struct secret *secret = secret_new(text);

    redaction_add(redaction, secret);
    secret_free(secret);
}

/* As it is, and as JSON writes it: quotes and backslashes escaped, some escape slashes too. */
static void redact_written(const char *text, size_t size, struct redaction *redaction)
{
    struct buf plain = {0};
    struct buf quoted = {0};
    struct buf slashed = {0};

    buf_append(&plain, text, size);
    for (const char *c = plain.data; c && *c; c++) {
        if (strchr("\"\\", *c))
            buf_append(&quoted, "\\", 1);
        if (strchr("\"\\/", *c))
            buf_append(&slashed, "\\", 1);
        buf_append(&quoted, c, 1);
        buf_append(&slashed, c, 1);
    }
    if (plain.data) {
        redact(plain.data, redaction);
        redact(quoted.data, redaction); /* the same again changes nothing */
        redact(slashed.data, redaction);
        secret_wipe(plain.data, plain.size);
        secret_wipe(quoted.data, quoted.size);
        secret_wipe(slashed.data, slashed.size);
    }
    buf_done(&plain);
    buf_done(&quoted);
    buf_done(&slashed);
}

void header_secret_redact(const char *name, const char *value, struct redaction *redaction)
{
    static const char between[] = " ;,";
    bool credential = says_credential(name);

    if (credential)
        redact_written(value, strlen(value), redaction);
    for (const char *at = value; *at;) {
        size_t size = strcspn(at, between);
        const char *equals = memchr(at, '=', size);
        size_t name_size = equals ? (size_t)(equals + 1 - at) : 0;

        if (looks_like_key(at, size) || (credential && at != value && size >= PART_MIN_BYTES))
            redact_written(at, size, redaction);
        if (name_size && looks_like_key(at + name_size, size - name_size))
            redact_written(at + name_size, size - name_size, redaction);
        at += size;
        at += strspn(at, between);
    }
}
