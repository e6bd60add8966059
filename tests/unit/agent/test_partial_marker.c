/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/partial_marker.h"

#include <string.h>

#include "test.h"

#define OPEN "<<<VGVBOT_STATUS: partial:"

/* Feeds the text in pieces of `piece` bytes. */
static void feed(struct partial_marker *marker, const char *text, size_t piece)
{
    size_t size = strlen(text);

    for (size_t at = 0; at < size; at += piece)
        partial_marker_feed(marker, text + at, size - at < piece ? size - at : piece);
}

static void test_marker_is_found_however_it_is_cut(void **state)
{
    static const struct {
        const char *text;
        const char *reason; /* NULL: no marker */
    } cases[] = {
        {"before\n" OPEN " no time left>>>\nafter", "no time left"},
        {OPEN ">>>", ""},
        {OPEN "a>b>>c>>>", "a>b>>c"},
        {OPEN "a>>>>", "a"},
        {"<<<<"
         "<<VGVBOT_STATUS: partial: x>>>",
         "x"},
        {"<<<VGV<<<VGVBOT_STATUS: partial: x>>>", "x"},
        {"<<<VGVBOT_STATUS: <" OPEN " x>>>", "x"},
        {OPEN " first>>> and " OPEN " second>>>", "second"},
        {OPEN " first>>> and " OPEN " never closed", "first"},
        {OPEN " open " OPEN " inner>>>", "inner"},
        {OPEN " two\nlines \n>>>", "two\nlines"},
        {"<<VGVBOT_STATUS: partial: x>>>", NULL},
        {"<<<VGVBOT_STATUS: complete: x>>>", NULL},
        {OPEN " x>>", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t piece = 1; piece < 70; piece++) {
            struct partial_marker marker = {0};
            const char *reason;

            feed(&marker, cases[i].text, piece);
            reason = partial_marker_reason(&marker);
            if (!cases[i].reason)
                assert_null(reason);
            else
                assert_string_equal(reason, cases[i].reason);
        }
    }
}

static void test_reason_that_is_too_long_is_no_marker(void **state)
{
    static char text[PARTIAL_REASON_MAX + 100];

    (void)state;
    for (size_t length = PARTIAL_REASON_MAX - 1; length < PARTIAL_REASON_MAX + 3; length++) {
        struct partial_marker marker = {0};

        memset(text, 'x', length);
        text[length] = '\0';
        feed(&marker, OPEN, 7);
        feed(&marker, text, 100);
        feed(&marker, ">>>", 1);
        assert_int_equal(partial_marker_reason(&marker) != NULL, length <= PARTIAL_REASON_MAX);
    }
}

static void test_marker_after_a_reason_that_was_too_long_counts(void **state)
{
    struct partial_marker marker = {0};

    (void)state;
    feed(&marker, OPEN, 100);
    for (int i = 0; i < 5000; i++)
        feed(&marker, "> ", 2);
    feed(&marker, OPEN " real>>>", 3);
    assert_string_equal(partial_marker_reason(&marker), "real");
}

static void test_zero_bytes_in_a_reason_do_not_end_it(void **state)
{
    struct partial_marker marker = {0};

    (void)state;
    feed(&marker, OPEN, 100);
    partial_marker_feed(&marker, "a\0b>>>", 6);
    assert_string_equal(partial_marker_reason(&marker), "a b");
}

TEST_MAIN(cmocka_unit_test(test_marker_is_found_however_it_is_cut),
          cmocka_unit_test(test_reason_that_is_too_long_is_no_marker),
          cmocka_unit_test(test_marker_after_a_reason_that_was_too_long_counts),
          cmocka_unit_test(test_zero_bytes_in_a_reason_do_not_end_it))
