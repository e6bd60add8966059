/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "json/json.h"

static cJSON *parse(const char *text, struct err *err)
{
    return json_parse(text, strlen(text), err);
}

static void assert_refused(const char *text, size_t size, const char *complaint)
{
    struct err err = {0};
    scoped_json got = json_parse(text, size, &err);

    if (got)
        fail_msg("taken, though it should end in \"%s\": %.60s", complaint, text);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.text, complaint);
}

static void assert_same_text(const char *text, const char *expected)
{
    struct err err = {0};
    scoped_json got = parse(text, &err);
    scoped_str printed = NULL;

    assert_made(got, err);
    printed = json_text(got);
    assert_string_equal(printed, expected);
}

static void test_every_kind_of_value_is_taken(void **state)
{
    static const struct {
        const char *text;
        const char *same;
    } cases[] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"null", "null"},
        {"true", "true"},
        {"\tfalse\r\n", "false"},
        {"\"\"", "\"\""},
        {"0", "0"},
        {"-0", "0"},
        {"-12.50", "-12.5"},
        {"1E2", "100"},
        {"1e-2", "0.01"},
        {"9007199254740991", "9007199254740991"},
        {"1763780000123", "1763780000123"},
        {"0.1", "0.1"},
        {"1e-999", "0"},
        {"[1,\"two\",[3],{\"four\":4}]", "[1,\"two\",[3],{\"four\":4}]"},
        {"{\"a\" : 1 , \"b\" : [ true , null ] }", "{\"a\":1,\"b\":[true,null]}"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\""},
        {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"",
         "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
         "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_same_text(cases[i].text, cases[i].same);
}

static void test_what_is_not_json_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"", "line 1, column 1: expected a value, found the end"},
        {"  \n ", "line 2, column 2: expected a value, found the end"},
        {"{", "line 1, column 2: expected a key in double quotes, found the end"},
        {"{\"a\"", "line 1, column 5: expected ':', found the end"},
        {"{\"a\" 1}", "line 1, column 6: expected ':', found '1'"},
        {"{\"a\":}", "line 1, column 6: expected a value, found '}'"},
        {"{\"a\":1", "line 1, column 7: expected ',' or '}', found the end"},
        {"{\"a\":1,}", "line 1, column 8: expected a key in double quotes, found '}'"},
        {"{a:1}", "line 1, column 2: expected a key in double quotes, found 'a'"},
        {"{'a':1}", "line 1, column 2: expected a key in double quotes, found '''"},
        {"[1,]", "line 1, column 4: expected a value, found ']'"},
        {"[1 2]", "line 1, column 4: expected ',' or ']', found '2'"},
        {"[1}", "line 1, column 3: expected ',' or ']', found '}'"},
        {"{} {}", "line 1, column 4: expected the end, found '{'"},
        {"{}\n\nx", "line 3, column 1: expected the end, found 'x'"},
        {"[] // why", "line 1, column 4: expected the end, found '/'"},
        {"NaN", "line 1, column 1: expected a value, found 'N'"},
        {"[Infinity]", "line 1, column 2: expected a value, found 'I'"},
        {"-Infinity", "line 1, column 2: expected a digit, found 'I'"},
        {"nul", "line 1, column 1: expected a value, found 'n'"},
        {"True", "line 1, column 1: expected a value, found 'T'"},
        {"truer", "line 1, column 5: expected the end, found 'r'"},
        {"+1", "line 1, column 1: expected a value, found '+'"},
        {".5", "line 1, column 1: expected a value, found '.'"},
        {"01", "line 1, column 2: expected the end, found '1'"},
        {"-", "line 1, column 2: expected a digit, found the end"},
        {"1.", "line 1, column 3: expected a digit, found the end"},
        {"1.e3", "line 1, column 3: expected a digit, found 'e'"},
        {"1e", "line 1, column 3: expected a digit, found the end"},
        {"1e+", "line 1, column 4: expected a digit, found the end"},
        {"0x10", "line 1, column 2: expected the end, found 'x'"},
        {"1e999", "line 1, column 1: number out of range"},
        {"[-1e999]", "line 1, column 2: number out of range"},
        {"\xef\xbb\xbf{}", "line 1, column 1: a byte order mark before the document"},
        {"\xc2\xa0{}", "line 1, column 1: expected a value, found byte 0xc2"},
        {"\f{}", "line 1, column 1: expected a value, found byte 0x0c"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].complaint);
}

