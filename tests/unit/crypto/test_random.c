/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scoped.h"
#include "crypto/random.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_base62_is_43_digits_and_never_the_same(void **state)
{
    enum { MANY = 2000 };
    static char made[MANY][RANDOM_BASE62_LENGTH + 1];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        random_base62(made[i]);
        assert_int_equal(strlen(made[i]), RANDOM_BASE62_LENGTH);
        assert_int_equal(strspn(made[i], digits), RANDOM_BASE62_LENGTH);
    }
    qsort(made, MANY, sizeof(made[0]), by_text);
    for (int i = 1; i < MANY; i++)
        assert_string_not_equal(made[i - 1], made[i]);
}

/* Reads the text back as a number: it must fit 256 bits, and each of the 256 bits must be
 * one as often as zero. (2000 throws: 7 standard deviations are 156.) */
static void test_base62_carries_256_even_bits(void **state)
{
    enum { MANY = 2000, BITS = 256 };
    int ones[BITS] = {0};

    (void)state;
    for (int i = 0; i < MANY; i++) {
        char text[RANDOM_BASE62_LENGTH + 1];
        uint8_t number[BITS / 8] = {0}; /* least significant first */

        random_base62(text);
        for (const char *at = text; *at; at++) {
            unsigned carry = (unsigned)(strchr(digits, *at) - digits);

            for (size_t byte = 0; byte < sizeof(number); byte++) {
                carry += number[byte] * 62u;
                number[byte] = (uint8_t)carry;
                carry >>= 8;
            }
            assert_int_equal(carry, 0);
        }
        for (int bit = 0; bit < BITS; bit++)
            ones[bit] += number[bit / 8] >> (bit % 8) & 1;
    }
    for (int bit = 0; bit < BITS; bit++)
        assert_in_range(ones[bit], MANY / 2 - 156, MANY / 2 + 156);
}

/* A modulo by 62 would favour the first digits by a quarter. (Chi-squared with 61 degrees of
 * freedom passes 140 once in ten million times.) */
static void test_low_digits_of_base62_are_even(void **state)
{
    enum { MANY = 20000, PLACES = 4 };
    double expected = (double)MANY * PLACES / 62;
    double chi = 0;
    int seen[62] = {0};

    (void)state;
    for (int i = 0; i < MANY; i++) {
        char text[RANDOM_BASE62_LENGTH + 1];

        random_base62(text);
        for (int place = 1; place <= PLACES; place++)
            seen[strchr(digits, text[RANDOM_BASE62_LENGTH - place]) - digits]++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        chi += (seen[i] - expected) * (seen[i] - expected) / expected;
    assert_true(chi < 140);
}

/* Sizes around those of the stock and of what bypasses it. */
static void test_every_byte_asked_for_is_filled(void **state)
{
    static const size_t sizes[] = {1, 7, 8, 32, 127, 128, 129, 511, 512, 513, 5000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t bytes[5002];
        uint8_t seen[5002] = {0};

        for (int turn = 0; turn < 40; turn++) {
            memset(bytes, 0, sizeof(bytes));
            random_bytes(bytes + 1, sizes[i]);
            assert_int_equal(bytes[0], 0);
            assert_int_equal(bytes[sizes[i] + 1], 0);
            for (size_t at = 1; at <= sizes[i]; at++)
                seen[at] |= bytes[at];
        }
        for (size_t at = 1; at <= sizes[i]; at++)
            assert_int_not_equal(seen[at], 0);
    }
}

static void test_a_child_of_fork_does_not_repeat_its_parent(void **state)
{
    char mine[RANDOM_BASE62_LENGTH + 1];
    char theirs[RANDOM_BASE62_LENGTH + 1] = "";
    int ends[2];
    pid_t child;

    (void)state;
    (void)random_u64(); /* so that there is a stock to inherit */
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        random_base62(mine);
        _exit(write(ends[1], mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
    }
    random_base62(mine);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_string_not_equal(mine, theirs);
}

enum { THREADS = 4, PER_THREAD = 500 };

static void *draw(void *out)
{
    uint64_t *numbers = out;

    for (int i = 0; i < PER_THREAD; i++)
        numbers[i] = random_u64();
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;

    return (*left > *right) - (*left < *right);
}

static void test_threads_do_not_share_bytes(void **state)
{
    static uint64_t drawn[THREADS][PER_THREAD];
    uint64_t *all = drawn[0];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, drawn[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(all, THREADS * PER_THREAD, sizeof(*all), by_number);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++)
        assert_true(all[i] != all[i - 1]);
}

TEST_MAIN(cmocka_unit_test(test_base62_is_43_digits_and_never_the_same),
          cmocka_unit_test(test_base62_carries_256_even_bits),
          cmocka_unit_test(test_low_digits_of_base62_are_even),
          cmocka_unit_test(test_every_byte_asked_for_is_filled),
          cmocka_unit_test(test_a_child_of_fork_does_not_repeat_its_parent),
          cmocka_unit_test(test_threads_do_not_share_bytes))
