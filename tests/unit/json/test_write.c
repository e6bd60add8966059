/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "json/json.h"

static void assert_text(cJSON *takes, const char *expected)
{
    scoped_json value = takes;
    scoped_str text = json_text(value);

    assert_string_equal(text, expected);
}

static void test_a_document_is_one_expression(void **state)
{
    (void)state;
    assert_text(jobj({"id", jstr("a1")}, {"count", jint(2)}, {"done", jbool(false)},
                     {"jobs", jarr(jobj({"n", jint(1)}), jarr(jint(2), jint(3)))}),
                "{\"id\":\"a1\",\"count\":2,\"done\":false,\"jobs\":[{\"n\":1},[2,3]]}");
}

static void test_null_values_are_left_out(void **state)
{
    (void)state;
    assert_text(jobj({"a", jstr(NULL)}, {"b", jtrue(false)}, {"c", jtime(0)}, {"d", jtime(-5)},
                     {"e", jtrue(true)}),
                "{\"e\":true}");
    assert_text(jarr(jstr(NULL), jint(1), NULL), "[1]");
    assert_text(jobj({"a", NULL}), "{}");
    assert_text(jobj({"a", cJSON_CreateNull()}), "{\"a\":null}");
    assert_text(NULL, "null");
}

static void test_numbers_read_back_as_they_were(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {-1, "-1"},
        {2147483648.0, "2147483648"},
        {1763780000123.0, "1763780000123"},
        {999999999999999.0, "999999999999999"},
        {9007199254740991.0, "9007199254740991"},
        {-9007199254740991.0, "-9007199254740991"},
        {9007199254740990.0, "9007199254740990"},
        {0.1, "0.1"},
        {1.0 / 3, "0.33333333333333331"},
        {1e100, "1e+100"},
        {__builtin_inf(), "null"},
        {__builtin_nan(""), "null"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_text(jnumber(cases[i].number), cases[i].text);
    assert_text(jint(9007199254740991), "9007199254740991");
    assert_text(jint(-9007199254740991), "-9007199254740991");
}

static void test_strings_are_escaped(void **state)
{
    (void)state;
    assert_text(jstr("say \"hi\"\\\n\r\t\x01\x1f/"),
                "\"say \\\"hi\\\"\\\\\\n\\r\\t\\u0001\\u001f/\"");
    assert_text(jstr("\xe2\x82\xac\x7f"), "\"\xe2\x82\xac\x7f\"");
    assert_text(jobj({"a\"b\n", jint(1)}), "{\"a\\\"b\\n\":1}");
}

static void test_bad_utf8_becomes_replacement_characters(void **state)
{
    (void)state;
    assert_text(jstr("a\xff\xfe"
                     "b"),
                "\"a\xef\xbf\xbd\xef\xbf\xbd"
                "b\"");
    assert_text(jstr("cut \xe2\x82"), "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_times_are_rfc3339(void **state)
{
    (void)state;
    assert_text(jtime(1767323045678), "\"2026-01-02T03:04:05.678Z\"");
}

static void test_what_is_written_is_read_again(void **state)
{
    scoped_json first = jobj({"t", jstr("\x01 \"quoted\" \xf0\x9f\x98\x80 \\ /")},
                             {"n", jnumber(1.0 / 3)}, {"l", jarr(jbool(true), jarr())});
    scoped_str text = json_text(first);
    struct err err = {0};
    scoped_json second = json_parse(text, strlen(text), &err);

    (void)state;
    assert_made(second, err);
    assert_true(cJSON_Compare(first, second, true));
}

/* Building can't fail: with json_setup in place it stops the process instead. */
static void test_without_memory_the_process_stops(void **state)
{
    pid_t child;
    int status = 0;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* a checker ends the process by itself */
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};

        (void)signal(SIGABRT, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        _exit(cJSON_malloc((size_t)1 << 60) ? 3 : 2); /* more than any machine has */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document_is_one_expression),
        cmocka_unit_test(test_null_values_are_left_out),
        cmocka_unit_test(test_numbers_read_back_as_they_were),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_bad_utf8_becomes_replacement_characters),
        cmocka_unit_test(test_times_are_rfc3339),
        cmocka_unit_test(test_what_is_written_is_read_again),
        cmocka_unit_test(test_without_memory_the_process_stops),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
