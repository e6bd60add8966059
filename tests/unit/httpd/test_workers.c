/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "httpd/workers.h"

static void test_the_queue_has_an_end(void **state)
{
    static struct request waiting[WORKERS_QUEUE_MAX + 1];
    struct err err = {0};
    struct workers *workers = workers_new(0, &err); /* nobody takes anything off it */

    (void)state;
    assert_made(workers, err);
    for (int i = 0; i < WORKERS_QUEUE_MAX; i++)
        assert_true(workers_push(workers, &waiting[i]));
    assert_false(workers_push(workers, &waiting[WORKERS_QUEUE_MAX]));
    workers_free(workers);
}

static void test_idle_workers_end_at_once(void **state)
{
    struct err err = {0};
    struct workers *workers = workers_new(16, &err);

    (void)state;
    assert_made(workers, err);
    workers_free(workers);
    workers_free(NULL);
}

TEST_MAIN(cmocka_unit_test(test_the_queue_has_an_end),
          cmocka_unit_test(test_idle_workers_end_at_once))
