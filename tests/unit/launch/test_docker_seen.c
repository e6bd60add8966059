/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_seen.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

/* Each container is "ATTEMPT STATE", by its attempt of one run. */
#define RUN "0000000000000000000z"

static struct docker_seen_list seen(const char *const *containers)
{
    scoped_json answer = cJSON_CreateArray();
    struct docker_seen_list list;

    for (; *containers; containers++) {
        scoped_str attempt = xstrndup(*containers, 1);
        scoped_str name = xasprintf("/run-" RUN "-%s", attempt);

        (void)cJSON_AddItemToArray(
            answer, jobj({"Id", jstr(attempt)}, {"Names", jarr(jstr(name))},
                         {"State", jstr(*containers + 2)},
                         {"Labels", jobj({"app.kubernetes.io/managed-by", jstr("dispatchd")},
                                         {"app.kubernetes.io/name", jstr("dispatch-runner")},
                                         {"dispatch.dev/namespace", jstr("here")},
                                         {"dispatch.dev/run-id", jstr(RUN)},
                                         {"dispatch.dev/attempt", jstr(attempt)})}));
    }
    docker_seen_read(answer, "here", &list);
    return list;
}

struct changes {
    int attempts[8];
    int count;
};

static void note(void *ctx, struct id run, int attempt)
{
    struct changes *changes = ctx;

    (void)run;
    assert_true(changes->count < 8);
    changes->attempts[changes->count++] = attempt;
}

static void test_what_came_went_or_changed_is_told(void **state)
{
    static const char *const first[] = {"4 running", "1 running", "2 exited", "3 running",
                                        NULL};
    static const char *const second[] = {"5 created", "2 exited", "3 exited", "4 running",
                                         NULL};
    struct docker_seen_list before = seen(first);
    struct docker_seen_list now = seen(second);
    struct changes changes = {0};

    (void)state;
    docker_seen_compare(&before, &now, note, &changes);
    assert_int_equal(changes.count, 3);
    assert_int_equal(changes.attempts[0], 1);
    assert_int_equal(changes.attempts[1], 3);
    assert_int_equal(changes.attempts[2], 5);
    docker_seen_done(&before);
    docker_seen_done(&now);
}

static void test_all_is_new_to_the_first_list(void **state)
{
    static const char *const containers[] = {"2 exited", "1 running", NULL};
    struct docker_seen_list before = {0};
    struct docker_seen_list now = seen(containers);
    struct changes changes = {0};

    (void)state;
    docker_seen_compare(&before, &now, note, &changes);
    assert_int_equal(changes.count, 2);
    docker_seen_compare(&now, &now, note, &changes);
    assert_int_equal(changes.count, 2);
    docker_seen_compare(&now, &before, note, &changes);
    assert_int_equal(changes.count, 4);
    docker_seen_done(&now);
}

static void test_what_was_told_to_go_is_remembered(void **state)
{
    static const char *const containers[] = {"1 running", "2 running", NULL};
    struct docker_seen_list before = seen(containers);
    struct docker_seen_list now = seen(containers);

    (void)state;
    before.all[1].told = true;
    docker_seen_compare(&before, &now, NULL, NULL);
    assert_false(now.all[0].told);
    assert_true(now.all[1].told);
    docker_seen_done(&before);
    docker_seen_done(&now);
}

TEST_MAIN(cmocka_unit_test(test_what_came_went_or_changed_is_told),
          cmocka_unit_test(test_all_is_new_to_the_first_list),
          cmocka_unit_test(test_what_was_told_to_go_is_remembered))
