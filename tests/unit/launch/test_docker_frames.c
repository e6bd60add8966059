/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_frames.h"

#include <string.h>

#include "test.h"

static const char two_pieces[] = "\x01\x00\x00\x00\x00\x00\x00\x06"
                                 "hello "
                                 "\x02\x00\x00\x00\x00\x00\x00\x05"
                                 "world";

static char *read_all(const char *bytes, size_t size, size_t at_a_time, size_t limit)
{
    scoped_buf text = {0};
    struct docker_frames frames = {.limit_bytes = limit, .out = &text};
    struct err err = {0};

    for (size_t i = 0; i < size; i += at_a_time)
        assert_ok(docker_frames_add(&frames, bytes + i,
                                    size - i < at_a_time ? size - i : at_a_time, &err),
                  err);
    docker_frames_end(&frames);
    return buf_take(&text);
}

static void test_pieces_come_out_as_text_however_they_come_in(void **state)
{
    (void)state;
    for (size_t at_a_time = 1; at_a_time <= sizeof(two_pieces); at_a_time++) {
        scoped_str text = read_all(two_pieces, sizeof(two_pieces) - 1, at_a_time, 100);

        assert_string_equal(text, "hello world");
    }
}

static void test_the_end_is_kept(void **state)
{
    (void)state;
    for (size_t at_a_time = 1; at_a_time <= sizeof(two_pieces); at_a_time++) {
        scoped_str text = read_all(two_pieces, sizeof(two_pieces) - 1, at_a_time, 7);
        scoped_str nothing = read_all(two_pieces, sizeof(two_pieces) - 1, at_a_time, 0);

        assert_string_equal(text, "o world");
        assert_string_equal(nothing, "");
    }
}

static void test_what_is_cut_short_is_what_came(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(two_pieces) - 1; size++) {
        scoped_str text = read_all(two_pieces, size, 3, 100);

        assert_int_equal(strncmp("hello world", text, strlen(text)), 0);
    }
}

/* A piece of 4 GiB that never comes takes no memory. */
static void test_a_claimed_size_takes_no_memory(void **state)
{
    scoped_buf text = {0};
    struct docker_frames frames = {.limit_bytes = 10, .out = &text};
    struct err err = {0};
    char zeroes[4096] = {0};

    (void)state;
    assert_ok(docker_frames_add(&frames, "\x01\x00\x00\x00\xff\xff\xff\xff", 8, &err), err);
    for (int i = 0; i < 1000; i++)
        assert_ok(docker_frames_add(&frames, zeroes, sizeof(zeroes), &err), err);
    assert_true(text.room < 1024);
}

static void test_what_are_no_pieces_is_refused(void **state)
{
    static const char *const texts[] = {"plain text\n", "\x04\x00\x00\x00\x00\x00\x00\x01",
                                        "\x01\x00\x00\x01\x00\x00\x00\x01"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        scoped_buf text = {0};
        struct docker_frames frames = {.limit_bytes = 10, .out = &text};
        struct err err = {0};

        assert_int_equal(docker_frames_add(&frames, texts[i], 8, &err), -1);
        assert_int_equal(err.kind, ERR_UPSTREAM);
    }
}

TEST_MAIN(cmocka_unit_test(test_pieces_come_out_as_text_however_they_come_in),
          cmocka_unit_test(test_the_end_is_kept),
          cmocka_unit_test(test_what_is_cut_short_is_what_came),
          cmocka_unit_test(test_a_claimed_size_takes_no_memory),
          cmocka_unit_test(test_what_are_no_pieces_is_refused))
