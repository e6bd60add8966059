/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/watch_event.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define OBJECT "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"17\"}}"

static void test_each_type_is_told_apart(void **state)
{
    static const struct {
        const char *line;
        enum watch_event_type type;
        const char *version;
    } cases[] = {
        {"{\"type\":\"ADDED\",\"object\":" OBJECT "}", WATCH_SET, "17"},
        {"{\"type\":\"MODIFIED\",\"object\":" OBJECT "}", WATCH_SET, "17"},
        {"{\"type\":\"DELETED\",\"object\":" OBJECT "}", WATCH_DELETED, "17"},
        {"{\"type\":\"BOOKMARK\",\"object\":" OBJECT "}", WATCH_BOOKMARK, "17"},
        {"{\"type\":\"ERROR\",\"object\":{\"code\":410}}", WATCH_ERROR, NULL},
        {"{\"type\":\"LATER\",\"object\":{}}", WATCH_UNKNOWN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_watch_event event = {0};
        struct err err = {0};

        assert_ok(watch_event_read(cases[i].line, strlen(cases[i].line), NULL, &event, &err),
                  err);
        assert_int_equal(event.type, cases[i].type);
        assert_non_null(event.object);
        if (cases[i].version)
            assert_string_equal(event.resource_version, cases[i].version);
        else
            assert_null(event.resource_version);
    }
}

static void test_anything_else_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "garbage",
        "[]",
        "null",
        "{}",
        "{\"type\":\"ADDED\"}",
        "{\"object\":" OBJECT "}",
        "{\"type\":1,\"object\":" OBJECT "}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":17}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
        "{\"type\":\"ADDED\",\"object\":" OBJECT "} x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        scoped_watch_event event = {0};
        struct err err = {0};

        assert_int_equal(watch_event_read(lines[i], strlen(lines[i]), NULL, &event, &err), -1);
        assert_int_equal(err.kind, ERR_UPSTREAM);
        assert_null(event.line);
    }
}

static void test_a_version_that_is_too_long_is_none(void **state)
{
    char text[RESOURCE_VERSION_MAX + 2];
    scoped_json object = NULL;

    (void)state;
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    object = jobj({"metadata", jobj({"resourceVersion", jstr(text)})});
    assert_null(resource_version_of(object));
    text[RESOURCE_VERSION_MAX] = '\0';
    cJSON_Delete(object);
    object = jobj({"metadata", jobj({"resourceVersion", jstr(text)})});
    assert_string_equal(resource_version_of(object), text);
}

TEST_MAIN(cmocka_unit_test(test_each_type_is_told_apart),
          cmocka_unit_test(test_anything_else_is_refused),
          cmocka_unit_test(test_a_version_that_is_too_long_is_none))