static void test_strings_are_taken_by_the_letter(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"\"abc", "line 1, column 1: a string without an end"},
        {"\"abc\\\"", "line 1, column 1: a string without an end"},
        {"\"abc\\", "line 1, column 5: unknown escape in a string"},
        {"\"a\nb\"", "line 1, column 3: control character 0x0a in a string"},
        {"\"\x1f\"", "line 1, column 2: control character 0x1f in a string"},
        {"\"\\x41\"", "line 1, column 2: unknown escape in a string"},
        {"\"\\'\"", "line 1, column 2: unknown escape in a string"},
        {"\"\\u12\"", "line 1, column 2: expected four hex digits after \\u"},
        {"\"\\u12g4\"", "line 1, column 2: expected four hex digits after \\u"},
        {"\"\\u-123\"", "line 1, column 2: expected four hex digits after \\u"},
        {"\"\\u0000\"", "line 1, column 2: a string can't hold NUL"},
        {"{\"a\\u0000b\":1}", "line 1, column 4: a string can't hold NUL"},
        {"\"\\ud800\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\\ud800\\n\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\\ud800\\ud800\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\\udc00\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\\ud83d", "line 1, column 2: half of a surrogate pair"},
        {"\"\\ude00\\ud83d\"", "line 1, column 2: half of a surrogate pair"},
        {"\"\xff\"", "line 1, column 2: not UTF-8"},
        {"\"\x80\"", "line 1, column 2: not UTF-8"},
        {"\"\xc3\"", "line 1, column 2: not UTF-8"},
        {"\"\xc0\xaf\"", "line 1, column 2: not UTF-8"},
        {"\"\xe0\x80\xaf\"", "line 1, column 2: not UTF-8"},
        {"\"\xf0\x80\x80\xaf\"", "line 1, column 2: not UTF-8"},
        {"\"\xed\xa0\x80\"", "line 1, column 2: not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "line 1, column 2: not UTF-8"},
        {"\"\xf8\x88\x80\x80\x80\"", "line 1, column 2: not UTF-8"},
        {"\"ok\xe2\x82\"", "line 1, column 4: not UTF-8"},
        {"{\"\xff\":1}", "line 1, column 3: not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].complaint);
}

static void test_a_raw_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    assert_refused("\0{}", 3, "line 1, column 1: expected a value, found byte 0x00");
    assert_refused("{}\0", 3, "line 1, column 3: expected the end, found byte 0x00");
    assert_refused("\"a\0b\"", 5, "line 1, column 3: control character 0x00 in a string");
    assert_refused("\"a\\\0\"", 5, "line 1, column 3: unknown escape in a string");
    assert_refused("1\0", 2, "line 1, column 2: expected the end, found byte 0x00");
}

/* The bytes end where the size says: a copy without a NUL lets ASan see a read too far. */
static void test_no_byte_past_the_size_is_read(void **state)
{
    static const char *const texts[] = {
        "{\"a\":[1,true,\"\\ud83d\\ude00\",\"\xe2\x82\xac\"],\"b\":null}",
        "[false,-1.5e+10,\"\\u0041\\n\"]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t size = 0; size < strlen(texts[i]); size++) {
            struct err err = {0};
            char *cut = xcalloc(1, size);

            memcpy(cut, texts[i], size);
            assert_null(json_parse(cut, size, &err));
            free(cut);
        }
}

static void test_repeated_keys_are_refused_at_any_depth(void **state)
{
    static const char long_key[] = "{\"0123456789012345678901234567890123456789more\":1,"
                                   "\"0123456789012345678901234567890123456789more\":1}";
    static const char odd_key[] = "{\"\xe2\x82\xac\\n\":1,\"\xe2\x82\xac\\n\":2}";

    (void)state;
    assert_refused("{\"a\":1,\"b\":2,\"a\":3}", 19,
                   "line 1, column 14: key \"a\" is there twice");
    assert_refused("{\"a\":1,\"\\u0061\":3}", 18, "line 1, column 8: key \"a\" is there twice");
    assert_refused("[[{\"x\":{\"k\":1,\n\"k\":1}}]]", 24,
                   "line 2, column 1: key \"k\" is there twice");
    assert_refused("{\"o\":{},\"l\":[{\"o\":1}],\"o\":1}", 28,
                   "line 1, column 23: key \"o\" is there twice");
    assert_refused(long_key, strlen(long_key),
                   "line 1, column 51: key \"0123456789012345678901234567890123456789...\" is "
                   "there twice");
    assert_refused(odd_key, strlen(odd_key), "line 1, column 12: key \"??\" is there twice");
}

