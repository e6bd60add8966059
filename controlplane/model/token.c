/* SPDX-License-Identifier: Apache-2.0 */
#include "model/token.h"

#include <string.h>
#include <strings.h>

#include "crypto/random.h"

#define INTEGRATION_PREFIX_LENGTH (sizeof(INTEGRATION_TOKEN_PREFIX) - 1)
#define PERSONAL_PREFIX_LENGTH (sizeof(PERSONAL_TOKEN_PREFIX) - 1)
#define TASK_PREFIX_LENGTH (sizeof(TASK_TOKEN_PREFIX) - 1)
#define PLAIN_TOKEN_SIZE (PERSONAL_PREFIX_LENGTH + RANDOM_BASE62_LENGTH + 1)
#define TASK_TOKEN_SIZE (TASK_PREFIX_LENGTH + ID_LENGTH + 1 + RANDOM_BASE62_LENGTH + 1)
#define OWNER_LENGTH_MAX 39
#define REPO_NAME_LENGTH_MAX 100

#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

void integration_token_free(struct integration_token *token)
{
    if (!token)
        return;
    free(token->repo);
    free(token->launcher);
    free(token->created_by);
    free(token->name);
    free(token);
}

void personal_token_free(struct personal_token *token)
{
    if (!token)
        return;
    free(token->user);
    free(token->email);
    free(token->name);
    free(token->created_by);
    free(token);
}

static const struct {
    enum token_scope scope;
    const char *name;
    unsigned implied; /* itself among them */
} scopes_known[] = {
    {TOKEN_READ, "read", TOKEN_READ},
    {TOKEN_DISPATCH, "dispatch", TOKEN_DISPATCH | TOKEN_READ},
    {TOKEN_ADMIN, "admin", TOKEN_ADMIN | TOKEN_DISPATCH | TOKEN_READ},
};

const char *token_scope_name(enum token_scope scope)
{
    for (size_t i = 0; i < ARRAY_SIZE(scopes_known); i++)
        if (scopes_known[i].scope == scope)
            return scopes_known[i].name;
    return NULL;
}

bool token_scope_parse(const char *name, enum token_scope *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(scopes_known); i++) {
        if (strcmp(scopes_known[i].name, name) == 0) {
            *out = scopes_known[i].scope;
            return true;
        }
    }
    return false;
}

bool token_scopes_allow(unsigned scopes, enum token_scope wanted)
{
    for (size_t i = 0; i < ARRAY_SIZE(scopes_known); i++)
        if (scopes & scopes_known[i].scope && scopes_known[i].implied & wanted)
            return true;
    return false;
}

/* A prefix and the random part. */
static struct secret *plain_token_make(const char *prefix, char out_display[TOKEN_DISPLAY_SIZE])
{
    char text[PLAIN_TOKEN_SIZE];
    int length = snprintf(text, sizeof(text), "%s", prefix);
    struct secret *token;

    random_base62(text + length);
    memcpy(out_display, text, TOKEN_DISPLAY_SIZE - 1);
    out_display[TOKEN_DISPLAY_SIZE - 1] = '\0';
    token = secret_new(text);
    secret_wipe(text, sizeof(text));
    return token;
}

struct secret *integration_token_make(char out_display[TOKEN_DISPLAY_SIZE])
{
    return plain_token_make(INTEGRATION_TOKEN_PREFIX, out_display);
}

struct secret *personal_token_make(char out_display[TOKEN_DISPLAY_SIZE])
{
    return plain_token_make(PERSONAL_TOKEN_PREFIX, out_display);
}

static struct secret *task_token_of(struct id run, const char random[RANDOM_BASE62_LENGTH + 1])
{
    char text[TASK_TOKEN_SIZE] = TASK_TOKEN_PREFIX;
    struct secret *token;

    id_text(run, text + TASK_PREFIX_LENGTH);
    text[TASK_PREFIX_LENGTH + ID_LENGTH] = '_';
    memcpy(text + TASK_PREFIX_LENGTH + ID_LENGTH + 1, random, RANDOM_BASE62_LENGTH + 1);
    token = secret_new(text);
    secret_wipe(text, sizeof(text));
    return token;
}

struct secret *task_token_make(struct id run)
{
    char random[RANDOM_BASE62_LENGTH + 1];
    struct secret *token;

    random_base62(random);
    token = task_token_of(run, random);
    secret_wipe(random, sizeof(random));
    return token;
}

struct secret *task_token_derive(struct id run, int attempt,
                                 const uint8_t key[TASK_TOKEN_KEY_SIZE])
{
    const struct {
        struct id run;
        int64_t attempt;
    } about = {run, attempt};
    uint8_t number[SHA256_SIZE];
    char digits[RANDOM_BASE62_LENGTH + 1];
    struct secret *token;

    hmac_sha256(key, TASK_TOKEN_KEY_SIZE, &about, sizeof(about), number);
    base62_256(number, digits);
    token = task_token_of(run, digits);
    secret_wipe(number, sizeof(number));
    secret_wipe(digits, sizeof(digits));
    return token;
}

static bool is_random_part(const char *text)
{
    return strspn(text, DIGITS LETTERS) == RANDOM_BASE62_LENGTH
           && text[RANDOM_BASE62_LENGTH] == '\0';
}

bool integration_token_well_formed(const char *text)
{
    return text && strncmp(text, INTEGRATION_TOKEN_PREFIX, INTEGRATION_PREFIX_LENGTH) == 0
           && is_random_part(text + INTEGRATION_PREFIX_LENGTH);
}

bool personal_token_well_formed(const char *text)
{
    return text && strncmp(text, PERSONAL_TOKEN_PREFIX, PERSONAL_PREFIX_LENGTH) == 0
           && is_random_part(text + PERSONAL_PREFIX_LENGTH);
}

bool task_token_parse(const char *text, struct id *out)
{
    char id[ID_TEXT_SIZE];

    if (!text || strnlen(text, TASK_TOKEN_SIZE) != TASK_TOKEN_SIZE - 1
        || strncmp(text, TASK_TOKEN_PREFIX, TASK_PREFIX_LENGTH) != 0
        || text[TASK_PREFIX_LENGTH + ID_LENGTH] != '_'
        || !is_random_part(text + TASK_PREFIX_LENGTH + ID_LENGTH + 1))
        return false;
    memcpy(id, text + TASK_PREFIX_LENGTH, ID_LENGTH);
    id[ID_LENGTH] = '\0';
    return id_parse(id, out);
}

void token_hash(const char *text, uint8_t out[SHA256_SIZE])
{
    sha256(text, strlen(text), out);
}

bool repo_name_valid(const char *text)
{
    size_t owner = text ? strspn(text, DIGITS LETTERS "-") : 0;
    const char *name;
    size_t length;

    /* A name that starts with "-" is none of GitHub's, and looks like an option. */
    if (!owner || owner > OWNER_LENGTH_MAX || text[0] == '-' || text[owner] != '/')
        return false;
    name = text + owner + 1;
    length = strspn(name, DIGITS LETTERS "._-");
    if (!length || length > REPO_NAME_LENGTH_MAX || name[length] != '\0')
        return false;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    return length < 4 || strcasecmp(name + length - 4, ".git") != 0;
}
