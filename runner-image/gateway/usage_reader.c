/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/usage_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"

/* No single answer has more: a larger number is nonsense, and would spoil the sums. */
#define TOKENS_MAX 1000000000LL
#define COST_MAX_USD 100000.0
#define BYTES_PER_TOKEN 4 /* roughly, in English and in code */

/* clang-format off */
enum count { PROMPT, OUTPUT, CACHE_READ, CACHE_WRITE, TOTAL, THOUGHTS, TOOL_PROMPT, COST };
/* clang-format on */
_Static_assert(COST < USAGE_COUNTS, "a longer USAGE_COUNTS");

struct field {
    const char *path;
    enum count count;
};

static const struct field anthropic[] = {
    {"usage.input_tokens", PROMPT},
    {"usage.output_tokens", OUTPUT},
    {"usage.cache_read_input_tokens", CACHE_READ},
    {"usage.cache_creation_input_tokens", CACHE_WRITE},
};
static const struct field openai[] = {
    {"usage.prompt_tokens", PROMPT},
    {"usage.completion_tokens", OUTPUT},
    {"usage.total_tokens", TOTAL},
    {"usage.prompt_tokens_details.cached_tokens", CACHE_READ},
    {"usage.prompt_tokens_details.cache_write_tokens", CACHE_WRITE},
    {"usage.prompt_cache_hit_tokens", CACHE_READ},
    {"usage.cost", COST},
    {"usage.input_tokens", PROMPT}, /* responses */
    {"usage.output_tokens", OUTPUT},
    {"usage.input_tokens_details.cached_tokens", CACHE_READ},
};
static const struct field gemini[] = {
    {"usageMetadata.promptTokenCount", PROMPT},
    {"usageMetadata.candidatesTokenCount", OUTPUT},
    {"usageMetadata.cachedContentTokenCount", CACHE_READ},
    {"usageMetadata.totalTokenCount", TOTAL},
    {"usageMetadata.thoughtsTokenCount", THOUGHTS},
    {"usageMetadata.toolUsePromptTokenCount", TOOL_PROMPT},
};

static const struct dialect {
    const struct field *fields;
    size_t n_fields;
    const char *model;
    const char *wrappers[3]; /* the same may stand inside of these */
} dialects[] = {
    [PROTOCOL_ANTHROPIC] = {anthropic, ARRAY_SIZE(anthropic), "model", {"message."}},
    [PROTOCOL_OPENAI] = {openai, ARRAY_SIZE(openai), "model", {"response.", "x_groq."}},
    [PROTOCOL_GEMINI] = {gemini, ARRAY_SIZE(gemini), "modelVersion", {"[].", "response."}},
};

/* --- What is found ------------------------------------------------------------------------ */

static void take_cost(struct usage_reader *reader, const char *text)
{
    char *end;
    double cost = strtod(text, &end);

    if (!*end && cost > reader->cost_usd && cost <= COST_MAX_USD)
        reader->cost_usd = cost;
}

/* Counts only grow while an answer goes on: the largest is the last word. */
static void take_count(struct usage_reader *reader, enum count which, const char *text)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (end == text || number < 0 || number > TOKENS_MAX)
        return;
    if (*end && strcmp(end, ".0") != 0)
        return;
    if (number > reader->counts[which])
        reader->counts[which] = number;
}

static void take_scalar(void *ctx, const char *path, const char *text, bool is_text)
{
    struct usage_reader *reader = ctx;
    const struct dialect *dialect = &dialects[reader->protocol];
    bool wrapped = false;

    for (size_t i = 0; i < ARRAY_SIZE(dialect->wrappers) && dialect->wrappers[i]; i++) {
        size_t length = strlen(dialect->wrappers[i]);

        if (strncmp(path, dialect->wrappers[i], length) == 0) {
            path += length;
            wrapped = true;
            break;
        }
    }
    if (is_text && strcmp(path, dialect->model) == 0 && *text)
        memcpy(reader->model, text, strlen(text) + 1);
    for (size_t i = 0; i < dialect->n_fields && !is_text; i++) {
        enum count which = dialect->fields[i].count;

        if (strcmp(path, dialect->fields[i].path) != 0)
            continue;
        if (which == COST)
            take_cost(reader, text);
        else
            take_count(reader, which, text);
        /* Anthropic's message_start, which wraps, only opens the account. */
        reader->said |= !(wrapped && reader->protocol == PROTOCOL_ANTHROPIC);
    }
}

