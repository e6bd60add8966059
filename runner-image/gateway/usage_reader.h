/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_USAGE_READER_H
#define RUNNER_GATEWAY_USAGE_READER_H
#include "gateway/json_scan.h"
#include "gateway/totals.h"

/*
 * What a model's answer says it cost, read while it passes by, in pieces of any size and in
 * memory that doesn't grow. Embedded in its owner: usage_reader_init, then feed, then finish.
 *
 *   Anthropic          usage of the message, of message_start and message_delta
 *   OpenAI             usage of chat completions (the last chunk, if the client asked for it)
 *                      and of responses (response.completed)
 *   Gemini             usageMetadata, of an answer, an event or an array of them
 */
enum model_protocol { PROTOCOL_ANTHROPIC, PROTOCOL_OPENAI, PROTOCOL_GEMINI };

enum usage_form {
    USAGE_JSON,
    USAGE_SSE,    /* text/event-stream */
    USAGE_OPAQUE, /* not to be read: only its size counts */
};

#define USAGE_MODEL_MAX SCAN_TEXT_MAX
#define USAGE_COUNTS 8

struct usage_reader {
    enum model_protocol protocol;
    enum usage_form form;
    struct json_scan scan;
    enum { LINE_NAME, LINE_BLANK, LINE_DATA, LINE_OTHER } line;
    char name[5]; /* of the field, while it is no longer than "data" */
    size_t name_size;
    bool after_cr;
    int64_t bytes;
    int64_t events;
    int64_t counts[USAGE_COUNTS];
    double cost_usd; /* as the provider itself says; 0: it doesn't */
    bool said;       /* the answer's last word on tokens has come */
    char model[USAGE_MODEL_MAX + 1];
};

void usage_reader_init(struct usage_reader *reader, enum model_protocol protocol,
                       enum usage_form form);
void usage_reader_feed(struct usage_reader *reader, const char *data, size_t size);

/* Tokens, and cost_usd where the provider says it. What the answer didn't say is estimated from
 * sizes: a request that is cut before its end isn't free. */
void usage_reader_finish(struct usage_reader *reader, size_t request_bytes,
                         struct model_totals *out);
#endif
