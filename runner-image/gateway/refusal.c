/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/refusal.h"

#include "base/scoped.h"

static const struct words {
    int status;
    const char *anthropic;
    const char *openai;
    const char *gemini;
    const char *sentence;
} words[] = {
    [REFUSAL_NONE] = {500, "api_error", "server_error", "INTERNAL", "An error."},
    [REFUSAL_KEY] = {401, "authentication_error", "invalid_api_key", "UNAUTHENTICATED",
                     "This isn't the key of this run's model gateway."},
    [REFUSAL_NOT_SERVED] = {404, "not_found_error", "not_found", "NOT_FOUND",
                            "The run's model gateway doesn't serve this."},
    [REFUSAL_TOO_LARGE] = {413, "request_too_large", "request_too_large", "INVALID_ARGUMENT",
                           "The request is larger than the run's model gateway takes."},
    /* Clients try again after 429 and 5xx, and some wait for minutes. */
    [REFUSAL_BUDGET] = {400, "invalid_request_error", "budget_exceeded", "FAILED_PRECONDITION",
                        "The budget of this run is spent."},
    [REFUSAL_BUSY] = {429, "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED",
                      "Too many model calls at once."},
    [REFUSAL_UPSTREAM] = {502, "api_error", "server_error", "UNAVAILABLE",
                          "The model provider can't be reached."},
    [REFUSAL_SILENCE] = {504, "timeout_error", "server_error", "DEADLINE_EXCEEDED",
                         "The model provider didn't answer in time."},
    [REFUSAL_STOPPING] = {503, "api_error", "server_error", "UNAVAILABLE",
                          "The run is ending."},
};

int refusal_status(enum refusal refusal)
{
    return words[refusal].status;
}

static cJSON *body_of(const struct words *w, enum model_protocol protocol, const char *sentence)
{
    switch (protocol) {
    case PROTOCOL_ANTHROPIC:
        return jobj({"type", jstr("error")},
                    {"error", jobj({"type", jstr(w->anthropic)}, {"message", jstr(sentence)})});
    case PROTOCOL_GEMINI:
        return jobj({"error", jobj({"code", jint(w->status)}, {"message", jstr(sentence)},
                                   {"status", jstr(w->gemini)})});
    case PROTOCOL_OPENAI:
    default:
        return jobj({"error", jobj({"message", jstr(sentence)}, {"type", jstr(w->openai)},
                                   {"param", cJSON_CreateNull()}, {"code", jstr(w->openai)})});
    }
}

char *refusal_body(enum refusal refusal, enum model_protocol protocol, const char *sentence)
{
    const struct words *w = &words[refusal];
    scoped_json body = body_of(w, protocol, sentence ? sentence : w->sentence);

    return json_text(body);
}
