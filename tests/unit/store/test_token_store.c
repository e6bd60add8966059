/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define NOW NO_TIME_YET

static struct token_store *open_store(struct db *db)
{
    struct err err = {0};
    struct token_store *store = token_store_open(db, &err);

    assert_made(store, err);
    return store;
}

/* A new token in the store; its text is the caller's. */
static struct secret *add_token(struct token_store *store, const char *repo, int64_t *out_id,
                                char out_prefix[TOKEN_DISPLAY_SIZE])
{
    struct integration_token token = {.repo = (char *)(uintptr_t)repo,
                                      .installation_id = 42,
                                      .created_by = (char *)(uintptr_t) "root",
                                      .created_ms = NOW};
    struct secret *text = integration_token_make(token.display_prefix);
    struct err err = {0};

    token_hash(secret_reveal(text), token.hash);
    assert_ok(token_store_add(store, &token, NULL, &err), err);
    assert_true(token.id > 0);
    if (out_id)
        *out_id = token.id;
    if (out_prefix)
        memcpy(out_prefix, token.display_prefix, TOKEN_DISPLAY_SIZE);
    return text;
}

static bool finds(struct token_store *store, const struct secret *text)
{
    struct token_grant grant;

    return token_store_find(store, secret_reveal(text), NOW, &grant);
}

static struct integration_token *only_token(struct token_store *store)
{
    struct integration_token **tokens;
    struct integration_token *token;
    struct err err = {0};
    size_t count;

    assert_ok(token_store_list(store, &tokens, &count, &err), err);
    assert_int_equal(count, 1);
    token = tokens[0];
    free(tokens);
    return token;
}

static void test_a_token_is_found_by_its_text(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    int64_t id;
    scoped(secret) text = add_token(store, "octo/hello", &id, NULL);
    struct token_grant grant = {0};

    (void)state;
    assert_true(token_store_find(store, secret_reveal(text), NOW, &grant));
    assert_int_equal(grant.id, id);
    assert_int_equal(grant.installation_id, 42);
    assert_string_equal(grant.repo, "octo/hello");
}

static void test_another_text_is_not_found(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    scoped_str almost = xstrdup(secret_reveal(text));
    struct token_grant grant;

    (void)state;
    almost[strlen(almost) - 1] ^= 1;
    assert_false(token_store_find(store, almost, NOW, &grant));
    assert_false(token_store_find(store, "", NOW, &grant));
    assert_false(token_store_find(store, "vgvbot_", NOW, &grant));
}

static void test_tokens_are_there_after_a_restart(void **state)
{
    scoped(db) db = open_memory();
    struct token_store *store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);

    (void)state;
    token_store_free(store);
    store = open_store(db);
    assert_true(finds(store, text));
    token_store_free(store);
}

static void test_many_tokens_are_all_found(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    struct secret *texts[300];
    int64_t last_id = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int64_t id;

        texts[i] = add_token(store, "octo/hello", &id, NULL);
        assert_true(id > last_id);
        last_id = id;
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_true(finds(store, texts[i]));
        secret_free(texts[i]);
    }
}

static void test_a_repository_that_does_not_fit_is_refused(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped_str repo = xcalloc(1, 201);
    struct integration_token token = {.repo = repo};
    struct err err;

    (void)state;
    memset(repo, 'r', 200);
    assert_refused(token_store_add(store, &token, NULL, &err), err, ERR_INVALID, NULL);
}

static void test_the_same_hash_twice_is_a_conflict(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    struct integration_token token = {.repo = (char *)(uintptr_t) "a/b", .hash = {1}};
    struct err err = {0};

    (void)state;
    assert_ok(token_store_add(store, &token, NULL, &err), err);
    assert_refused(token_store_add(store, &token, NULL, &err), err, ERR_CONFLICT, NULL);
}

/* --- Revoking -------------------------------------------------------------------------------
 */

