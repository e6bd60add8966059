/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/usage_reader.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

struct expected {
    int64_t input;
    int64_t output;
    int64_t cache_read;
    int64_t cache_write;
    const char *model;
    bool estimated;
};

static void read_in_pieces(enum model_protocol protocol, enum usage_form form, const char *text,
                           size_t piece, struct usage_reader *reader)
{
    size_t size = strlen(text);

    usage_reader_init(reader, protocol, form);
    for (size_t at = 0; at < size; at += piece)
        usage_reader_feed(reader, text + at, piece < size - at ? piece : size - at);
}

/* The same in whatever pieces it comes, and with each kind of line break. */
static void expect(enum model_protocol protocol, enum usage_form form, const char *text,
                   struct expected expected)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct usage_reader reader;
        struct model_totals used;

        read_in_pieces(protocol, form, text, piece, &reader);
        usage_reader_finish(&reader, 400, &used);
        if (used.input_tokens != expected.input || used.output_tokens != expected.output
            || used.cache_read_tokens != expected.cache_read
            || used.cache_write_tokens != expected.cache_write
            || used.estimated != expected.estimated
            || strcmp(reader.model, expected.model) != 0)
            fail_msg("in pieces of %zu: %lld in, %lld out, %lld read, %lld written, %s, %d",
                     piece, (long long)used.input_tokens, (long long)used.output_tokens,
                     (long long)used.cache_read_tokens, (long long)used.cache_write_tokens,
                     reader.model, used.estimated);
        assert_int_equal(used.requests, 1);
    }
}

/* Each line break of `text` as `instead`, for the caller to free. */
static char *with_breaks(const char *text, const char *instead)
{
    struct buf out = {0};

    for (; *text; text++)
        buf_append(&out, *text == '\n' ? instead : text, *text == '\n' ? strlen(instead) : 1);
    return buf_take(&out);
}

static void expect_events(enum model_protocol protocol, const char *text,
                          struct expected expected)
{
    static const char *const breaks[] = {"\n", "\r\n", "\r"};

    for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
        scoped_str broken = with_breaks(text, breaks[i]);

        expect(protocol, USAGE_SSE, broken, expected);
    }
}

static void test_anthropic_stream(void **state)
{
    (void)state;
    expect_events(
        PROTOCOL_ANTHROPIC,
        "event: message_start\n"
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
        "\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[],"
        "\"stop_reason\":null,\"usage\":{\"input_tokens\":4,\"cache_creation_input_tokens\":"
        "1200,\"cache_read_input_tokens\":15000,\"cache_creation\":{"
        "\"ephemeral_5m_input_tokens\":1200},\"output_tokens\":1,\"service_tier\":"
        "\"standard\"}}}\n\n"
        "event: ping\ndata: {\"type\": \"ping\"}\n\n"
        ": a comment\n"
        "event: content_block_delta\n"
        "data: "
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
        "\"text\":\"\\\"usage\\\":{\\\"output_tokens\\\":99999}\"}}\n\n"
        "event: content_block_delta\n"
        "data: "
        "{\"type\":\"content_block_delta\",\"delta\":{\"usage\":{\"output_tokens\":7777}}}"
        "\n\n"
        "event: message_delta\n"
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
        "\"usage\":{\"output_tokens\":215}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        (struct expected){4, 215, 15000, 1200, "claude-sonnet-4-5-20250929", false});
}

static void test_anthropic_whole(void **state)
{
    (void)state;
    expect(
        PROTOCOL_ANTHROPIC, USAGE_JSON,
        "{\"id\":\"msg_1\",\"model\":\"claude-haiku-4-5\",\"content\":[{\"type\":\"tool_use\","
        "\"input\":{\"usage\":{\"input_tokens\":5},\"model\":\"x\"}}],\"usage\":{"
        "\"input_tokens\":12,\"cache_read_input_tokens\":0,\"output_tokens\":34}}",
        (struct expected){12, 34, 0, 0, "claude-haiku-4-5", false});
}

static void test_openai_chat_stream(void **state)
{
    (void)state;
    expect_events(
        PROTOCOL_OPENAI,
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5-mini\","
        "\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n"
        "data: {\"id\":\"c\",\"model\":\"gpt-5-mini\",\"choices\":[],\"usage\":{"
        "\"prompt_tokens\":1500,\"completion_tokens\":70,\"total_tokens\":1570,"
        "\"prompt_tokens_details\":{\"cached_tokens\":1024,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":64}}}\n\n"
        "data: [DONE]\n\n",
        (struct expected){476, 70, 1024, 0, "gpt-5-mini", false});
}

static void test_openai_chat_whole_with_reasoning_in_the_total_alone(void **state)
{
    (void)state;
    expect(PROTOCOL_OPENAI, USAGE_JSON,
           "{\"model\":\"grok-4\",\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{"
           "\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":160}}\n",
           (struct expected){100, 60, 0, 0, "grok-4", false});
}

static void test_openai_responses_stream_and_whole(void **state)
{
    (void)state;
    expect_events(
        PROTOCOL_OPENAI,
        "event: response.created\n"
        "data: "
        "{\"type\":\"response.created\",\"response\":{\"model\":\"gpt-5\",\"usage\":null}}"
        "\n\n"
        "event: response.output_text.delta\n"
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hello\"}\n\n"
        "event: response.completed\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-5\",\"usage\":{"
        "\"input_tokens\":300,\"input_tokens_details\":{\"cached_tokens\":200},"
        "\"output_tokens\":40,\"output_tokens_details\":{\"reasoning_tokens\":30},"
        "\"total_tokens\":340}}}\n\n",
        (struct expected){100, 40, 200, 0, "gpt-5", false});
    expect(PROTOCOL_OPENAI, USAGE_JSON,
           "{\"model\":\"gpt-5\",\"output\":[{}],\"usage\":{\"input_tokens\":3,"
           "\"output_tokens\":4}}",
           (struct expected){3, 4, 0, 0, "gpt-5", false});
}

