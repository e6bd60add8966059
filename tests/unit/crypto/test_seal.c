/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "crypto/seal.h"

static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};
static const char text[] = "hunter2, and some more of it";

static uint8_t *sealed_text(size_t *out_size)
{
    scoped(secret) value = secret_new(text);

    return seal(key, "row 1", value, out_size);
}

static void test_a_sealed_value_opens_again(void **state)
{
    size_t size = 0;
    uint8_t *sealed = sealed_text(&size);
    struct err err = {0};
    scoped(secret) back = unseal(key, "row 1", sealed, size, &err);

    (void)state;
    assert_made(back, err);
    assert_string_equal(secret_reveal(back), text);
    assert_int_equal(size, 1 + 12 + strlen(text) + 16);
    assert_null(memmem(sealed, size, "hunter2", 7));
    free(sealed);
}

static void test_the_same_value_is_never_sealed_alike(void **state)
{
    size_t size = 0;
    uint8_t *first = sealed_text(&size);
    uint8_t *second = sealed_text(&size);

    (void)state;
    assert_memory_not_equal(first + 1, second + 1, 12);
    assert_memory_not_equal(first + 13, second + 13, strlen(text));
    free(first);
    free(second);
}

static void assert_stays_shut(const uint8_t *with, const char *context, const uint8_t *sealed,
                              size_t size)
{
    struct err err = {0};

    assert_null(unseal(with, context, sealed, size, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(err.text[0] != '\0');
    assert_null(strstr(err.text, "hunter2"));
}

static void test_another_key_or_context_does_not_open(void **state)
{
    const uint8_t other[SEAL_KEY_SIZE] = {1, 2, 3, 4, 5, 6, 7, 9};
    size_t size = 0;
    uint8_t *sealed = sealed_text(&size);

    (void)state;
    assert_stays_shut(other, "row 1", sealed, size);
    assert_stays_shut(key, "row 2", sealed, size);
    assert_stays_shut(key, "", sealed, size);
    free(sealed);
}

static void test_no_changed_bit_goes_unseen(void **state)
{
    size_t size = 0;
    uint8_t *sealed = sealed_text(&size);

    (void)state;
    for (size_t bit = 0; bit < size * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        assert_stays_shut(key, "row 1", sealed, size);
        sealed[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    free(sealed);
}

static void test_a_cut_value_does_not_open(void **state)
{
    size_t size = 0;
    uint8_t *sealed = sealed_text(&size);

    (void)state;
    for (size_t cut = 0; cut < size; cut++)
        assert_stays_shut(key, "row 1", sealed, cut);
    free(sealed);
}

static void test_nothing_sealed_does_not_open(void **state)
{
    size_t size = 0;
    uint8_t *sealed = seal(key, "row 1", NULL, &size);

    (void)state;
    assert_stays_shut(key, "row 1", sealed, size);
    free(sealed);
}

TEST_MAIN(cmocka_unit_test(test_a_sealed_value_opens_again),
          cmocka_unit_test(test_the_same_value_is_never_sealed_alike),
          cmocka_unit_test(test_another_key_or_context_does_not_open),
          cmocka_unit_test(test_no_changed_bit_goes_unseen),
          cmocka_unit_test(test_a_cut_value_does_not_open),
          cmocka_unit_test(test_nothing_sealed_does_not_open))
