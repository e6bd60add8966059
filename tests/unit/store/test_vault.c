/* SPDX-License-Identifier: Apache-2.0 */
#include "store/vault.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "test.h"

/* 32 bytes: the numbers from 0. */
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

struct place {
    char *dir;
    char *database;
    char *key_file;
};

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    place->dir = test_dir_new();
    place->database = xasprintf("%s/d.db", place->dir);
    place->key_file = xasprintf("%s/d.db.key", place->dir);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    test_dir_remove(place->dir);
    free(place->dir);
    free(place->database);
    free(place->key_file);
    free(place);
    return 0;
}

static struct vault *open_with(const struct place *place, const char *key, struct err *err)
{
    scoped(secret) secret = secret_new(key);

    return vault_open(place->database, secret, err);
}

/* What `other` makes of what `vault` has sealed: "no" when it doesn't open. */
static const char *reopened(const struct vault *vault, const struct vault *other,
                            const char *context)
{
    static char text[16];
    struct err err = {0};
    size_t size = 0;
    scoped(secret) value = secret_new("value");
    uint8_t *sealed = vault_seal(vault, "a", value, &size);
    scoped(secret) opened = vault_unseal(other, context, sealed, size, &err);

    (void)snprintf(text, sizeof(text), "%s", opened ? secret_reveal(opened) : "no");
    free(sealed);
    return text;
}

static void test_the_first_start_makes_a_key_that_the_next_one_finds(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    struct stat found;

    scoped(vault) first = open_with(place, NULL, &err);
    assert_made(first, err);
    assert_int_equal(stat(place->key_file, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    scoped(vault) next = open_with(place, NULL, &err);
    assert_made(next, err);
    assert_string_equal(reopened(first, next, "a"), "value");
    assert_string_equal(reopened(first, next, "b"), "no");
}

static void test_each_database_has_its_own_key(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    scoped_str elsewhere = xasprintf("%s/e.db", place->dir);
    scoped(vault) one = open_with(place, NULL, &err);
    scoped(vault) two = vault_open(elsewhere, NULL, &err);

    assert_made(one, err);
    assert_made(two, err);
    assert_string_equal(reopened(one, two, "a"), "no");
}

static void test_the_operators_key_needs_no_file(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    struct stat found;
    scoped(vault) one = open_with(place, KEY, &err);
    scoped(vault) unpadded =
        open_with(place, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", &err);

    assert_made(one, err);
    assert_made(unpadded, err);
    assert_int_equal(stat(place->key_file, &found), -1);
    assert_string_equal(reopened(one, unpadded, "a"), "value");
}

static void test_a_bad_key_is_refused_and_not_shown(void **state)
{
    static const char *const bad[] = {
        "secret",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ==",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= x",
        "!AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    };
    const struct place *place = *state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {0};

        assert_null(open_with(place, bad[i], &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, "DISPATCH_ENCRYPTION_KEY"));
        assert_null(strstr(err.text, bad[i]));
    }
}

static void test_a_spoilt_file_is_refused_and_stays(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    scoped_buf text = {0};

    test_file_write(place->dir, "d.db.key", "half a k");
    assert_null(open_with(place, NULL, &err));
    assert_non_null(strstr(err.text, "d.db.key"));
    assert_ok(buf_read_file(&text, place->key_file, 100, &err), err);
    assert_string_equal(text.data, "half a k");
}

static void test_a_file_that_others_may_read_is_closed_to_them(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    struct stat found;

    test_file_write(place->dir, "d.db.key", KEY "\n");
    scoped(vault) vault = open_with(place, NULL, &err);
    assert_made(vault, err);
    assert_int_equal(stat(place->key_file, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
}

static void test_a_derived_key_is_of_one_purpose_and_vault(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    scoped(vault) vault = open_with(place, KEY, &err);
    scoped(vault) other = open_with(place, NULL, &err);
    uint8_t derived[VAULT_KEY_SIZE];
    uint8_t same[VAULT_KEY_SIZE];
    uint8_t another[VAULT_KEY_SIZE];

    assert_made(vault, err);
    assert_made(other, err);
    vault_derive(vault, "one", derived);
    vault_derive(vault, "one", same);
    assert_memory_equal(derived, same, sizeof(derived));
    vault_derive(vault, "two", another);
    assert_memory_not_equal(derived, another, sizeof(derived));
    vault_derive(other, "one", another);
    assert_memory_not_equal(derived, another, sizeof(derived));
}

static void test_a_link_in_the_files_place_is_refused(void **state)
{
    const struct place *place = *state;
    struct err err = {0};

    assert_int_equal(symlink("/dev/zero", place->key_file), 0);
    assert_null(open_with(place, NULL, &err));
}

static void test_where_no_key_can_be_kept_none_is_used(void **state)
{
    const struct place *place = *state;
    scoped_str database = xasprintf("%s/absent/d.db", place->dir);
    struct err err = {0};

    assert_null(vault_open(database, NULL, &err));
    assert_non_null(strstr(err.text, "absent/d.db.key"));
}

#define VAULT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

TEST_MAIN(VAULT_TEST(test_the_first_start_makes_a_key_that_the_next_one_finds),
          VAULT_TEST(test_each_database_has_its_own_key),
          VAULT_TEST(test_the_operators_key_needs_no_file),
          VAULT_TEST(test_a_bad_key_is_refused_and_not_shown),
          VAULT_TEST(test_a_spoilt_file_is_refused_and_stays),
          VAULT_TEST(test_a_file_that_others_may_read_is_closed_to_them),
          VAULT_TEST(test_a_derived_key_is_of_one_purpose_and_vault),
          VAULT_TEST(test_a_link_in_the_files_place_is_refused),
          VAULT_TEST(test_where_no_key_can_be_kept_none_is_used))
