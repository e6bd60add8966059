/* SPDX-License-Identifier: Apache-2.0 */
/* What is this kind's own; test_token_store.c has what both kinds share. */
#include "store/personal_token_store.h"

#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define NOW NO_TIME_YET

static struct personal_token_store *open_store(struct db *db)
{
    struct err err = {0};
    struct personal_token_store *store = personal_token_store_open(db, &err);

    assert_made(store, err);
    return store;
}

static struct secret *add(struct personal_token_store *store, const char *email,
                          int64_t expires_ms)
{
    struct personal_token token = {
        .user = (char *)(uintptr_t) "Ada Lovelace",
        .email = (char *)(uintptr_t)email,
        .scopes = TOKEN_READ | TOKEN_DISPATCH,
        .created_by = (char *)(uintptr_t) "root",
        .created_ms = NOW,
        .expires_ms = expires_ms,
    };
    struct secret *text = personal_token_make(token.display_prefix);
    struct err err = {0};

    token_hash(secret_reveal(text), token.hash);
    assert_ok(personal_token_store_add(store, &token, NULL, &err), err);
    assert_true(token.id > 0);
    return text;
}

static bool finds(struct personal_token_store *store, const struct secret *text, int64_t now_ms)
{
    struct personal_grant grant = {0};
    bool found = personal_token_store_find(store, secret_reveal(text), now_ms, &grant);

    personal_grant_done(&grant);
    return found;
}

static void test_a_token_says_whose_it_is_and_what_for(void **state)
{
    scoped(db) db = open_memory();
    struct personal_token_store *store = open_store(db);
    scoped(secret) text = add(store, "ada@example.com", 0);
    scoped(secret) nameless = add(store, NULL, 0);

    (void)state;
    for (int reopened = 0; reopened < 2; reopened++) {
        struct personal_grant grant = {0};

        assert_true(personal_token_store_find(store, secret_reveal(text), NOW, &grant));
        assert_int_equal(grant.id, 1);
        assert_int_equal(grant.scopes, TOKEN_READ | TOKEN_DISPATCH);
        assert_string_equal(grant.requester, "Ada Lovelace <ada@example.com>");
        personal_grant_done(&grant);
        assert_true(personal_token_store_find(store, secret_reveal(nameless), NOW, &grant));
        assert_null(grant.requester);
        personal_grant_done(&grant);
        personal_token_store_free(store);
        store = open_store(db);
    }
    personal_token_store_free(store);
}

static void test_an_expired_token_is_not_found(void **state)
{
    scoped(db) db = open_memory();
    struct personal_token_store *store = open_store(db);
    scoped(secret) text = add(store, NULL, NOW + 1000);
    scoped(secret) endless = add(store, NULL, 0);

    (void)state;
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_true(finds(store, text, NOW + 999));
        assert_false(finds(store, text, NOW + 1000));
        assert_true(finds(store, endless, INT64_MAX));
        personal_token_store_free(store);
        store = open_store(db);
    }
    personal_token_store_free(store);
}

static void test_a_revoked_token_is_gone_at_once_and_for_good(void **state)
{
    scoped(db) db = open_memory();
    struct personal_token_store *store = open_store(db);
    scoped(secret) text = add(store, NULL, 0);
    scoped(secret) other = add(store, NULL, 0);
    struct err err = {0};

    (void)state;
    assert_ok(personal_token_store_revoke(store, "1", NOW, NULL, &err), err);
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_false(finds(store, text, NOW));
        assert_true(finds(store, other, NOW));
        personal_token_store_free(store);
        store = open_store(db);
    }
    assert_refused(personal_token_store_revoke(store, "dsp_live_", NOW, NULL, &err), err,
                   ERR_NOT_FOUND, NULL);
    assert_refused(personal_token_store_revoke(store, "p1", NOW, NULL, &err), err,
                   ERR_NOT_FOUND, NULL);
    personal_token_store_free(store);
}

static void test_the_list_has_all_fields_and_the_last_use(void **state)
{
    scoped(db) db = open_memory();
    struct personal_token_store *store = open_store(db);
    scoped(secret) text = add(store, "ada@example.com", NOW + 5000);
    struct err err = {0};

    (void)state;
    assert_true(finds(store, text, NOW + 7));
    assert_ok(personal_token_store_flush(store, &err), err);
    for (int reopened = 0; reopened < 2; reopened++) {
        size_t count = 0;
        struct personal_token **all = personal_token_store_list(store, &count);

        assert_int_equal(count, 1);
        assert_string_equal(all[0]->user, "Ada Lovelace");
        assert_string_equal(all[0]->email, "ada@example.com");
        assert_string_equal(all[0]->created_by, "root");
        assert_null(all[0]->name);
        assert_int_equal(all[0]->created_ms, NOW);
        assert_int_equal(all[0]->expires_ms, NOW + 5000);
        assert_int_equal(all[0]->last_used_ms, NOW + 7);
        assert_memory_equal(all[0]->display_prefix, secret_reveal(text), 12);
        personal_token_free(all[0]);
        free(all);
        personal_token_store_free(store);
        store = open_store(db);
    }
    personal_token_store_free(store);
}

TEST_MAIN(cmocka_unit_test(test_a_token_says_whose_it_is_and_what_for),
          cmocka_unit_test(test_an_expired_token_is_not_found),
          cmocka_unit_test(test_a_revoked_token_is_gone_at_once_and_for_good),
          cmocka_unit_test(test_the_list_has_all_fields_and_the_last_use))
