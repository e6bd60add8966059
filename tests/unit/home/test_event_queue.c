/* SPDX-License-Identifier: Apache-2.0 */
#include "home/event_queue.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static char *event_of(size_t size)
{
    char *text = xcalloc(1, size + 1);

    memset(text, 'x', size);
    return text;
}

static void test_events_come_out_in_order_and_stay_until_dropped(void **state)
{
    struct event_queue queue = {0};
    scoped_buf first = {0};
    scoped_buf again = {0};

    (void)state;
    assert_true(event_queue_add(&queue, xstrdup("1"), false));
    assert_true(event_queue_add(&queue, xstrdup("22"), false));
    assert_true(event_queue_add(&queue, xstrdup("3"), false));
    assert_int_equal(event_queue_peek(&queue, 2, 100, &first), 2);
    assert_string_equal(first.data, "1,22");
    event_queue_drop_first(&queue, 1);
    assert_int_equal(event_queue_peek(&queue, 9, 100, &again), 2);
    assert_string_equal(again.data, "22,3");
    event_queue_done(&queue);
    assert_int_equal(queue.n_events, 0);
    assert_int_equal(queue.size_bytes, 0);
}

static void test_batch_stays_within_its_bytes_but_is_never_empty(void **state)
{
    struct event_queue queue = {0};
    scoped_buf one = {0};
    scoped_buf two = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(event_queue_add(&queue, event_of(10), false));
    assert_int_equal(event_queue_peek(&queue, 9, 5, &one), 1);
    assert_int_equal(event_queue_peek(&queue, 9, 21, &two), 2);
    assert_int_equal(two.size, 21);
    event_queue_done(&queue);
}

static void test_full_queue_drops_and_counts(void **state)
{
    struct event_queue queue = {0};
    size_t kept = 0;

    (void)state;
    for (int i = 0; i < 2000; i++)
        kept += event_queue_add(&queue, event_of(1024), false);
    assert_int_equal(kept, EVENT_QUEUE_MAX_BYTES / 1024);
    assert_true(queue.size_bytes <= EVENT_QUEUE_MAX_BYTES);
    assert_int_equal(event_queue_take_dropped(&queue), 2000 - kept);
    assert_int_equal(event_queue_take_dropped(&queue), 0);
    event_queue_done(&queue);
}

static void test_full_queue_still_takes_what_people_must_see(void **state)
{
    struct event_queue queue = {0};
    size_t more = 0;

    (void)state;
    while (event_queue_add(&queue, event_of(1024), false))
        ;
    assert_true(event_queue_add(&queue, event_of(1024), true));
    while (event_queue_add(&queue, event_of(1024), true))
        more++;
    assert_true(more < EVENT_QUEUE_RESERVE_BYTES / 1024);
    event_queue_done(&queue);
}

TEST_MAIN(cmocka_unit_test(test_events_come_out_in_order_and_stay_until_dropped),
          cmocka_unit_test(test_batch_stays_within_its_bytes_but_is_never_empty),
          cmocka_unit_test(test_full_queue_drops_and_counts),
          cmocka_unit_test(test_full_queue_still_takes_what_people_must_see))
