/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/help.h"

#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/output.h"

#define NAME_COLUMN 30

const char *program_name(const struct invocation *call)
{
    return call->as_plugin ? "kubectl dispatch" : "dispatchctl";
}

static void print_command(const struct command *command, FILE *out)
{
    scoped_str both = xasprintf("%s %s", command->name, command->words);

    (void)fprintf(out, "  %-*s %s\n", NAME_COLUMN, both, command->about);
}

static void print_flag(const struct flag *flag, FILE *out)
{
    char letter[8] = "    ";
    scoped_str name = NULL;

    if (flag->letter)
        (void)snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
    name = xasprintf("%s--%s%s%s", letter, flag->name, flag->value ? " " : "",
                     flag->value ? flag->value : "");
    (void)fprintf(out, "  %-*s %s\n", NAME_COLUMN, name, flag->about);
}

static void print_flags(const struct flag_list *list, FILE *out)
{
    for (size_t i = 0; i < list->count; i++)
        print_flag(&list->flags[i], out);
}

void help_overview(const char *program, FILE *out)
{
    (void)fprintf(out,
                  "%s gives coding tasks to dispatchd and sees what becomes of them.\n\n"
                  "usage: %s COMMAND [FLAGS]\n\nCommands:\n",
                  program, program);
    for (size_t i = 0; i < n_commands; i++)
        print_command(&commands[i], out);
    (void)fputs("\nFlags of every command:\n", out);
    print_flags(&common_flags, out);
    (void)fprintf(out,
                  "\nExit codes: 0 completed or done, 1 failed, 2 usage, 3 partial, 4 stopped, "
                  "5 timed out,\n6 no server, 7 no or the wrong credential.\n"
                  "\"%s help COMMAND\" and dispatchctl(1) say more.\n",
                  program);
}

void help_command(const char *program, const struct command *command, FILE *out)
{
    (void)fprintf(out, "%s %s: %s\n\nusage: %s %s [FLAGS] %s\n", program, command->name,
                  command->about, program, command->name, command->words);
    if (command->more)
        (void)fprintf(out, "\n%s", command->more);
    if (command->n_lists)
        (void)fputs("\nFlags:\n", out);
    for (size_t i = 0; i < command->n_lists; i++)
        print_flags(&command->lists[i], out);
    (void)fputs("\nFlags of every command:\n", out);
    print_flags(&common_flags, out);
}

bool help_group(const char *program, const char *word, FILE *out)
{
    size_t length = strlen(word);
    bool found = false;

    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;

        if (strncmp(name, word, length) != 0 || name[length] != ' ')
            continue;
        if (!found)
            (void)fprintf(out, "usage: %s %s COMMAND [FLAGS]\n\nCommands:\n", program, word);
        found = true;
        print_command(&commands[i], out);
    }
    return found;
}

int command_help(const struct invocation *call)
{
    const char *program = program_name(call);
    size_t used = 0;
    const struct command *command = command_find(call->words, &used);

    if (!call->n_words) {
        help_overview(program, stdout);
        return output_end(EXIT_DONE);
    }
    if (command && used == call->n_words) {
        help_command(program, command, stdout);
        return output_end(EXIT_DONE);
    }
    if (call->n_words == 1 && help_group(program, call->words[0], stdout))
        return output_end(EXIT_DONE);
    (void)fprintf(stderr, "%s: there is no such command: %s help\n", program, program);
    return EXIT_USAGE;
}

int command_version(const struct invocation *call)
{
    scoped_json version = jobj({"version", jstr(DISPATCH_VERSION)});

    if (!output_document(call, version, "version"))
        printf("dispatchctl %s\n", DISPATCH_VERSION);
    return output_end(EXIT_DONE);
}
