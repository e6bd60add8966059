/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/key_mask.h"

#include <string.h>

#include "test.h"

#define KEY "abacabad" /* begins again within itself */

static void mask_in_pieces(const char *text, size_t piece, struct buf *out)
{
    scoped(secret) key = secret_new(KEY);
    struct key_mask mask;
    size_t size = strlen(text);

    key_mask_init(&mask, key);
    for (size_t at = 0; at < size; at += piece)
        key_mask_feed(&mask, text + at, piece < size - at ? piece : size - at, out);
    key_mask_end(&mask, out);
    key_mask_done(&mask);
}

static void test_a_key_is_masked_wherever_it_is_cut(void **state)
{
    static const char *const texts[][2] = {
        {"nothing of it", "nothing of it"},
        {KEY, "********"},
        {"x" KEY KEY "y", "x****************y"},
        {"abacaba" KEY, "abacaba********"},
        {"abacabacabad", "abac********"},
        {"abacaba", "abacaba"},
        {"a", "a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        for (size_t piece = 1; piece <= strlen(texts[i][0]); piece++) {
            scoped_buf out = {0};

            mask_in_pieces(texts[i][0], piece, &out);
            assert_string_equal(out.data, texts[i][1]);
        }
    }
}

static void test_only_what_may_be_the_key_is_held_back(void **state)
{
    scoped(secret) key = secret_new(KEY);
    struct key_mask mask;
    scoped_buf out = {0};

    (void)state;
    key_mask_init(&mask, key);
    key_mask_feed(&mask, "data: {}\n\n", 10, &out);
    assert_string_equal(out.data, "data: {}\n\n");
    key_mask_feed(&mask, "xyzabac", 7, &out);
    assert_string_equal(out.data, "data: {}\n\nxyz");
    key_mask_feed(&mask, "!", 1, &out);
    assert_string_equal(out.data, "data: {}\n\nxyzabac!");
    key_mask_done(&mask);
}

static void test_no_key_masks_nothing(void **state)
{
    struct key_mask mask;
    scoped_buf out = {0};

    (void)state;
    key_mask_init(&mask, NULL);
    key_mask_feed(&mask, "all of it", 9, &out);
    key_mask_end(&mask, &out);
    assert_string_equal(out.data, "all of it");
    key_mask_done(&mask);
}

TEST_MAIN(cmocka_unit_test(test_a_key_is_masked_wherever_it_is_cut),
          cmocka_unit_test(test_only_what_may_be_the_key_is_held_back),
          cmocka_unit_test(test_no_key_masks_nothing))
