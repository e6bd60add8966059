/* SPDX-License-Identifier: Apache-2.0 */
#include "task/findings.h"

#include <ctype.h>
#include <string.h>

#define PIECE_BYTES 65536
#define WORKFLOWS "b/.github/workflows/"

/* --- Credentials -------------------------------------------------------------------------- */

enum alphabet { ALNUM, BASE64URL, UPPER, ANY };

/* Forms that their makers publish, so that they can be found. */
static const struct form {
    const char *prefix;
    enum alphabet alphabet;
    size_t length; /* at least so many of the alphabet after the prefix */
    const char *kind;
} forms[] = {
    {"-----BEGIN RSA PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN EC PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN DSA PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN OPENSSH PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN PGP PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN PRIVATE KEY", ANY, 0, "a private key"},
    {"-----BEGIN ENCRYPTED PRIVATE KEY", ANY, 0, "a private key"},
    {"ghp_", ALNUM, 36, "a GitHub token"},
    {"gho_", ALNUM, 36, "a GitHub token"},
    {"ghu_", ALNUM, 36, "a GitHub token"},
    {"ghs_", ALNUM, 36, "a GitHub token"},
    {"ghr_", ALNUM, 36, "a GitHub token"},
    {"github_pat_", BASE64URL, 60, "a GitHub token"},
    {"glpat-", BASE64URL, 20, "a GitLab token"},
    {"AKIA", UPPER, 16, "an AWS access key"},
    {"ASIA", UPPER, 16, "an AWS access key"},
    {"AIza", BASE64URL, 35, "a Google API key"},
    {"sk-ant-", BASE64URL, 32, "an Anthropic key"},
    {"sk-proj-", BASE64URL, 32, "an OpenAI key"},
    {"sk-or-v1-", ALNUM, 48, "an OpenRouter key"},
    {"sk_live_", ALNUM, 24, "a Stripe key"},
    {"rk_live_", ALNUM, 24, "a Stripe key"},
    {"xoxb-", BASE64URL, 24, "a Slack token"},
    {"xoxp-", BASE64URL, 24, "a Slack token"},
    {"npm_", ALNUM, 36, "an npm token"},
    {"pypi-AgEIcHlwaS5vcmc", BASE64URL, 32, "a PyPI token"},
    {"vgvbot_", ALNUM, 43, "a Dispatch token"},
    {"vgvtask_", ALNUM, 20, "a Dispatch token"},
    {"dsp_live_", ALNUM, 43, "a Dispatch token"},
};

static bool is_of(enum alphabet alphabet, unsigned char c)
{
    switch (alphabet) {
    case ALNUM:
        return isalnum(c) != 0;
    case BASE64URL:
        return isalnum(c) || c == '-' || c == '_';
    case UPPER:
        return isupper(c) || isdigit(c);
    case ANY:
        break;
    }
    return true;
}

static bool fits(const struct form *form, const char *text, size_t size)
{
    size_t prefix = strlen(form->prefix);

    if (size < prefix + form->length || memcmp(text, form->prefix, prefix) != 0)
        return false;
    for (size_t i = 0; i < form->length; i++)
        if (!is_of(form->alphabet, (unsigned char)text[prefix + i]))
            return false;
    return true;
}

/* Not in the middle of a word: base64 is full of what looks like a beginning. */
static bool begins_word(const char *text, size_t at)
{
    unsigned char before = at ? (unsigned char)text[at - 1] : ' ';

    return !isalnum(before) && before != '_' && before != '/' && before != '+';
}

const char *credential_kind(const char *text, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        const char *at = text;
        size_t left = size;

        while ((at = memmem(at, left, forms[i].prefix, strlen(forms[i].prefix)))) {
            left = size - (size_t)(at - text);
            if (begins_word(text, (size_t)(at - text)) && fits(&forms[i], at, left))
                return forms[i].kind;
            at++;
            left--;
        }
    }
    return NULL;
}

/* --- The diff ----------------------------------------------------------------------------- */

static void keep(char *where, const char *path)
{
    if (!where[0])
        (void)snprintf(where, FINDING_PATH_MAX + 1, "%s", path[0] ? path : "a file");
}

static void scan(struct findings *findings, const char *text, size_t size)
{
    const char *kind = findings->credential[0] ? NULL : credential_kind(text, size);

    if (redaction_finds(findings->redaction, text, size))
        keep(findings->own_secret, findings->path);
    if (kind) {
        keep(findings->credential, findings->path);
        findings->credential_kind = kind;
    }
}

/* git quotes names with unusual bytes; a name for people is good enough here. */
static void take_path(struct findings *findings, const char *path)
{
    (void)snprintf(findings->path, sizeof(findings->path), "%s", path);
    for (char *c = findings->path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '`')
            *c = '?';
}

static void read_header(struct findings *findings, const char *line)
{
    const char *other = strstr(line, " b/");
    const char *workflow = strstr(line, WORKFLOWS);

    if (strncmp(line, "diff --git ", 11) == 0) {
        take_path(findings, other ? other + 3 : line + 11);
        if (workflow && (workflow[-1] == ' ' || workflow[-1] == '"'))
            keep(findings->workflow, findings->path);
    } else if (strncmp(line, "+++ b/", 6) == 0) {
        take_path(findings, line + 6);
    }
}

/* One line, or a piece of one that is too long to be kept. */
static void read_line(struct findings *findings, const char *line, size_t size)
{
    if (findings->at_line_start && size >= 5 && memcmp(line, "diff ", 5) == 0)
        findings->in_header = true;
    else if (findings->at_line_start && size >= 2 && memcmp(line, "@@", 2) == 0)
        findings->in_header = false;
    if (findings->in_header) {
        if (findings->at_line_start) {
            read_header(findings, line);
            scan(findings, line, size); /* names can carry things, too */
        }
        return;
    }
    if (findings->at_line_start) {
        findings->in_added = size && line[0] == '+';
        line += findings->in_added;
        size -= findings->in_added;
    }
    if (findings->in_added)
        scan(findings, line, size);
}

static void read_lines(struct findings *findings)
{
    struct buf *line = &findings->line;
    size_t done = 0;

    while (done < line->size) {
        char *end = memchr(line->data + done, '\n', line->size - done);

        if (!end)
            break;
        *end = '\0';
        read_line(findings, line->data + done, (size_t)(end - line->data) - done);
        findings->at_line_start = true;
        done = (size_t)(end - line->data) + 1;
    }
    buf_drop_front(line, done);
    if (line->size <= PIECE_BYTES)
        return;
    read_line(findings, line->data, line->size);
    findings->at_line_start = false;
    buf_drop_front(line, line->size - FINDINGS_WINDOW_BYTES);
}

void findings_init(struct findings *findings, struct redaction *redaction)
{
    *findings = (struct findings){.redaction = redaction, .at_line_start = true};
}

void findings_done(struct findings *findings)
{
    buf_done(&findings->line);
}

void findings_feed(void *ctx, const char *data, size_t size)
{
    struct findings *findings = ctx;

    buf_append(&findings->line, data, size);
    read_lines(findings);
}

void findings_end(struct findings *findings)
{
    if (findings->line.size)
        read_line(findings, findings->line.data, findings->line.size);
    buf_clear(&findings->line);
}
