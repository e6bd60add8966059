/* SPDX-License-Identifier: Apache-2.0 */
#include "task/pull_request_text.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/utf8.h"
#include "task/description.h"

#define RUN_ID_TAIL 7
#define DEFAULT_TITLE "Dispatched change"
#define DEFAULT_SLUG "change"
#define PATH_MAX_BYTES 200
#define PROMPT_MAX_BYTES 40000
#define TRAILER_MAX_BYTES 200 /* what comes around the prompt */
#define SENTENCE_MAX_CHARACTERS 400
#define FENCE_MIN 3
#define FENCE_MAX 80 /* nobody means more, and two of them take room */
#define ELLIPSIS "\xe2\x80\xa6"

/* --- Title ------------------------------------------------------------------------------- */

static bool is_control(const char *text)
{
    unsigned char byte = (unsigned char)*text;

    /* C1 controls are two bytes in UTF-8; so are the line and paragraph separators three. */
    return byte < ' ' || byte == 0x7f || (byte == 0xc2 && (unsigned char)text[1] < 0xa0)
           || strncmp(text, "\xe2\x80\xa8", 3) == 0 || strncmp(text, "\xe2\x80\xa9", 3) == 0;
}

/* The first line of `text` that says something, its blanks and controls run together into
 * single spaces, cut to a number of characters. */
static char *one_line(const char *text, size_t max_characters)
{
    scoped_buf line = {0};
    size_t characters = 0;
    bool gap = false;

    for (size_t size; *text; text += size) {
        size = utf8_first(text, strlen(text) < 4 ? strlen(text) : 4);
        if (*text == '\n' && characters)
            break;
        if (!size || *text == ' ' || is_control(text)) {
            gap = true;
            size = size ? size : 1;
            continue;
        }
        if (gap && characters) {
            buf_append_str(&line, " ");
            characters++;
        }
        gap = false;
        if (characters + 1 >= max_characters && text[size]) {
            buf_append_str(&line, ELLIPSIS);
            break;
        }
        buf_append(&line, text, size);
        characters++;
    }
    return buf_take(&line);
}

/* Takes `wanted`: itself, or the title of those who have none. */
static char *or_default(char *wanted)
{
    if (wanted[0])
        return wanted;
    free(wanted);
    return xstrdup(DEFAULT_TITLE);
}

char *pull_request_title(const struct assignment *a)
{
    scoped_str ticket = NULL;

    if (a->ticket_id && a->ticket_summary) {
        ticket = xasprintf("%s: %s", a->ticket_id, a->ticket_summary);
        return or_default(one_line(ticket, TITLE_MAX_CHARACTERS));
    }
    if (a->ticket_summary)
        return or_default(one_line(a->ticket_summary, TITLE_MAX_CHARACTERS));
    return or_default(one_line(a->title ? a->title : a->prompt, TITLE_MAX_CHARACTERS));
}

char *pull_request_one_line(const char *text)
{
    return or_default(one_line(text, TITLE_MAX_CHARACTERS));
}

/* --- Branch ------------------------------------------------------------------------------ */

