/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include "base/id.h"
#include "base/scoped.h"

/* Some 62 bits that differ from call to call and from thread to thread. */
static uint64_t scattered(uint64_t number)
{
    return (number + 1) * 0x9e3779b97f4a7c15ULL;
}

static void test_text_is_twenty_characters_of_a_dns_label(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        char text[ID_TEXT_SIZE];

        id_text(id_make(1767323045678 + (int64_t)i, scattered(i)), text);
        assert_int_equal(strlen(text), ID_LENGTH);
        assert_int_equal(strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"), ID_LENGTH);
    }
}

static void test_text_and_numbers_say_the_same(void **state)
{
    static const uint64_t randoms[] = {0,
                                       1,
                                       (1ULL << 41) - 1,
                                       1ULL << 41,
                                       (1ULL << 62) - 1,
                                       UINT64_MAX,
                                       0x0123456789abcdefULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(randoms); i++) {
        struct id made = id_make(1767400000000 + (int64_t)i, randoms[i]);
        struct id back = {0};
        char text[ID_TEXT_SIZE];
        char again[ID_TEXT_SIZE];

        id_text(made, text);
        assert_true(id_parse(text, &back));
        assert_true(id_equal(made, back));
        id_text(back, again);
        assert_string_equal(text, again);
        assert_true(id_created_ms(made) == 1767400000000 + (int64_t)i);
    }
}

static void test_known_text_has_known_numbers(void **state)
{
    struct id id = {0};

    (void)state;
    assert_true(id_parse("00000001000000000000", &id));
    assert_true(id.key == 1LL << 21 && id.tail == 0);
    assert_true(id_parse("0000000a00000000000z", &id));
    assert_true(id.key == 10LL << 21 && id.tail == 35);
}

static void test_what_is_no_id_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "0000000100000000000",   /* 19 */
        "000000010000000000000", /* 21 */
        "0000000100000000000A",
        "0000000100000000000-",
        "0000000100000000000 ",
        "00000001000000000\xc3\xa9x",
        "00000001zzzzzzzzzzzz", /* more than 62 bits */
    };
    struct id id = {.key = 5, .tail = 6};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(id_parse(wrong[i], &id));
    assert_false(id_parse(NULL, &id));
    assert_true(id.key == 5 && id.tail == 6);
}

/* The newest id decides, so these moments lie after all before and before all after. */
static void test_keys_rise_when_the_clock_stands_or_steps_back(void **state)
{
    struct id last = id_make(1767500000000, UINT64_MAX);

    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        struct id next = id_make(1767500000000 - (int64_t)(i % 5000), scattered(i));

        assert_true(next.key > last.key);
        last = next;
    }
    assert_true(id_created_ms(last) < 1767500000000 + 10);

    last = id_make(1767550000000, scattered(1));
    assert_true(id_make(1767550000000, scattered(1)).key > last.key);
}

static void test_text_sorts_as_keys_do(void **state)
{
    char last[ID_TEXT_SIZE] = "";

    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        char text[ID_TEXT_SIZE];

        id_text(id_make(1767600000000 + (int64_t)(i / 100), scattered(i)), text);
        assert_true(strcmp(last, text) < 0);
        memcpy(last, text, sizeof(last));
    }
}

static void test_ids_of_one_millisecond_do_not_tell_the_next(void **state)
{
    struct id first = id_make(1767700000000, scattered(1));
    struct id second = id_make(1767700000000, scattered(2));

    (void)state;
    /* The lower 41 bits are each id's own, whatever the key had to do to rise. */
    assert_true((second.tail & ((1LL << 41) - 1))
                == (int64_t)(scattered(2) & ((1ULL << 41) - 1)));
    assert_true(first.tail != second.tail);
}

static void test_start_after_puts_later_ids_behind(void **state)
{
    struct id stored = {.key = 1767800000000LL << 21 | 77};
    struct id next;

    (void)state;
    id_start_after(stored.key);
    id_start_after(3); /* an older one changes nothing */
    next = id_make(1767700000001, scattered(3));
    assert_true(next.key > stored.key);
}

static void test_a_damaged_key_does_not_break_ids(void **state)
{
    struct id next;
    struct id back = {0};
    char text[ID_TEXT_SIZE];

    (void)state;
    id_start_after(INT64_MAX);
    id_start_after(-1);
    next = id_make(1767900000000, scattered(4));
    id_text(next, text);
    assert_true(id_parse(text, &back));
    assert_true(id_equal(next, back));
}

enum { THREADS = 4, PER_THREAD = 2000 };

static void *make_many(void *out)
{
    int64_t *keys = out;

    for (int i = 0; i < PER_THREAD; i++)
        keys[i] = id_make(1768000000000, scattered((uint64_t)i)).key;
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    const int64_t *left = a;
    const int64_t *right = b;

    return (*left > *right) - (*left < *right);
}

/* Every thread brings the same random bits: only the order keeps them apart. */
static void test_threads_never_make_the_same_key(void **state)
{
    static int64_t keys[THREADS][PER_THREAD];
    int64_t *all = keys[0];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, keys[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        for (int n = 1; n < PER_THREAD; n++)
            assert_true(keys[i][n] > keys[i][n - 1]);
    qsort(all, THREADS * PER_THREAD, sizeof(*all), by_key);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++)
        assert_true(all[i] > all[i - 1]);
}

TEST_MAIN(cmocka_unit_test(test_text_is_twenty_characters_of_a_dns_label),
          cmocka_unit_test(test_text_and_numbers_say_the_same),
          cmocka_unit_test(test_known_text_has_known_numbers),
          cmocka_unit_test(test_what_is_no_id_is_refused),
          cmocka_unit_test(test_keys_rise_when_the_clock_stands_or_steps_back),
          cmocka_unit_test(test_text_sorts_as_keys_do),
          cmocka_unit_test(test_ids_of_one_millisecond_do_not_tell_the_next),
          cmocka_unit_test(test_start_after_puts_later_ids_behind),
          cmocka_unit_test(test_a_damaged_key_does_not_break_ids),
          cmocka_unit_test(test_threads_never_make_the_same_key))
