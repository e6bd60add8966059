/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/prompt.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

static int read_stream(FILE *file, const char *name, struct buf *out, struct err *err)
{
    char piece[4096];
    size_t got;

    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        if (!buf_append_within(out, piece, got, PROMPT_MAX_BYTES))
            return err_set(err, ERR_INVALID, "%s: a prompt has at most %d bytes", name,
                           PROMPT_MAX_BYTES);
    return ferror(file) ? err_set(err, ERR_INVALID, "%s: %s", name, strerror(errno)) : 0;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    scoped_file file = fopen(path, "re");

    if (!file)
        return err_set(err, ERR_INVALID, "%s: %s", path, strerror(errno));
    return read_stream(file, path, out, err);
}

char *prompt_read(const struct invocation *call, struct err *err)
{
    const char *given = call->options.prompt;
    scoped_buf text = {0};
    int result = 0;

    if (given && call->n_words) {
        (void)err_set(err, ERR_INVALID, "--prompt or PROMPT, not both");
        return NULL;
    }
    if (!given)
        given = call->n_words ? call->words[0] : NULL;
    if (!given) {
        (void)err_set(err, ERR_INVALID, "what is to be done? --prompt TEXT, @FILE or -");
        return NULL;
    }
    if (strcmp(given, "-") == 0)
        result = read_stream(stdin, "standard input", &text, err);
    else if (*given == '@')
        result = read_file(given + 1, &text, err);
    else
        buf_append_str(&text, given);
    if (result < 0)
        return NULL;
    if (!text.size || memchr(text.data, '\0', text.size)
        || !text.data[strspn(text.data, " \t\r\n\f\v")]) {
        (void)err_set(err, ERR_INVALID, "the prompt is %s", text.size ? "not a text" : "empty");
        return NULL;
    }
    return buf_take(&text);
}
