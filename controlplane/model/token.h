/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_TOKEN_H
#define MODEL_TOKEN_H
#include "base/id.h"
#include "base/secret.h"
#include "crypto/digest.h"

/*
 * The credentials we make and how they look.
 *   integration token  vgvbot_ + 43 base62           dispatches against one repository
 *   personal token     dsp_live_ + 43 base62         the task and agent surfaces, for a person
 *   task token         vgvtask_ + run id + _ + 43    one run's runner
 * Only their SHA-256 is ever stored.
 */
#define INTEGRATION_TOKEN_PREFIX "vgvbot_"
#define PERSONAL_TOKEN_PREFIX "dsp_live_"
#define TASK_TOKEN_PREFIX "vgvtask_"
#define TOKEN_DISPLAY_SIZE 13 /* the first 12 characters and a NUL */

/* A launcher's name, as the configuration has it. */
#define LAUNCHER_NAME_SIZE 32

struct integration_token {
    int64_t id;
    uint8_t hash[SHA256_SIZE];
    char *repo;              /* OWNER/NAME */
    int64_t installation_id; /* 0: the configured one, or found by repository */
    char *created_by;
    char *name; /* NULL when not given */
    char display_prefix[TOKEN_DISPLAY_SIZE];
    int rate_per_minute; /* 0: as configured */
    int priority;        /* of its runs (model/run.h) */
    char *launcher;      /* of its runs; NULL: as configured */
    int64_t created_ms;
    int64_t expires_ms;   /* 0: never */
    int64_t last_used_ms; /* 0: never */
    int64_t revoked_ms;   /* 0: good */
};

void integration_token_free(struct integration_token *token);
DEFINE_SCOPED(integration_token)

/* What a personal token may be used for. Who may queue a run may look at what becomes of it, so
 * dispatch implies read; admin implies both, and sees everybody's runs. As stored: change no
 * number. */
enum token_scope {
    TOKEN_READ = 1,
    TOKEN_DISPATCH = 2, /* queue, stop, retry */
    TOKEN_ADMIN = 4,    /* tokens of others */
};
const char *token_scope_name(enum token_scope scope); /* "read"; NULL: there is none */
bool token_scope_parse(const char *name, enum token_scope *out);
/* Does this set of scopes open what asks for `wanted`? */
bool token_scopes_allow(unsigned scopes, enum token_scope wanted);

struct personal_token {
    int64_t id;
    uint8_t hash[SHA256_SIZE];
    char *user;      /* a person's name, as their commits say */
    char *email;     /* NULL when not given */
    char *name;      /* of the token; NULL when not given */
    unsigned scopes; /* bits of enum token_scope */
    char *created_by;
    char display_prefix[TOKEN_DISPLAY_SIZE];
    int64_t created_ms;
    int64_t expires_ms; /* as above */
    int64_t last_used_ms;
    int64_t revoked_ms;
};

void personal_token_free(struct personal_token *token);
DEFINE_SCOPED(personal_token)

/* New ones. The display prefix is 12 characters of the token's own text. */
struct secret *integration_token_make(char out_display[TOKEN_DISPLAY_SIZE]) CHECKED;
struct secret *personal_token_make(char out_display[TOKEN_DISPLAY_SIZE]) CHECKED;
struct secret *task_token_make(struct id run) CHECKED;
/* That of one attempt, the same each time for the same key: whoever has the key can give a job
 * its token again. */
#define TASK_TOKEN_KEY_SIZE 32
struct secret *task_token_derive(struct id run, int attempt,
                                 const uint8_t key[TASK_TOKEN_KEY_SIZE]) CHECKED;

/* Form only: is this text exactly such a token? `out` is the run it names. */
bool integration_token_well_formed(const char *text);
bool personal_token_well_formed(const char *text);
bool task_token_parse(const char *text, struct id *out);

/* SHA-256 of the token's text. */
void token_hash(const char *text, uint8_t out[SHA256_SIZE]);

/* OWNER/NAME as GitHub allows them: owner of 1-39 [A-Za-z0-9-], name of 1-100
 * [A-Za-z0-9._-], not "." or "..", not ending in ".git". */
bool repo_name_valid(const char *text);
#endif