static void test_keys_that_differ_in_case_are_different(void **state)
{
    struct err err = {0};
    scoped_json got = parse("{\"Key\":1,\"key\":2,\"KEY\":3}", &err);

    (void)state;
    assert_made(got, err);
    assert_int_equal(json_get_int(got, "key", 0), 2);
    assert_int_equal(json_get_int(got, "KEY", 0), 3);
    assert_int_equal(json_get_int(got, "kEY", -1), -1);
}

/* `repeat` < 0: all keys differ; else that key comes once more at the end. */
static char *many_keys(int n_keys, int repeat)
{
    scoped_buf text = {0};

    buf_append_str(&text, "{");
    for (int i = 0; i < n_keys; i++)
        buf_printf(&text, "%s\"%d\":1", i ? "," : "", i);
    if (repeat >= 0)
        buf_printf(&text, ",\"%d\":1", repeat);
    buf_append_str(&text, "}");
    return buf_take(&text);
}

static int64_t cost_of_keys(int n_keys)
{
    struct err err = {0};
    scoped_str text = many_keys(n_keys, -1);
    int64_t began_us = test_cpu_us();
    scoped_json got = parse(text, &err);

    assert_made(got, err);
    return test_cpu_us() - began_us;
}

/* Of 20 times the keys, comparing all pairs would cost 400 times as much. */
static void test_many_keys_take_no_quadratic_time(void **state)
{
    struct err err = {0};
    scoped_str repeat = many_keys(150000, 77777);
    int64_t some_us = cost_of_keys(7500);

    (void)state;
    assert_true(cost_of_keys(150000) < 100 * (some_us + 1));
    assert_null(parse(repeat, &err));
    assert_non_null(strstr(err.text, "key \"77777\" is there twice"));
}

static void test_nesting_ends_at_its_limit(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    struct err err = {0};
    cJSON *got;

    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[2 * JSON_DEPTH_MAX] = '\0';
    got = parse(text, &err);
    assert_made(got, err);
    cJSON_Delete(got);

    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_refused(text, sizeof(text) - 1,
                   "line 1, column 33: nested more than 32 levels deep");
}

static void test_siblings_do_not_count_as_nesting(void **state)
{
    scoped_buf text = {0};
    struct err err = {0};
    scoped_json got = NULL;

    (void)state;
    buf_append_str(&text, "[{}");
    for (int i = 0; i < 100; i++)
        buf_append_str(&text, ",[],{\"a\":[]}");
    buf_append_str(&text, "]");
    got = json_parse(text.data, text.size, &err);
    assert_made(got, err);
    assert_int_equal(cJSON_GetArraySize(got), 201);
}

static void test_a_million_levels_are_refused_at_once(void **state)
{
    enum { LEVELS = 1000000 };
    char *text = xcalloc(1, LEVELS * 6);

    (void)state;
    memset(text, '[', LEVELS);
    assert_refused(text, LEVELS, "line 1, column 33: nested more than 32 levels deep");
    for (int i = 0; i < LEVELS; i++)
        memcpy(text + i * 5L, "{\"a\":", 5);
    assert_refused(text, LEVELS * 5L, "line 1, column 161: nested more than 32 levels deep");
    free(text);
}

static void test_the_length_of_a_number_has_a_limit(void **state)
{
    char text[JSON_NUMBER_MAX + 2] = "";
    struct err err = {0};
    scoped_json got = NULL;

    (void)state;
    memset(text, '0', sizeof(text) - 1);
    memcpy(text, "1.", 2);
    got = json_parse(text, JSON_NUMBER_MAX, &err);
    assert_made(got, err);
    assert_int_equal((int)got->valuedouble, 1);
    assert_refused(text, JSON_NUMBER_MAX + 1,
                   "line 1, column 1: a number of more than 128 characters");
}

