/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define BLANKS " \t\r\n"

struct words {
    char **list; /* NULL at the end */
    size_t count;
};

static void words_done(struct words *words)
{
    process_argv_free(words->list);
}

static void add_word(struct words *words, char *word)
{
    words->list = xrealloc(words->list, (words->count + 2) * sizeof(*words->list));
    words->list[words->count++] = word;
    words->list[words->count] = NULL;
}

/* One word from *at on; *at is left behind it. */
static int read_word(const char **at, struct buf *word, struct err *err)
{
    char quote = '\0';
    const char *c = *at;

    for (; *c && (quote || !strchr(BLANKS, *c)); c++) {
        if (quote && *c == quote) {
            quote = '\0';
        } else if (!quote && (*c == '\'' || *c == '"')) {
            quote = *c;
        } else if (*c == '\\' && quote != '\'') {
            if (!*++c)
                return err_set(err, ERR_INVALID, "the command line ends in a backslash");
            buf_append(word, c, 1);
        } else {
            buf_append(word, c, 1);
        }
    }
    if (quote)
        return err_set(err, ERR_INVALID, "the command line leaves a %c open", quote);
    *at = c;
    return 0;
}

char **process_argv_parse(const char *command_line, struct err *err)
{
    __attribute__((cleanup(words_done))) struct words words = {0};
    const char *at = command_line ? command_line : "";

    for (at += strspn(at, BLANKS); *at; at += strspn(at, BLANKS)) {
        scoped_buf word = {0};

        if (read_word(&at, &word, err) < 0)
            return NULL;
        add_word(&words, buf_take(&word));
    }
    if (!words.count || !words.list[0][0]) {
        (void)err_set(err, ERR_INVALID, "the command line names no program");
        return NULL;
    }
    return TAKE(words.list);
}

void process_argv_free(char **argv)
{
    for (char **word = argv; word && *word; word++)
        free(*word);
    free(argv);
}
