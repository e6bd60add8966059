/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatchctl, the client of dispatchd; kubectl-dispatch where it is called so. Here the
 * command line becomes an invocation; what the commands are is in commands.c.
 */
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "dispatchctl/commands.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/help.h"
#include "dispatchctl/output.h"
#include "json/json.h"

static bool called_as_plugin(const char *name)
{
    const char *slash = name ? strrchr(name, '/') : NULL;

    return name && strcmp(slash ? slash + 1 : name, "kubectl-dispatch") == 0;
}

static int usage(const struct invocation *call, const struct err *err)
{
    const char *program = program_name(call);

    (void)output_fail(err);
    (void)fprintf(stderr, "See \"%s help%s%s\".\n", program, call->command ? " " : "",
                  call->command ? call->command->name : "");
    return EXIT_USAGE;
}

/* No command: help where it is asked for, and a complaint elsewhere. */
static int without_command(struct invocation *call, const char *const *argv,
                           const char *const *rest)
{
    const char *program = program_name(call);
    struct err err = {0};
    size_t n_words;

    if (rest[0]) {
        if (!rest[1] && help_group(program, rest[0], stderr))
            return EXIT_USAGE;
        (void)err_set(&err, ERR_INVALID, "there is no command %s", rest[0]);
        return usage(call, &err);
    }
    if (flags_read(argv, &common_flags, 1, &call->options, call->words, &n_words, &err) < 0)
        return usage(call, &err);
    help_overview(program, call->options.help ? stdout : stderr);
    return call->options.help ? output_end(EXIT_DONE) : EXIT_USAGE;
}

static int read_flags(struct invocation *call, const char *const *argv, struct err *err)
{
    struct flag_list lists[ARRAY_SIZE(call->command->lists) + 1] = {common_flags};

    for (size_t i = 0; i < call->command->n_lists; i++)
        lists[i + 1] = call->command->lists[i];
    return flags_read(argv, lists, call->command->n_lists + 1, &call->options, call->words,
                      &call->n_words, err);
}

static int check_words(const struct invocation *call, struct err *err)
{
    const struct command *command = call->command;

    if (call->n_words < command->words_min)
        return err_set(err, ERR_INVALID, "%s needs %s", command->name, command->words);
    if (call->n_words > command->words_max)
        return err_set(err, ERR_INVALID, "%s: what is %s?", command->name,
                       call->words[command->words_max]);
    for (size_t i = 0; i < call->n_words; i++)
        if (!*call->words[i])
            return err_set(err, ERR_INVALID, "%s: %s can't be empty", command->name,
                           command->words);
    if (!call->as_plugin && (call->options.kubeconfig || call->options.name_space))
        return err_set(err, ERR_INVALID,
                       "--kubeconfig and --namespace are of kubectl-dispatch");
    return 0;
}

/* Changes the order of argv's words. */
static int run(struct invocation *call, const char **argv)
{
    struct err err = {0};
    size_t leading;
    size_t named = 0;

    if (argv[0] && strcmp(argv[0], "--version") == 0)
        argv[0] = "version";
    leading = flags_leading(argv, &common_flags);
    call->command = command_find(argv + leading, &named);
    if (!call->command)
        return without_command(call, argv, argv + leading);
    /* The command's own name goes; the flags before it stay. */
    memmove(argv + named, argv, leading * sizeof(*argv));
    argv += named;
    if (read_flags(call, argv, &err) < 0)
        return usage(call, &err);
    if (call->options.help) {
        help_command(program_name(call), call->command, stdout);
        return output_end(EXIT_DONE);
    }
    if (check_words(call, &err) < 0)
        return usage(call, &err);
    return call->command->run(call);
}

int main(int argc, char **argv)
{
    struct invocation call = {.as_plugin = called_as_plugin(argv[0])};
    const char **line;
    int code;

    (void)setlocale(LC_CTYPE,
                    "C.UTF-8"); /* for the width of characters; what we print is UTF-8 */
    (void)signal(SIGPIPE, SIG_IGN);
    json_setup();
    log_set_level(LOG_LEVEL_ERROR);
    call.words = xcalloc((size_t)argc + 1, sizeof(*call.words));
    line = xcalloc((size_t)argc + 1, sizeof(*line));
    for (int i = 1; i < argc; i++)
        line[i - 1] = argv[i];
    code = run(&call, line);
    free(line);
    free(call.words);
    return code;
}
