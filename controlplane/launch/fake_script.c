/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/fake_script.h"

#include <string.h>

#include "base/alloc.h"

#define BLANKS " \t\r\n"
#define DEFAULT_CLAIM_MS 1
#define DEFAULT_RUN_MS 5

static const char *const end_names[] = {
    [FAKE_COMPLETED] = "completed", [FAKE_FAILED] = "failed", [FAKE_STOPPED] = "stopped",
    [FAKE_CRASH] = "crash",         [FAKE_OOM] = "oom",       [FAKE_EVICTED] = "evicted",
    [FAKE_SILENT] = "silent",       [FAKE_FROZEN] = "frozen", [FAKE_VANISH] = "vanish",
};

static const char *const start_names[] = {
    [FAKE_START_ERROR] = "error",
    [FAKE_START_TIMEOUT] = "timeout",
    [FAKE_START_TIMEOUT_COMMITTED] = "timeout_committed",
};

struct word {
    const char *text;
    size_t length;
};

static bool is(struct word word, const char *text)
{
    return strlen(text) == word.length && memcmp(word.text, text, word.length) == 0;
}

/* The part after "name=", if the word begins so. */
static bool has_value(struct word word, const char *name, struct word *out)
{
    size_t length = strlen(name);

    if (word.length <= length || memcmp(word.text, name, length) != 0
        || word.text[length] != '=')
        return false;
    *out = (struct word){word.text + length + 1, word.length - length - 1};
    return true;
}

static int one_of(struct word word, const char *const *names, int n_names)
{
    for (int i = 0; i < n_names; i++)
        if (names[i] && is(word, names[i]))
            return i;
    return -1;
}

/* Left alone when it isn't a number of milliseconds. */
static void read_number(struct word word, int *out)
{
    int value = 0;

    if (!word.length)
        return;
    for (size_t i = 0; i < word.length; i++) {
        if (word.text[i] < '0' || word.text[i] > '9')
            return;
        value = value * 10 + (word.text[i] - '0');
        if (value > FAKE_MS_MAX)
            return;
    }
    *out = value;
}

static void read_end(struct word word, struct fake_script *out)
{
    int end = one_of(word, end_names, (int)ARRAY_SIZE(end_names));

    if (end >= 0)
        out->end = (enum fake_end)end;
}

static void read_word(struct word word, struct fake_script *out)
{
    struct word value;
    int start;

    if (has_value(word, "claim_ms", &value))
        read_number(value, &out->claim_ms);
    else if (has_value(word, "run_ms", &value))
        read_number(value, &out->run_ms);
    else if (has_value(word, "start_errors", &value))
        read_number(value, &out->start_errors);
    else if (has_value(word, "start_away", &value))
        read_number(value, &out->start_away);
    else if (has_value(word, "start_timeouts", &value))
        read_number(value, &out->start_timeouts);
    else if (has_value(word, "waiting_ms", &value))
        read_number(value, &out->waiting_ms);
    else if (has_value(word, "end", &value))
        read_end(value, out);
    else if (has_value(word, "start", &value)) {
        start = one_of(value, start_names, (int)ARRAY_SIZE(start_names));
        if (start > 0)
            out->start = (enum fake_start)start;
    } else if (has_value(word, "pr", &value) && value.length <= FAKE_PR_URL_MAX) {
        free(out->pr_url);
        out->pr_url = xstrndup(value.text, value.length);
    } else if (is(word, "stubborn"))
        out->stubborn = true;
    else if (one_of(word, end_names, (int)ARRAY_SIZE(end_names)) >= FAKE_CRASH)
        read_end(word, out);
}

void fake_script_read(const char *text, struct fake_script *out)
{
    *out = (struct fake_script){.claim_ms = DEFAULT_CLAIM_MS, .run_ms = DEFAULT_RUN_MS};
    while (text && *text) {
        struct word word = {.text = text + strspn(text, BLANKS)};

        word.length = strcspn(word.text, BLANKS);
        read_word(word, out);
        text = word.text + word.length;
    }
}

void fake_script_done(struct fake_script *script)
{
    free(script->pr_url);
    script->pr_url = NULL;
}

const char *fake_end_name(enum fake_end end)
{
    return end_names[end];
}
