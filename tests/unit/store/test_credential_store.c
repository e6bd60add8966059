/* SPDX-License-Identifier: Apache-2.0 */
#include "store/credential_store.h"

#include <pthread.h>

#include "base/alloc.h"
#include "store_test.h"

static struct credential_store *open_store(struct db *db)
{
    struct err err = {0};
    struct credential_store *store = credential_store_open(db, &err);

    assert_made(store, err);
    return store;
}

static int64_t number_of(struct credential_store *store, const char *name)
{
    struct err err = {0};
    int64_t number = 0;

    assert_ok(credential_store_number(store, name, &number, &err), err);
    assert_true(number > 0);
    return number;
}

static void test_a_name_keeps_its_number(void **state)
{
    scoped(db) db = open_memory();
    struct credential_store *store = open_store(db);
    int64_t first = number_of(store, "key:0123456789abcdef");
    int64_t second = number_of(store, "oidc:octo/hello");

    (void)state;
    assert_int_not_equal(first, second);
    assert_int_equal(number_of(store, "key:0123456789abcdef"), first);
    assert_int_not_equal(number_of(store, "OIDC:octo/hello"), second);
    credential_store_free(store);
    store = open_store(db);
    assert_int_equal(number_of(store, "oidc:octo/hello"), second);
    assert_int_equal(number_of(store, "key:0123456789abcdef"), first);
    credential_store_free(store);
}

static void test_a_known_name_writes_nothing(void **state)
{
    scoped(db) db = open_memory();
    scoped(credential_store) store = open_store(db);
    struct db_stats before;
    struct db_stats after;

    (void)state;
    (void)number_of(store, "personal:1");
    db_stats(db, &before);
    (void)number_of(store, "personal:1");
    db_stats(db, &after);
    assert_int_equal(before.writes, after.writes);
}

static void test_many_names_are_all_told_apart(void **state)
{
    scoped(db) db = open_memory();
    scoped(credential_store) store = open_store(db);
    int64_t numbers[300];

    (void)state;
    for (int i = 0; i < 300; i++) {
        scoped_str name = xasprintf("personal:%d", i);

        numbers[i] = number_of(store, name);
        assert_true(i == 0 || numbers[i] > numbers[i - 1]);
    }
    for (int i = 0; i < 300; i++) {
        scoped_str name = xasprintf("personal:%d", i);

        assert_int_equal(number_of(store, name), numbers[i]);
    }
}

struct asker {
    struct credential_store *store;
    pthread_t thread;
    int64_t numbers[40];
};

static void *ask(void *arg)
{
    struct asker *asker = arg;

    for (int i = 0; i < 40; i++) {
        scoped_str name = xasprintf("oidc:octo/%d", i);

        asker->numbers[i] = number_of(asker->store, name);
    }
    return NULL;
}

static void test_threads_agree_on_a_number(void **state)
{
    scoped(db) db = open_memory();
    scoped(credential_store) store = open_store(db);
    struct asker askers[6] = {{0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
        askers[i].store = store;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
        (void)pthread_join(askers[i].thread, NULL);
        assert_memory_equal(askers[i].numbers, askers[0].numbers, sizeof(askers[0].numbers));
    }
}

TEST_MAIN(cmocka_unit_test(test_a_name_keeps_its_number),
          cmocka_unit_test(test_a_known_name_writes_nothing),
          cmocka_unit_test(test_many_names_are_all_told_apart),
          cmocka_unit_test(test_threads_agree_on_a_number))
