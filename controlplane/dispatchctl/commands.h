/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_COMMANDS_H
#define DISPATCHCTL_COMMANDS_H
#include "dispatchctl/flags.h"

/*
 * What the program can do: one table, from which command lines are read, help is printed and
 * shells complete.
 */
struct invocation;

struct command {
    const char *name;  /* "submit", "token create" */
    const char *words; /* how help shows what comes besides flags: "ID", "[ID]"; or "" */
    size_t words_min;
    size_t words_max;
    const char *about; /* one line */
    const char *more;  /* what one must know besides the flags; NULL */
    struct flag_list lists[2];
    size_t n_lists;
    int (*run)(const struct invocation *call); /* the program's exit code */
};

extern const struct command commands[];
extern const size_t n_commands;
/* Those of every command. */
extern const struct flag_list common_flags;

/* A command line as it was read. */
struct invocation {
    const struct command *command;
    struct options options;
    const char **words; /* NULL at the end */
    size_t n_words;
    bool as_plugin; /* called by kubectl */
};

/* The command that argv begins with and how many words its name has; NULL. */
const struct command *command_find(const char *const *argv, size_t *out_words);

/* --- Handlers, by the file they are in
 * --------------------------------------------------------
 */

/* submit.c */
int command_submit(const struct invocation *call);
int command_explain(const struct invocation *call);
/* runs.c */
int command_get(const struct invocation *call);
int command_list(const struct invocation *call);
int command_stop(const struct invocation *call);
int command_retry(const struct invocation *call);
/* watch.c */
int command_watch(const struct invocation *call);
/* logs.c */
int command_logs(const struct invocation *call);
/* tokens.c */
int command_token_create(const struct invocation *call);
int command_token_list(const struct invocation *call);
int command_token_revoke(const struct invocation *call);
/* audit.c */
int command_audit_list(const struct invocation *call);
int command_audit_verify(const struct invocation *call);
/* deliveries.c */
int command_deliveries_list(const struct invocation *call);
int command_deliveries_redeliver(const struct invocation *call);
/* config_commands.c */
int command_get_contexts(const struct invocation *call);
int command_use_context(const struct invocation *call);
int command_set_context(const struct invocation *call);
int command_config_view(const struct invocation *call);
/* help.c */
int command_help(const struct invocation *call);
int command_version(const struct invocation *call);
/* completion.c */
int command_completion(const struct invocation *call);
#endif
