/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "json/json.h"

static cJSON *sample(void)
{
    return jobj({"text", jstr("hello")}, {"count", jint(7)}, {"half", jnumber(0.5)},
                {"on", jbool(true)}, {"off", jbool(false)}, {"none", cJSON_CreateNull()},
                {"list", jarr(jint(1))}, {"huge", jnumber(9007199254740992.0)});
}

static void test_members_are_found_by_type(void **state)
{
    scoped_json object = sample();

    (void)state;
    assert_string_equal(json_get_str(object, "text"), "hello");
    assert_int_equal(json_get_int(object, "count", -1), 7);
    assert_true(json_get_bool(object, "on", false));
    assert_false(json_get_bool(object, "off", true));
    assert_true(cJSON_IsNull(json_get(object, "none")));
    assert_int_equal(cJSON_GetArraySize(json_get(object, "list")), 1);
}

static void test_absent_or_other_types_give_the_fallback(void **state)
{
    scoped_json object = sample();

    (void)state;
    assert_null(json_get(object, "Text"));
    assert_null(json_get_str(object, "count"));
    assert_null(json_get_str(object, "none"));
    assert_int_equal(json_get_int(object, "text", -1), -1);
    assert_int_equal(json_get_int(object, "half", -1), -1);
    assert_int_equal(json_get_int(object, "huge", -1), -1);
    assert_int_equal(json_get_int(object, "nowhere", 5), 5);
    assert_true(json_get_bool(object, "count", true));
    assert_null(json_get(json_get(object, "list"), "text"));
    assert_null(json_get(NULL, "text"));
    assert_null(json_get_str(json_get(object, "text"), "text"));
}

static void test_whole_numbers_end_below_two_to_the_53(void **state)
{
    static const struct {
        double number;
        bool whole;
    } cases[] = {
        {0, true},
        {-3, true},
        {9007199254740991.0, true},
        {-9007199254740991.0, true},
        {9007199254740992.0, false},
        {-9007199254740992.0, false},
        {1e300, false},
        {0.5, false},
        {-1e-300, false},
        {__builtin_inf(), false},
        {__builtin_nan(""), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json value = jnumber(cases[i].number);
        int64_t whole = 0;

        assert_int_equal(json_whole(value, &whole), cases[i].whole);
        assert_true(!cases[i].whole || (double)whole == cases[i].number);
    }
}

static void test_utf8_is_told_from_other_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"\x7f", 1, true},
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"\xef\xbf\xbf", 3, true},
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"a\0b", 3, false},
        {"\x80", 1, false},
        {"\xc1\xbf", 2, false},
        {"\xc2", 1, false},
        {"\xc2\xc2", 2, false},
        {"\xe0\x9f\xbf", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xef\xbf", 2, false},
        {"\xf0\x8f\xbf\xbf", 4, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf5\x80\x80\x80", 4, false},
        {"fine until here\xff", 16, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(json_utf8_valid(cases[i].text, cases[i].size), cases[i].valid);
}

TEST_MAIN(cmocka_unit_test(test_members_are_found_by_type),
          cmocka_unit_test(test_absent_or_other_types_give_the_fallback),
          cmocka_unit_test(test_whole_numbers_end_below_two_to_the_53),
          cmocka_unit_test(test_utf8_is_told_from_other_bytes))
