/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a shell complete the command line, made from the table of commands. Each shell
 * asks functions of its own; run ids aren't completed, as that would call the server.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "dispatchctl/commands.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/output.h"

/* --- The table in words ------------------------------------------------------------------- */

/* The first words of all names, each once, with blanks between. */
static char *first_words(void)
{
    scoped_buf words = {0};
    const char *last = "";
    size_t last_size = 0;

    for (size_t i = 0; i < n_commands; i++) {
        size_t size = strcspn(commands[i].name, " ");

        if (size == last_size && memcmp(commands[i].name, last, size) == 0)
            continue; /* commands of a group stand together */
        last = commands[i].name;
        last_size = size;
        buf_append(&words, last, size);
        buf_append_str(&words, " ");
    }
    return buf_take(&words);
}

/* The second words of a group. */
static char *second_words(const char *group, size_t size)
{
    scoped_buf words = {0};

    for (size_t i = 0; i < n_commands; i++)
        if (strncmp(commands[i].name, group, size) == 0 && commands[i].name[size] == ' ')
            buf_printf(&words, "%s ", commands[i].name + size + 1);
    return buf_take(&words);
}

static void add_flags(struct buf *out, const struct flag_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buf_printf(out, "--%s ", list->flags[i].name);
}

static char *flags_of(const struct command *command)
{
    scoped_buf out = {0};

    for (size_t i = 0; i < command->n_lists; i++)
        add_flags(&out, &command->lists[i]);
    add_flags(&out, &common_flags);
    return buf_take(&out);
}

/* Calls `each` once for each flag of any command, by name. */
static void each_flag(void (*each)(const struct flag *flag, const struct command *command))
{
    for (size_t i = 0; i < common_flags.count; i++)
        each(&common_flags.flags[i], NULL);
    for (size_t i = 0; i < n_commands; i++)
        for (size_t j = 0; j < commands[i].n_lists; j++)
            for (size_t k = 0; k < commands[i].lists[j].count; k++)
                each(&commands[i].lists[j].flags[k], &commands[i]);
}

static bool names_a_file(const struct flag *flag)
{
    return flag->value && strcmp(flag->value, "FILE") == 0;
}

/* --- bash, and zsh through its bashcompinit ------------------------------------------------
 */

static void bash_value(const struct flag *flag, const struct command *command)
{
    if (!flag->value)
        return;
    /* Only --status means different things to different commands. */
    if (command)
        printf("        \"%s --%s\") ", command->name, flag->name);
    else
        printf("        *\" --%s\") ", flag->name);
    if (names_a_file(flag))
        printf("mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n");
    else
        printf("_dispatchctl_offer '%s' ;;\n", flag->choices ? flag->choices : "");
}

static void print_bash(void)
{
    scoped_str first = first_words();

    printf("# dispatchctl, for bash: . <(dispatchctl completion bash)\n"
           "_dispatchctl_offer() {\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$word\")\n"
           "}\n"
           "_dispatchctl() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local command='' second='' i\n"
           "    COMPREPLY=()\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        -*) break ;;\n"
           "        *) if [ -z \"$command\" ]; then command=${COMP_WORDS[i]}\n"
           "           elif [ -z \"$second\" ]; then second=${COMP_WORDS[i]}; fi ;;\n"
           "        esac\n"
           "    done\n"
           "    case $command in\n");
    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;
        size_t size = strcspn(name, " ");
        bool begins = i == 0 || strncmp(commands[i - 1].name, name, size + 1) != 0;

        if (name[size] && begins)
            printf("    %.*s) command=\"$command $second\" ;;\n", (int)size, name);
    }
    printf("    esac\n"
           "    [ \"$before\" = -o ] && before=--output\n"
           "    case \"$command $before\" in\n");
    each_flag(bash_value);
    printf("        *) case $command in\n"
           "        '') _dispatchctl_offer '%s' ;;\n",
           first);
    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;
        size_t size = strcspn(name, " ");
        bool begins = i == 0 || strncmp(commands[i - 1].name, name, size + 1) != 0;
        scoped_str second = name[size] ? second_words(name, size) : NULL;
        scoped_str flags = flags_of(&commands[i]);

        if (second && begins)
            printf("        '%.*s ') _dispatchctl_offer '%s' ;;\n", (int)size, name, second);
        printf("        '%s') _dispatchctl_offer '%s%s' ;;\n", name, flags,
               strcmp(name, "completion") == 0 ? "bash zsh fish"
               : strcmp(name, "help") == 0     ? first
                                               : "");
    }
    printf("        esac ;;\n"
           "    esac\n"
           "}\n"
           "complete -F _dispatchctl dispatchctl kubectl-dispatch\n");
}

