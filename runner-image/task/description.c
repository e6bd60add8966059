/* SPDX-License-Identifier: Apache-2.0 */
#include "task/description.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

#define PROMPT_SHOWN_MAX 8000
#define TITLE_MARK "TITLE:"
#define TITLE_MAX_BYTES 300
#define ZERO_WIDTH_SPACE "\xe2\x80\x8b"

void description_done(struct description *description)
{
    free(description->title);
    free(description->body);
    *description = (struct description){0};
}

char *description_question(const char *prompt, const char *counts, const struct buf *diff,
                           size_t diff_size)
{
    bool cut = diff->size < diff_size;

    return xasprintf(
        "A change was made for the task below. Write the title and the description of its pull "
        "request, for a reviewer who knows the project but not the task: what changes and why, "
        "what to look at, how it was tested if that shows. Use no tools. Answer in exactly "
        "this "
        "form and with nothing else:\n\n" TITLE_MARK " <at most 70 characters, in the "
        "imperative>\n\n<the description in Markdown, at most 300 words, without a heading>\n\n"
        "<task>\n%.*s\n</task>\n\n<change summary=\"%s\"%s>\n%.*s\n</change>\n",
        PROMPT_SHOWN_MAX, prompt, counts, cut ? " cut=\"true\"" : "", (int)diff->size,
        diff->data ? diff->data : "");
}

/* --- Taking the answer -------------------------------------------------------------------- */

static bool read_title(const char **answer, struct description *out)
{
    const char *title = strstr(*answer, TITLE_MARK);
    size_t length;

    if (!title || (title != *answer && title[-1] != '\n'))
        return false;
    title += strlen(TITLE_MARK);
    title += strspn(title, " \t*`");
    length = strcspn(title, "\r\n");
    *answer = title + length;
    while (length && strchr(" \t*`", title[length - 1]))
        length--;
    if (!length || length > TITLE_MAX_BYTES)
        return false;
    out->title = xstrndup(title, length);
    return true;
}

bool description_read(const char *answer, struct description *out)
{
    size_t length;

    *out = (struct description){0};
    if (!read_title(&answer, out))
        return false;
    answer += strspn(answer, " \t\r\n");
    length = strlen(answer);
    while (length && isspace((unsigned char)answer[length - 1]))
        length--;
    if (!length || length > DESCRIPTION_BODY_MAX_BYTES) {
        description_done(out);
        return false;
    }
    out->body = xstrndup(answer, length);
    return true;
}

/* --- Taking the fuse out ------------------------------------------------------------------ */

/* How long the closing keyword at `text` is, in any case; 0: none.
 * https://docs.github.com/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue
 */
static size_t closing_keyword(const char *text)
{
    static const char *const keywords[] = {"closes", "closed",   "close",    "fixes",  "fixed",
                                           "fix",    "resolves", "resolved", "resolve"};

    for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
        size_t length = strlen(keywords[i]);

        if (strncasecmp(text, keywords[i], length) == 0
            && (text[length] == ' ' || text[length] == ':'))
            return length;
    }
    return 0;
}

char *description_defuse(const char *text)
{
    scoped_buf out = {0};
    char before = ' ';

    for (; *text; text++) {
        size_t keyword = isalnum((unsigned char)before) ? 0 : closing_keyword(text);

        buf_append(&out, text, 1);
        if (*text == '@' || (*text == '#' && isdigit((unsigned char)text[1])) || keyword
            || (*text == '-' && isdigit((unsigned char)text[1]) && toupper(before) == 'H'))
            buf_append_str(&out, ZERO_WIDTH_SPACE);
        before = *text;
    }
    return buf_take(&out);
}
