/* SPDX-License-Identifier: Apache-2.0 */
#include "git/complaint.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define SENTENCE_MAX_BYTES 300
#define REMOTE "remote: "
#define REFUSED " ! [remote rejected]"
#define NO_SPACE "No space left on device"
#define NO_QUOTA "Disk quota exceeded"

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* NULL after the last one. */
static const char *next_line(const char *line)
{
    line = strchr(line, '\n');
    return line ? line + 1 : NULL;
}

static const char *line_with(const char *said, const char *beginning)
{
    for (const char *line = said; line; line = next_line(line))
        if (begins(line, beginning))
            return line;
    return NULL;
}

/* --- The sentence ------------------------------------------------------------------------ */

static bool tells_of_the_disk(const char *line)
{
    scoped_str own = xstrndup(line, strcspn(line, "\n"));

    return !begins(line, REMOTE) && (strstr(own, NO_SPACE) || strstr(own, NO_QUOTA));
}

/* Which of git's lines says most: the later of the highest rank. */
static int rank_of(const char *line)
{
    static const char *const by_rank[] = {"remote: error", "error: ", "fatal: ", " ! ["};
    static const char *const empty_words[] = {"fatal: adding files failed",
                                              "fatal: updating files failed"};
    int rank = line[0] && line[0] != '\n' ? 0 : -1;

    for (size_t i = 0; i < ARRAY_SIZE(empty_words); i++) {
        if (begins(line, empty_words[i]))
            return rank; /* the error before it says which and why */
    }
    if (tells_of_the_disk(line))
        return ARRAY_SIZE(by_rank) + 1; /* whatever it couldn't do then comes after it */
    for (size_t i = 0; i < ARRAY_SIZE(by_rank); i++) {
        if (begins(line, by_rank[i]))
            rank = (int)i + 1;
    }
    return rank;
}

static void put_telling_line(struct buf *out, const char *said)
{
    const char *best = "it gave no reason";
    int best_rank = -1;

    for (const char *line = said; line; line = next_line(line)) {
        if (rank_of(line) >= best_rank && rank_of(line) >= 0) {
            best = line;
            best_rank = rank_of(line);
        }
    }
    best += strspn(best, " ");
    buf_append(out, best, strcspn(best, "\n"));
}

/* What the other side itself had to say, in one go. */
static void put_remote_words(struct buf *out, const char *said)
{
    static const char *const fillers[] = {"error: ", "fatal: ", "- "};
    const char *between = ": ";

    for (const char *line = line_with(said, REMOTE); line; line = next_line(line)) {
        const char *word = line + strlen(REMOTE);
        size_t length;

        if (!begins(line, REMOTE))
            continue;
        word += strspn(word, " \t");
        for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
            word += begins(word, fillers[i]) ? strlen(fillers[i]) : 0;
        length = strcspn(word, "\r\n");
        while (length && strchr(" \t", word[length - 1]))
            length--;
        if (!length)
            continue;
        buf_append_str(out, between);
        buf_append(out, word, length);
        between = "; ";
    }
}

/* " ! [remote rejected] <what> -> <branch> (<reason>)" */
static void put_refusal(struct buf *out, const char *said, const char *line)
{
    size_t length = strcspn(line, "\n");
    const char *reason = memchr(line, '(', length);

    buf_append_str(out, "the remote refused it ");
    if (reason)
        buf_append(out, reason, (size_t)(line + length - reason));
    put_remote_words(out, said);
}

char *complaint_sentence(const char *said)
{
    const char *refused = line_with(said, REFUSED);
    scoped_buf text = {0};
    char *sentence;

    if (refused)
        put_refusal(&text, said, refused);
    else
        put_telling_line(&text, said);
    sentence = xstrndup(text.data, SENTENCE_MAX_BYTES);
    for (char *c = sentence; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
    return sentence;
}

/* --- The kind ---------------------------------------------------------------------------- */

struct phrase {
    const char *text;
    enum err_kind kind;
};

static const struct phrase phrases[] = {
    {"Authentication failed", ERR_UNAUTHENTICATED},
    {"could not read Username", ERR_UNAUTHENTICATED},
    {"could not read Password", ERR_UNAUTHENTICATED},
    {"Invalid username or password", ERR_UNAUTHENTICATED},
    {NO_SPACE, ERR_UNAVAILABLE},
    {NO_QUOTA, ERR_UNAVAILABLE},
    {"unable to write file", ERR_UNAVAILABLE}, /* in a checkout; of the disk it says nothing */
    {"unable to write new", ERR_UNAVAILABLE},  /* an index, or its name in capitals */
    {"returned error: 403", ERR_DENIED},
    {"returned error: 5", ERR_UPSTREAM},
    {"returned error: 429", ERR_UPSTREAM},
    {"Could not resolve", ERR_UPSTREAM},
    {"Failed to connect", ERR_UPSTREAM},
    {"Connection refused", ERR_UPSTREAM},
    {"Connection reset", ERR_UPSTREAM},
    {"timed out", ERR_UPSTREAM},
    {"Operation too slow", ERR_UPSTREAM},
    {"Empty reply from server", ERR_UPSTREAM},
    {"unexpected disconnect", ERR_UPSTREAM},
    {"early EOF", ERR_UPSTREAM},
    {"RPC failed", ERR_UPSTREAM},
    {"the remote end hung up", ERR_UPSTREAM},
    {"not found", ERR_NOT_FOUND},
};

/* Somebody was there first, in words of git's own receiving side. Any other refusal is a rule
 * of the remote's: another name wouldn't change it. */
static const struct phrase refusals[] = {
    {"already exists", ERR_CONFLICT},
    {"cannot lock ref", ERR_CONFLICT},
    {"failed to update ref", ERR_CONFLICT},
    {"", ERR_DENIED},
};

static enum err_kind kind_among(const struct phrase *all, size_t n, const char *said)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(said, all[i].text))
            return all[i].kind;
    return ERR_INTERNAL;
}

static char *without_remote_words(const char *said)
{
    scoped_buf own = {0};

    buf_append_str(&own, "");
    for (const char *line = said; line; line = next_line(line))
        if (!begins(line, REMOTE))
            buf_append(&own, line, strcspn(line, "\n") + (strchr(line, '\n') != NULL));
    return buf_take(&own);
}

enum err_kind complaint_kind(const char *said)
{
    const char *refused = line_with(said, REFUSED);
    scoped_str own = NULL;

    if (refused) {
        own = xstrndup(refused, strcspn(refused, "\n"));
        return kind_among(refusals, ARRAY_SIZE(refusals), own);
    }
    if (line_with(said, " ! [rejected]"))
        return ERR_CONFLICT;
    own = without_remote_words(said);
    return kind_among(phrases, ARRAY_SIZE(phrases), own);
}