static void test_a_revoked_token_is_gone_at_once_and_after_a_restart(void **state)
{
    scoped(db) db = open_memory();
    struct token_store *store = open_store(db);
    char prefix[TOKEN_DISPLAY_SIZE];
    scoped(secret) text = add_token(store, "octo/hello", NULL, prefix);
    scoped(secret) other = add_token(store, "octo/other", NULL, NULL);
    struct err err = {0};

    (void)state;
    assert_ok(token_store_revoke(store, prefix, NOW, NULL, &err), err);
    assert_false(finds(store, text));
    assert_true(finds(store, other));
    token_store_free(store);
    store = open_store(db);
    assert_false(finds(store, text));
    assert_true(finds(store, other));
    token_store_free(store);
}

static void test_revoking_twice_succeeds_and_keeps_the_first_time(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    struct err err = {0};
    scoped(integration_token) token = NULL;

    (void)state;
    assert_ok(token_store_revoke(store, "1", NOW, NULL, &err), err);
    assert_ok(token_store_revoke(store, "1", NOW + 500, NULL, &err), err);
    token = only_token(store);
    assert_int_equal(token->revoked_ms, NOW);
    assert_non_null(text);
}

static void test_what_names_no_token_or_several_is_refused(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    struct integration_token a = {.repo = (char *)(uintptr_t) "a/b", .hash = {1}};
    struct integration_token b = {.repo = (char *)(uintptr_t) "a/b", .hash = {2}};
    struct err err = {0};

    (void)state;
    memcpy(a.display_prefix, "vgvbot_aaaaa", TOKEN_DISPLAY_SIZE);
    memcpy(b.display_prefix, "vgvbot_aaaab", TOKEN_DISPLAY_SIZE);
    assert_ok(token_store_add(store, &a, NULL, &err), err);
    assert_ok(token_store_add(store, &b, NULL, &err), err);
    assert_refused(token_store_revoke(store, "vgvbot_a", NOW, NULL, &err), err, ERR_CONFLICT,
                   NULL);
    assert_refused(token_store_revoke(store, "vgvbot_b", NOW, NULL, &err), err, ERR_NOT_FOUND,
                   NULL);
    assert_refused(token_store_revoke(store, "vgvbot_", NOW, NULL, &err), err, ERR_NOT_FOUND,
                   NULL);
    assert_refused(token_store_revoke(store, "", NOW, NULL, &err), err, ERR_NOT_FOUND, NULL);
    assert_refused(token_store_revoke(store, "3", NOW, NULL, &err), err, ERR_NOT_FOUND, NULL);
    assert_refused(token_store_revoke(store, "01", NOW, NULL, &err), err, ERR_NOT_FOUND, NULL);
    assert_ok(token_store_revoke(store, "vgvbot_aaaab", NOW, NULL, &err), err);
}

struct prober {
    struct token_store *store;
    const struct secret *text;
    _Atomic bool revoked;
    _Atomic int n_found;
    _Atomic int n_found_too_late;
};

static void *probe(void *arg)
{
    struct prober *prober = arg;

    for (;;) {
        bool was_revoked = atomic_load(&prober->revoked);
        bool found = finds(prober->store, prober->text);

        atomic_fetch_add(&prober->n_found, found);
        atomic_fetch_add(&prober->n_found_too_late, found && was_revoked);
        if (was_revoked)
            return NULL;
    }
}

static void test_a_revocation_holds_on_return_for_every_thread(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    struct prober prober = {.store = store, .text = text};
    struct err err = {0};
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, probe, &prober), 0);
    wait_until(atomic_load(&prober.n_found) > 100, 60000);
    assert_ok(token_store_revoke(store, "1", NOW, NULL, &err), err);
    atomic_store(&prober.revoked, true);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&prober.n_found_too_late), 0);
}

static int drop_table(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_script(conn, "DROP TABLE integration_token", err);
}