/* --- Server-sent events ------------------------------------------------------------------- */

static void end_line(struct usage_reader *reader)
{
    if (reader->line == LINE_NAME && !reader->name_size) { /* an empty line ends the event */
        json_scan_reset(&reader->scan);
    } else if (reader->line == LINE_DATA || reader->line == LINE_BLANK) {
        reader->events++;
        json_scan_feed(&reader->scan, "\n", 1);
    }
    reader->line = LINE_NAME;
    reader->name_size = 0;
}

static void feed_name(struct usage_reader *reader, char c)
{
    if (c != ':') {
        if (reader->name_size < sizeof(reader->name))
            reader->name[reader->name_size] = c;
        if (++reader->name_size > 64)
            reader->line = LINE_OTHER;
        return;
    }
    reader->line = reader->name_size == 4 && memcmp(reader->name, "data", 4) == 0 ? LINE_BLANK
                                                                                  : LINE_OTHER;
}

static size_t line_rest(const char *data, size_t size)
{
    size_t rest = 0;

    while (rest < size && data[rest] != '\n' && data[rest] != '\r')
        rest++;
    return rest;
}

static void feed_events(struct usage_reader *reader, const char *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        char c = data[at];
        size_t rest;

        if (c == '\n' || c == '\r') {
            if (!(c == '\n' && reader->after_cr))
                end_line(reader);
            reader->after_cr = c == '\r';
            at++;
            continue;
        }
        reader->after_cr = false;
        if (reader->line == LINE_NAME) {
            feed_name(reader, c);
            at++;
            continue;
        }
        if (reader->line == LINE_BLANK) {
            reader->line = LINE_DATA;
            at += c == ' ';
        }
        rest = line_rest(data + at, size - at);
        if (reader->line == LINE_DATA)
            json_scan_feed(&reader->scan, data + at, rest);
        at += rest;
    }
}

/* --- All of it ---------------------------------------------------------------------------- */

void usage_reader_init(struct usage_reader *reader, enum model_protocol protocol,
                       enum usage_form form)
{
    *reader = (struct usage_reader){.protocol = protocol, .form = form};
    reader->scan.on_scalar = take_scalar;
    reader->scan.ctx = reader;
}

void usage_reader_feed(struct usage_reader *reader, const char *data, size_t size)
{
    reader->bytes += (int64_t)size;
    if (reader->form == USAGE_SSE)
        feed_events(reader, data, size);
    else if (reader->form == USAGE_JSON)
        json_scan_feed(&reader->scan, data, size);
}

static int64_t or_zero(int64_t number)
{
    return number > 0 ? number : 0;
}

/* Tokens of each kind as the provider counts them, made not to overlap. */
static void separate(const struct usage_reader *reader, struct model_totals *out)
{
    const int64_t *counts = reader->counts;

    *out = (struct model_totals){
        .input_tokens = counts[PROMPT],
        .output_tokens = counts[OUTPUT],
        .cache_read_tokens = counts[CACHE_READ],
        .cache_write_tokens = counts[CACHE_WRITE],
        .cost_usd = reader->cost_usd,
    };
    if (reader->protocol == PROTOCOL_ANTHROPIC)
        return; /* its input leaves the cache out already */
    out->input_tokens = or_zero(counts[PROMPT] + counts[TOOL_PROMPT] - counts[CACHE_READ]
                                - counts[CACHE_WRITE]);
    out->output_tokens += counts[THOUGHTS];
    /* Some count reasoning in the total alone. */
    if (counts[TOTAL] - counts[PROMPT] - counts[TOOL_PROMPT] > out->output_tokens)
        out->output_tokens = counts[TOTAL] - counts[PROMPT] - counts[TOOL_PROMPT];
}

void usage_reader_finish(struct usage_reader *reader, size_t request_bytes,
                         struct model_totals *out)
{
    int64_t guess =
        reader->form == USAGE_SSE ? reader->events : reader->bytes / BYTES_PER_TOKEN;

    if (reader->form == USAGE_JSON) /* a bare number at the very end */
        json_scan_feed(&reader->scan, "\n", 1);
    separate(reader, out);
    out->requests = 1;
    if (reader->said)
        return;
    out->estimated = true;
    if (!out->input_tokens && !out->cache_read_tokens && !out->cache_write_tokens)
        out->input_tokens = (int64_t)(request_bytes / BYTES_PER_TOKEN);
    if (guess > out->output_tokens)
        out->output_tokens = guess;
}