/* --- zsh ---------------------------------------------------------------------------------- */

/* Within single quotes inside of brackets. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (strchr("[]:\\", *text))
            printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
}

static void zsh_flags(const struct flag_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct flag *flag = &list->flags[i];

        printf(" \\\n            '--%s[", flag->name);
        zsh_text(flag->about);
        printf("]");
        if (flag->value) {
            printf(":");
            zsh_text(flag->value);
            if (names_a_file(flag))
                printf(":_files");
            else
                printf(":(%s)", flag->choices ? flag->choices : "");
        }
        printf("'");
    }
}

static void print_zsh(void)
{
    scoped_str first = first_words();

    printf("#compdef dispatchctl kubectl-dispatch\n"
           "_dispatchctl() {\n"
           "    local command=$words[2]\n"
           "    if (( CURRENT == 2 )); then compadd -- %s; return; fi\n"
           "    case $command in\n",
           first);
    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;
        size_t size = strcspn(name, " ");
        bool begins = i == 0 || strncmp(commands[i - 1].name, name, size + 1) != 0;
        scoped_str second = name[size] ? second_words(name, size) : NULL;

        if (second && begins)
            printf("    %.*s)\n        if (( CURRENT == 3 )); then compadd -- %s; return; fi\n"
                   "        command=\"$command $words[3]\" ;;\n",
                   (int)size, name, second);
    }
    printf("    esac\n    case $command in\n");
    for (size_t i = 0; i < n_commands; i++) {
        printf("    '%s')\n        _arguments", commands[i].name);
        for (size_t j = 0; j < commands[i].n_lists; j++)
            zsh_flags(&commands[i].lists[j]);
        zsh_flags(&common_flags);
        if (strcmp(commands[i].name, "completion") == 0)
            printf(" \\\n            '*:shell:(bash zsh fish)'");
        printf(" ;;\n");
    }
    printf("    esac\n}\n_dispatchctl \"$@\"\n");
}

/* --- fish --------------------------------------------------------------------------------- */

static void fish_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            (void)putchar('\\');
        (void)putchar(*text);
    }
}

static void fish_flag(const struct flag *flag, const struct command *command)
{
    size_t size = command ? strcspn(command->name, " ") : 0;

    printf("complete -c dispatchctl");
    if (command && command->name[size])
        printf(" -n '__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s'",
               (int)size, command->name, command->name + size + 1);
    else if (command)
        printf(" -n '__fish_seen_subcommand_from %s'", command->name);
    printf(" -l %s", flag->name);
    if (flag->letter)
        printf(" -s %c", flag->letter);
    if (flag->value)
        printf(names_a_file(flag) ? " -r -F" : " -x");
    if (flag->choices)
        printf(" -a '%s'", flag->choices);
    printf(" -d '");
    fish_text(flag->about);
    printf("'\n");
}

static void print_fish(void)
{
    scoped_str first = first_words();

    printf("# dispatchctl, for fish\ncomplete -c dispatchctl -f\n"
           "complete -c dispatchctl -n __fish_use_subcommand -a '%s'\n",
           first);
    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;
        size_t size = strcspn(name, " ");

        if (name[size])
            printf("complete -c dispatchctl -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                   (int)size, name, name + size + 1);
        else
            printf("complete -c dispatchctl -n __fish_use_subcommand -a %s -d '", name);
        fish_text(commands[i].about);
        printf("'\n");
    }
    printf("complete -c dispatchctl -n '__fish_seen_subcommand_from completion' "
           "-a 'bash zsh fish'\n");
    each_flag(fish_flag);
}

int command_completion(const struct invocation *call)
{
    const char *shell = call->words[0];
    struct err err = {0};

    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else {
        (void)err_set(&err, ERR_INVALID, "completion: bash, zsh or fish");
        return output_fail(&err);
    }
    return output_end(EXIT_DONE);
}
