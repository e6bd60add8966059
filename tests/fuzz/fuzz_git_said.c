/* SPDX-License-Identifier: Apache-2.0 */
/* What git says when it fails, which the other side and the repository have their words in, and
 * the diff that is looked through for credentials: one clean sentence, and the same findings
 * however the diff comes. The first byte says in which pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "git/complaint.h"
#include "task/findings.h"

#define OWN_SECRET "vgvtask_0123456789"
#define SENTENCE_MAX_BYTES 1024

static void complain(const char *said)
{
    scoped_str sentence = complaint_sentence(said);

    (void)complaint_kind(said);
    if (strlen(sentence) > SENTENCE_MAX_BYTES)
        abort();
    for (const char *c = sentence; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            abort();
}

static void find_in_pieces(struct findings *findings, struct redaction *redaction,
                           const char *data, size_t size, size_t piece)
{
    findings_init(findings, redaction);
    for (size_t at = 0; at < size; at += piece)
        findings_feed(findings, data + at, piece < size - at ? piece : size - at);
    findings_end(findings);
}

static bool differ(const struct findings *a, const struct findings *b)
{
    return strcmp(a->workflow, b->workflow) != 0 || strcmp(a->credential, b->credential) != 0
           || strcmp(a->own_secret, b->own_secret) != 0
           || a->credential_kind != b->credential_kind;
}

static void look_through(const char *data, size_t size, size_t piece)
{
    scoped(redaction) redaction = redaction_new();
    scoped(secret) own = secret_new(OWN_SECRET);
    struct findings whole;
    struct findings cut;

    redaction_add(redaction, own);
    find_in_pieces(&whole, redaction, data, size, size);
    find_in_pieces(&cut, redaction, data, size, piece);
    if (differ(&whole, &cut))
        abort();
    findings_done(&whole);
    findings_done(&cut);
}

/* What is left has nothing of the secret. */
static void redact(char *text)
{
    scoped(redaction) redaction = redaction_new();
    scoped(secret) own = secret_new(OWN_SECRET);
    size_t length = strlen(text);

    redaction_add(redaction, own);
    redaction_apply(redaction, text);
    if (strlen(text) > length || strstr(text, OWN_SECRET))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_str text = NULL;

    if (size < 2)
        return 0;
    look_through((const char *)data + 1, size - 1, 1 + data[0] % 64U);
    text = xstrndup((const char *)data + 1, size - 1);
    complain(text);
    redact(text);
    return 0;
}