char *pull_request_slug(const char *title)
{
    char slug[SLUG_MAX_BYTES + 1];
    size_t length = 0;

    for (; *title && length < SLUG_MAX_BYTES; title++) {
        unsigned char byte = (unsigned char)*title;

        if (byte < 0x80 && isalnum(byte))
            slug[length++] = (char)tolower(byte);
        else if (length && slug[length - 1] != '-')
            slug[length++] = '-';
    }
    while (length && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    return xstrdup(length ? slug : DEFAULT_SLUG);
}

char *pull_request_branch(const char *run_id, const char *title)
{
    scoped_str slug = pull_request_slug(title);

    return xasprintf("u/dispatch/%s/%s", run_id + ID_LENGTH - RUN_ID_TAIL, slug);
}

/* --- Commit ------------------------------------------------------------------------------ */

char *pull_request_commit_message(const struct assignment *a, const char *title)
{
    scoped_str requester = a->requester_name ? xasprintf("Co-authored-by: %s <%s>\n",
                                                         a->requester_name, a->requester_email)
                                             : xstrdup("");

    return xasprintf("%s\n\nMade by the coding agent %s from a dispatched prompt.\n\n"
                     "Dispatch-Run: %s\n%s",
                     title, a->agent, a->run_id, requester);
}

/* --- Description ------------------------------------------------------------------------- */

/* One more backtick than the longest row of them in the text. */
static size_t fence_for(const char *text)
{
    size_t longest = FENCE_MIN - 1;

    for (size_t row; *text; text += row ? row : 1) {
        row = strspn(text, "`");
        longest = row > longest ? row : longest;
    }
    return longest + 1;
}

static void put_fence(struct buf *out, size_t length, const char *info)
{
    while (length--)
        buf_append_str(out, "`");
    buf_printf(out, "%s\n", info);
}

/* `text` in a fenced block, every line of it after `prefix`. CR alone ends a line in Markdown
 * too, so it becomes one. */
static void put_block(struct buf *out, const char *whole, const char *prefix)
{
    scoped_str safe = xstrdup(whole);
    const char *text = safe;
    size_t fence;

    if (fence_for(safe) > FENCE_MAX)
        for (char *c = safe; *c; c++)
            *c = *c == '`' ? '\'' : *c;
    fence = fence_for(safe);
    buf_append_str(out, prefix);
    put_fence(out, fence, "text");
    while (*text) {
        size_t length = strcspn(text, "\r\n");

        buf_append_str(out, prefix);
        buf_append(out, text, length);
        buf_append_str(out, "\n");
        text += length;
        text += *text == '\r' && text[1] == '\n' ? 2 : *text != '\0';
    }
    buf_append_str(out, prefix);
    put_fence(out, fence, "");
}

/* The first max_bytes of `text` or less, never half a character; the caller frees it. */
static char *cut(const char *text, size_t max_bytes)
{
    size_t length = strlen(text);

    if (length <= max_bytes)
        return xstrdup(text);
    length = max_bytes;
    while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return xasprintf("%.*s" ELLIPSIS, (int)length, text);
}

char *pull_request_counts(const struct change *change)
{
    return xasprintf("%zu file%s changed, %lld line%s added, %lld removed", change->n_files,
                     change->n_files == 1 ? "" : "s", (long long)change->added,
                     change->added == 1 ? "" : "s", (long long)change->removed);
}

static void put_file(struct buf *out, const struct changed_file *file)
{
    scoped_str path = cut(file->path, PATH_MAX_BYTES);

    for (char *c = path; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    if (file->added < 0)
        buf_printf(out, "%-13s %s\n", "binary", path);
    else
        buf_printf(out, "+%-5lld -%-5lld %s\n", (long long)file->added,
                   (long long)file->removed, path);
}

static void put_change(struct buf *out, const struct change *change)
{
    scoped_str counts = pull_request_counts(change);
    scoped_buf list = {0};

    for (size_t i = 0; i < change->n_files && i < CHANGED_FILES_KEPT; i++)
        put_file(&list, &change->files[i]);
    if (change->n_files > CHANGED_FILES_KEPT)
        buf_printf(&list, "and %zu more\n", change->n_files - CHANGED_FILES_KEPT);
    buf_printf(out, "%s.\n\n", counts);
    put_block(out, list.data ? list.data : "", "");
}

bool pull_request_warns(const struct pull_request_warning *warning)
{
    return warning->partial_reason || warning->sentence || warning->findings;
}

static void put_quoted(struct buf *out, const char *sentence, const char *quote)
{
    buf_printf(out, "> %s%s\n", sentence, quote && quote[0] ? ":" : ".");
    if (quote && quote[0]) {
        buf_append_str(out, ">\n");
        put_block(out, quote, "> ");
    }
    buf_append_str(out, ">\n");
}

static void put_warning(struct buf *out, const struct pull_request_warning *warning)
{
    const char *reason = warning->partial_reason;

    buf_append_str(out, "> [!WARNING]\n");
    if (warning->sentence) {
        scoped_str sentence = one_line(warning->sentence, SENTENCE_MAX_CHARACTERS);
        scoped_str defused = description_defuse(sentence);

        put_quoted(out, "The run has failed; this is what there is", "");
        put_quoted(out, defused, warning->quote);
    }
    if (reason)
        put_quoted(out,
                   reason[0] ? "The agent says that this is only partly done"
                             : "The agent says that this is only partly done, without a reason",
                   reason);
    if (warning->findings)
        put_quoted(out, "Please look closely", warning->findings);
    buf_append_str(out, "\n");
}

char *pull_request_description(const struct assignment *a, const struct change *change,
                               const char *own, const struct pull_request_warning *warning)
{
    scoped_str prompt = NULL;
    scoped_buf text = {0};
    size_t room;

    if (pull_request_warns(warning))
        put_warning(&text, warning);
    if (own)
        buf_printf(&text, "%s\n\n", own);
    put_change(&text, change);
    room = DESCRIPTION_MAX_BYTES - TRAILER_MAX_BYTES - text.size;
    room = text.size + TRAILER_MAX_BYTES > DESCRIPTION_MAX_BYTES ? 0 : room;
    prompt = cut(a->prompt, room < PROMPT_MAX_BYTES ? room : PROMPT_MAX_BYTES);
    buf_append_str(&text, "\nThe prompt:\n\n");
    put_block(&text, prompt, "");
    buf_printf(&text, "\nDispatch-Run: %s\n", a->run_id);
    return buf_take(&text);
}
