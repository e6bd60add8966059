/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_FLAGS_H
#define DISPATCHCTL_FLAGS_H
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Command lines by table. A flag is --name VALUE, --name=VALUE, or its letter with the value
 * in the next word or right behind it (-ojson); those without a value stand alone, and letters
 * of such may be joined. Flags and words come in any order; after -- all are words.
 *
 * All flags of all commands fill one struct options, whose texts are borrowed from argv.
 */
struct options {
    /* Of every command. */
    const char *server;
    const char *token_file;
    const char *context;
    const char *config;
    const char *output;
    const char *kubeconfig;
    const char *name_space;
    bool no_color;
    bool quiet;
    bool insecure_http;
    bool help;

    /* What is asked for. */
    const char *repo;
    const char *prompt;
    const char *agent;
    const char *model;
    const char *provider;
    const char *branch;
    const char *mode;
    const char *ticket_id;
    const char *ticket_summary;
    const char *test_command;
    const char *webhook_url;
    const char *idempotency_key;
    const char *priority;
    bool no_pr;
    bool blank;
    bool dry_run;

    /* Waiting for it. */
    bool wait;
    bool follow;
    int64_t timeout_ms;
    int64_t patience_ms;

    /* Lists. */
    const char *status;
    const char *run;
    const char *head;
    const char *limit;
    bool all;

    /* Tokens. */
    bool personal;
    bool integration;
    const char *name;
    const char *scope;
    const char *user;
    const char *email;
    const char *rate;
    const char *installation_id;
    int64_t expires_ms;

    /* The configuration file. */
    const char *ca_file;
    const char *github_url;
    const char *kube_context;
    bool token_stdin;
};

enum flag_type { FLAG_TEXT, FLAG_SWITCH, FLAG_DURATION };

struct flag {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* what help calls its value; NULL for a switch */
    const char *about;
    const char *choices; /* the values there are, with blanks between; NULL: any */
    size_t offset;       /* in struct options */
    enum flag_type type;
};

/* clang-format off */
#define FLAG_TYPE_OF(member) _Generic((member), const char *: FLAG_TEXT, bool: FLAG_SWITCH, \
    int64_t: FLAG_DURATION)
#define FLAG_INTO(member) offsetof(struct options, member), \
    FLAG_TYPE_OF(((struct options *)NULL)->member)
/* clang-format on */

struct flag_list {
    const struct flag *flags;
    size_t count;
};

#define FLAG_LIST(array)                                                                       \
    {                                                                                          \
        (array), ARRAY_SIZE(array)                                                             \
    }

/*
 * Reads argv (NULL at its end) by these lists into *out, and the words that are no flags into
 * `words`, which has room for as many as argv has. ERR_INVALID: "--foo: unknown flag".
 */
int flags_read(const char *const *argv, const struct flag_list *lists, size_t n_lists,
               struct options *out, const char **words, size_t *out_n_words,
               struct err *err) CHECKED;

/* How many words of argv, from its beginning, are flags of this list and their values. */
size_t flags_leading(const char *const *argv, const struct flag_list *list);

/* "90", "90s", "5m", "1h30m", "500ms", "7d": at least 1 ms, at most DURATION_MAX_DAYS. */
#define DURATION_MAX_DAYS 3650
bool duration_parse(const char *text, int64_t *out_ms);
#endif