static void test_more_values_than_allowed_are_refused(void **state)
{
    struct err err = {0};
    scoped_json four = json_parse_within("[1, {\"a\": null}]", 16, 4, &err);
    scoped_json five = json_parse_within("[1, {\"a\": null}]", 16, 3, &err);

    (void)state;
    assert_non_null(four);
    assert_null(five);
    assert_non_null(strstr(err.text, "more than 3 values"));
}

static const char *const unwanted[] = {"big", "huge", NULL};

static void assert_left(const char *text, const char *expected)
{
    struct err err = {0};
    scoped_json got = json_parse_without(text, strlen(text), unwanted, &err);
    scoped_str printed = got ? json_text(got) : NULL;

    if (!got)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(printed, expected);
}

static void test_members_left_out_are_not_there_at_any_depth(void **state)
{
    (void)state;
    assert_left("{\"a\":1,\"big\":[{\"x\":\"\\u00e4\"},-1.5e3,true,null],\"b\":2}",
                "{\"a\":1,\"b\":2}");
    assert_left("[{\"huge\":{\"a\":{\"b\":[]}}},{\"a\":{\"big\":\"\",\"c\":{}}}]",
                "[{},{\"a\":{\"c\":{}}}]");
    assert_left("{\"big\":1}", "{}");
    assert_left("{\"bigger\":1,\"a\":\"big\"}", "{\"bigger\":1,\"a\":\"big\"}");
}

static void test_what_is_left_out_is_looked_at_all_the_same(void **state)
{
    static const char *const cases[] = {
        "{\"big\":}",        "{\"big\":[1,]}",    "{\"big\":{\"a\":1,}}",
        "{\"big\":{\"a\"}}", "{\"big\":{1:2}}",   "{\"big\":{\"a\":1]}",
        "{\"big\":[1}}",     "{\"big\":\"\\x\"}", "{\"big\":\"\xff\"}",
        "{\"big\":\"",       "{\"big\":01}",      "{\"big\":1e999}",
        "{\"big\":nul}",     "{\"big\":[[",       "{\"big\":1,\"big\":2}",
        "{\"big\":1}x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err whole = {0};
        struct err without = {0};

        assert_null(json_parse(cases[i], strlen(cases[i]), &whole));
        assert_null(json_parse_without(cases[i], strlen(cases[i]), unwanted, &without));
        assert_int_equal(without.kind, ERR_INVALID);
        assert_string_equal(without.text, whole.text);
    }
}

static void test_what_is_left_out_is_no_deeper_than_the_rest(void **state)
{
    static char text[100000];
    struct err err = {0};

    (void)state;
    memset(text, '[', sizeof(text) - 1);
    memcpy(text, "{\"big\":", 7);
    assert_null(json_parse_without(text, sizeof(text) - 1, unwanted, &err));
    assert_non_null(strstr(err.text, "nested more than"));
}

TEST_MAIN(cmocka_unit_test(test_members_left_out_are_not_there_at_any_depth),
          cmocka_unit_test(test_what_is_left_out_is_looked_at_all_the_same),
          cmocka_unit_test(test_what_is_left_out_is_no_deeper_than_the_rest),
          cmocka_unit_test(test_more_values_than_allowed_are_refused),
          cmocka_unit_test(test_every_kind_of_value_is_taken),
          cmocka_unit_test(test_what_is_not_json_is_refused_with_its_place),
          cmocka_unit_test(test_strings_are_taken_by_the_letter),
          cmocka_unit_test(test_a_raw_nul_is_refused_wherever_it_stands),
          cmocka_unit_test(test_no_byte_past_the_size_is_read),
          cmocka_unit_test(test_repeated_keys_are_refused_at_any_depth),
          cmocka_unit_test(test_keys_that_differ_in_case_are_different),
          cmocka_unit_test(test_many_keys_take_no_quadratic_time),
          cmocka_unit_test(test_nesting_ends_at_its_limit),
          cmocka_unit_test(test_siblings_do_not_count_as_nesting),
          cmocka_unit_test(test_a_million_levels_are_refused_at_once),
          cmocka_unit_test(test_the_length_of_a_number_has_a_limit))
