/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_table.h"

#include <string.h>

#include "test.h"

/* A table with the run it is about, and how often its owner was told. */
struct bed {
    struct cloudrun_table *table;
    struct id run;
    int told;
};

static void on_changed(void *ctx, struct id run, int attempt)
{
    struct bed *bed = ctx;

    assert_true(id_equal(run, bed->run));
    assert_int_equal(attempt, 1);
    bed->told++;
}

static void bed_make(struct bed *bed)
{
    *bed = (struct bed){.run = {.key = 7, .tail = 9}};
    bed->table = cloudrun_table_new(on_changed, bed);
}

static void bed_done(struct bed *bed)
{
    cloudrun_table_free(bed->table);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

static void put(struct bed *bed, const char *name, int64_t created_ms, enum job_phase phase,
                int exit_code)
{
    struct cloudrun_facts facts = {.run = bed->run,
                                   .attempt = 1,
                                   .created_ms = created_ms,
                                   .started_ms = phase == JOB_STARTING ? 0 : created_ms + 1,
                                   .view = {.phase = phase, .exit_code = exit_code}};

    (void)snprintf(facts.name, sizeof(facts.name), "%s", name);
    cloudrun_table_put(bed->table, &facts);
}

static const char *stands(struct bed *bed)
{
    static struct cloudrun_facts facts;

    return cloudrun_table_get(bed->table, bed->run, 1, &facts) ? facts.name : NULL;
}

static void test_one_that_goes_on_stands_before_one_that_ended(void **state)
{
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "old", 100, JOB_ENDED, 3);
    put(&bed, "new", 200, JOB_RUNNING, -1);
    assert_string_equal(stands(&bed), "new");
    put(&bed, "new", 200, JOB_ENDED, 0);
    assert_string_equal(stands(&bed), "new"); /* the other one only found the run claimed */
}

static void test_an_end_is_final(void **state)
{
    struct cloudrun_facts facts;
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "a", 100, JOB_ENDED, 0);
    put(&bed, "a", 100, JOB_RUNNING, -1); /* a list that is older */
    assert_true(cloudrun_table_get(bed.table, bed.run, 1, &facts));
    assert_int_equal(facts.view.phase, JOB_ENDED);
    assert_int_equal(bed.told, 1);
}

static void test_what_is_gone_does_not_come_back(void **state)
{
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "a", 100, JOB_RUNNING, -1);
    cloudrun_table_drop(bed.table, "a");
    assert_int_equal(bed.told, 2);
    put(&bed, "a", 100, JOB_RUNNING, -1);
    assert_null(stands(&bed));
    assert_int_equal(cloudrun_table_active(bed.table), 0);
}

static void test_only_changes_are_told(void **state)
{
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "a", 100, JOB_STARTING, -1);
    assert_int_equal(bed.told, 0);
    put(&bed, "a", 100, JOB_RUNNING, -1);
    put(&bed, "a", 100, JOB_RUNNING, -1);
    assert_int_equal(bed.told, 1);
}

static void test_too_many_is_one_that_has_not_started(void **state)
{
    char name[CLOUDRUN_NAME_SIZE] = "";
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "first", 100, JOB_RUNNING, -1);
    assert_false(cloudrun_table_surplus(bed.table, 1000000, name));
    put(&bed, "second", 200, JOB_STARTING, -1);
    assert_true(cloudrun_table_surplus(bed.table, 1000000, name));
    assert_string_equal(name, "second");
    assert_false(cloudrun_table_surplus(bed.table, 1000001, name)); /* it is being cancelled */
}

/* Either may have claimed the run: the other one ends by itself, unless it never does. */
static void test_two_that_run_are_left_to_the_claim_for_a_while(void **state)
{
    char name[CLOUDRUN_NAME_SIZE] = "";
    scoped_bed bed;

    (void)state;
    bed_make(&bed);
    put(&bed, "first", 100000, JOB_RUNNING, -1);
    put(&bed, "second", 100001, JOB_RUNNING, -1);
    assert_false(cloudrun_table_surplus(bed.table, 100002 + CLOUDRUN_SURPLUS_MS - 1, name));
    assert_true(cloudrun_table_surplus(bed.table, 100002 + CLOUDRUN_SURPLUS_MS, name));
    assert_string_equal(name, "second");
}

static void test_a_round_knows_what_it_has_not_seen(void **state)
{
    char name[CLOUDRUN_NAME_SIZE] = "";
    scoped_bed bed;
    uint64_t round;

    (void)state;
    bed_make(&bed);
    put(&bed, "a", 100, JOB_RUNNING, -1);
    put(&bed, "b", 200, JOB_RUNNING, -1);
    put(&bed, "c", 300, JOB_ENDED, 0);
    round = cloudrun_table_round(bed.table);
    assert_false(cloudrun_table_all_seen(bed.table, round));
    put(&bed, "a", 100, JOB_RUNNING, -1);
    put(&bed, "young", 400, JOB_STARTING, -1); /* made since: no list need show it yet */
    assert_true(cloudrun_table_unseen(bed.table, round, name));
    assert_string_equal(name, "b");
    assert_false(cloudrun_table_unseen(bed.table, round, name));
    assert_true(cloudrun_table_all_seen(bed.table, round));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_goes_on_stands_before_one_that_ended),
        cmocka_unit_test(test_an_end_is_final),
        cmocka_unit_test(test_what_is_gone_does_not_come_back),
        cmocka_unit_test(test_only_changes_are_told),
        cmocka_unit_test(test_too_many_is_one_that_has_not_started),
        cmocka_unit_test(test_two_that_run_are_left_to_the_claim_for_a_while),
        cmocka_unit_test(test_a_round_knows_what_it_has_not_seen),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