#define GEMINI_1                                                                               \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":{"       \
    "\"promptTokenCount\":900,\"totalTokenCount\":900},\"modelVersion\":\"gemini-2.5-pro\"}"
#define GEMINI_2                                                                               \
    "{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":"   \
    "900,\"candidatesTokenCount\":25,\"thoughtsTokenCount\":100,\"totalTokenCount\":1025,"     \
    "\"cachedContentTokenCount\":600},\"modelVersion\":\"gemini-2.5-pro\"}"

static void test_gemini_events_array_and_whole(void **state)
{
    struct expected expected = {300, 125, 600, 0, "gemini-2.5-pro", false};

    (void)state;
    expect_events(PROTOCOL_GEMINI, "data: " GEMINI_1 "\n\ndata: " GEMINI_2 "\n\n", expected);
    expect(PROTOCOL_GEMINI, USAGE_JSON, "[" GEMINI_1 "\n,\r\n" GEMINI_2 "\n]\n", expected);
    expect(PROTOCOL_GEMINI, USAGE_JSON, GEMINI_2, expected);
}

static void test_what_isnt_said_is_estimated_from_sizes(void **state)
{
    (void)state;
    /* 400 bytes asked, three events answered */
    expect_events(PROTOCOL_OPENAI,
                  "data: {\"model\":\"m\",\"choices\":[{}]}\n\ndata: {\"choices\":[{}]}\n\n"
                  "data: [DONE]\n\n",
                  (struct expected){100, 3, 0, 0, "m", true});
    /* cut after its start: what was said stands */
    expect_events(PROTOCOL_ANTHROPIC,
                  "data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{"
                  "\"input_tokens\":7,\"output_tokens\":1}}}\n\ndata: {}\n\ndata: {}\n\n",
                  (struct expected){7, 3, 0, 0, "m", true});
    expect(PROTOCOL_OPENAI, USAGE_OPAQUE, "\x1f\x8b compressed, sixteen and so on",
           (struct expected){100, 8, 0, 0, "", true});
}

static void test_nonsense_counts_nothing_and_harms_nobody(void **state)
{
    static const char *const nonsense[] = {
        "",
        "}",
        "]]]]",
        "{\"usage\":{\"input_tokens\":-5,\"output_tokens\":1e99}}",
        "{\"usage\":{\"input_tokens\":99999999999999999999999999}}",
        "{\"usage\":{\"input_tokens\":\"5\"}}",
        "{\"us\\u0061ge\":{\"input_tokens\":5}}",
        "{\"usage.input_tokens\":5}",
        "{\"usage\":[{\"input_tokens\":5}]}",
        "{\"a\":{\"usage\":{\"input_tokens\":5}}}",
        "nulltrue{:,:\"\\",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        struct usage_reader reader;
        struct model_totals used;

        read_in_pieces(PROTOCOL_ANTHROPIC, USAGE_JSON, nonsense[i], 3, &reader);
        usage_reader_finish(&reader, 0, &used);
        if (used.input_tokens || used.cache_read_tokens)
            fail_msg("%s: %lld", nonsense[i], (long long)used.input_tokens);
    }
}

static void test_depth_and_length_have_no_end_and_no_effect(void **state)
{
    struct usage_reader reader;
    struct model_totals used;

    (void)state;
    usage_reader_init(&reader, PROTOCOL_ANTHROPIC, USAGE_JSON);
    for (int i = 0; i < 100000; i++)
        usage_reader_feed(&reader, "{\"k\":[", 6);
    usage_reader_feed(&reader, "1", 1);
    usage_reader_finish(&reader, 0, &used);
    assert_int_equal(used.input_tokens, 0);

    usage_reader_init(&reader, PROTOCOL_ANTHROPIC, USAGE_SSE);
    usage_reader_feed(&reader, "data: {\"type\":\"", 15);
    for (int i = 0; i < 100000; i++)
        usage_reader_feed(&reader, "endless ", 8);
    usage_reader_feed(&reader, "\",\"usage\":{\"output_tokens\":3}}\n\n", 32);
    usage_reader_finish(&reader, 0, &used);
    assert_int_equal(used.output_tokens, 3);
}

static void test_a_cost_that_the_provider_states_is_kept(void **state)
{
    struct usage_reader reader;
    struct model_totals used;

    (void)state;
    read_in_pieces(PROTOCOL_OPENAI, USAGE_JSON,
                   "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":0.25}}", 5,
                   &reader);
    usage_reader_finish(&reader, 0, &used);
    assert_true(used.cost_usd > 0.2499 && used.cost_usd < 0.2501);
}

TEST_MAIN(cmocka_unit_test(test_anthropic_stream), cmocka_unit_test(test_anthropic_whole),
          cmocka_unit_test(test_openai_chat_stream),
          cmocka_unit_test(test_openai_chat_whole_with_reasoning_in_the_total_alone),
          cmocka_unit_test(test_openai_responses_stream_and_whole),
          cmocka_unit_test(test_gemini_events_array_and_whole),
          cmocka_unit_test(test_what_isnt_said_is_estimated_from_sizes),
          cmocka_unit_test(test_nonsense_counts_nothing_and_harms_nobody),
          cmocka_unit_test(test_depth_and_length_have_no_end_and_no_effect),
          cmocka_unit_test(test_a_cost_that_the_provider_states_is_kept))