static void test_a_revocation_that_was_not_stored_does_not_hold(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, drop_table, NULL, &err), err);
    assert_int_equal(token_store_revoke(store, "1", NOW, NULL, &err), -1);
    assert_true(finds(store, text));
}

/* --- Listing and last use -------------------------------------------------------------------
 */

static void test_the_list_is_oldest_first_with_all_fields(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) first = add_token(store, "octo/one", NULL, NULL);
    scoped(secret) second = add_token(store, "octo/two", NULL, NULL);
    struct integration_token **tokens;
    struct err err = {0};
    size_t count;

    (void)state;
    assert_ok(token_store_list(store, &tokens, &count, &err), err);
    assert_int_equal(count, 2);
    assert_string_equal(tokens[0]->repo, "octo/one");
    assert_string_equal(tokens[1]->repo, "octo/two");
    assert_string_equal(tokens[0]->created_by, "root");
    assert_null(tokens[0]->name);
    assert_int_equal(tokens[0]->created_ms, NOW);
    assert_memory_equal(tokens[0]->display_prefix, secret_reveal(first), 12);
    assert_memory_equal(tokens[1]->display_prefix, secret_reveal(second), 12);
    for (size_t i = 0; i < count; i++)
        integration_token_free(tokens[i]);
    free(tokens);
}

static void test_the_last_use_is_known_at_once_and_kept_by_a_flush(void **state)
{
    scoped(db) db = open_memory();
    struct token_store *store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    struct token_grant grant;
    struct err err = {0};
    scoped(integration_token) at_once = NULL;
    scoped(integration_token) later = NULL;

    (void)state;
    assert_true(token_store_find(store, secret_reveal(text), NOW + 7, &grant));
    assert_true(token_store_find(store, secret_reveal(text), NOW + 5, &grant));
    at_once = only_token(store);
    assert_int_equal(at_once->last_used_ms, NOW + 7);
    assert_ok(token_store_flush(store, &err), err);
    token_store_free(store);
    store = open_store(db);
    later = only_token(store);
    assert_int_equal(later->last_used_ms, NOW + 7);
    token_store_free(store);
}

static void test_a_flush_with_nothing_new_writes_nothing(void **state)
{
    scoped(db) db = open_memory();
    scoped(token_store) store = open_store(db);
    scoped(secret) text = add_token(store, "octo/hello", NULL, NULL);
    struct db_stats before;
    struct db_stats after;
    struct err err = {0};

    (void)state;
    assert_true(finds(store, text));
    assert_ok(token_store_flush(store, &err), err);
    db_stats(db, &before);
    assert_ok(token_store_flush(store, &err), err);
    db_stats(db, &after);
    assert_int_equal(before.writes, after.writes);
}

TEST_MAIN(cmocka_unit_test(test_a_token_is_found_by_its_text),
          cmocka_unit_test(test_another_text_is_not_found),
          cmocka_unit_test(test_tokens_are_there_after_a_restart),
          cmocka_unit_test(test_many_tokens_are_all_found),
          cmocka_unit_test(test_a_repository_that_does_not_fit_is_refused),
          cmocka_unit_test(test_the_same_hash_twice_is_a_conflict),
          cmocka_unit_test(test_a_revoked_token_is_gone_at_once_and_after_a_restart),
          cmocka_unit_test(test_revoking_twice_succeeds_and_keeps_the_first_time),
          cmocka_unit_test(test_what_names_no_token_or_several_is_refused),
          cmocka_unit_test(test_a_revocation_holds_on_return_for_every_thread),
          cmocka_unit_test(test_a_revocation_that_was_not_stored_does_not_hold),
          cmocka_unit_test(test_the_list_is_oldest_first_with_all_fields),
          cmocka_unit_test(test_the_last_use_is_known_at_once_and_kept_by_a_flush),
          cmocka_unit_test(test_a_flush_with_nothing_new_writes_nothing))
