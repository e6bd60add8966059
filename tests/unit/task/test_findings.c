/* SPDX-License-Identifier: Apache-2.0 */
#include "task/findings.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define OWN "vgv-own-secret-of-this-run"

/* What is found when the diff comes in pieces of `piece` bytes. */
static struct findings look(const char *diff, size_t piece)
{
    scoped(redaction) redaction = redaction_new();
    scoped(secret) own = secret_new(OWN);
    struct findings found;

    redaction_add(redaction, own);
    findings_init(&found, redaction);
    for (size_t at = 0, size = strlen(diff); at < size; at += piece)
        findings_feed(&found, diff + at, size - at < piece ? size - at : piece);
    findings_end(&found);
    findings_done(&found);
    return found;
}

/* Written so that this file itself carries none. */
#define TOKEN                                                                                  \
    "gh"                                                                                       \
    "p_0123456789abcdefghijABCDEFGHIJ012345"

static const char header[] =
    "diff --git a/src/x.c b/src/x.c\nindex 1..2 100644\n--- a/src/x.c\n"
    "+++ b/src/x.c\n@@ -1 +1 @@\n";

static void test_added_credential_is_found_in_whatever_pieces(void **state)
{
    scoped_str quoted = xasprintf("%s-old\n+key = \"%s\"\n", header, TOKEN);
    scoped_str alone = xasprintf("%s+%s\n", header, TOKEN);

    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        struct findings found = look(piece % 2 ? quoted : alone, piece);

        assert_string_equal(found.credential, "src/x.c");
        assert_string_equal(found.credential_kind, "a GitHub token");
        assert_string_equal(found.own_secret, "");
        assert_string_equal(found.workflow, "");
    }
}

static void test_removed_lines_are_nobodys_leak(void **state)
{
    scoped_str diff = xasprintf("%s-key = \"%s\" %s\n+clean\n", header, TOKEN, OWN);
    struct findings found = look(diff, 7);

    (void)state;
    assert_string_equal(found.credential, "");
    assert_string_equal(found.own_secret, "");
}

static void test_own_secret_is_found_in_endless_lines_and_names(void **state)
{
    scoped_buf diff = {0};
    scoped_str name = xasprintf("diff --git a/%s b/%s\nnew file mode 100644\n", OWN, OWN);

    (void)state;
    buf_append_str(&diff, header);
    buf_append_str(&diff, "+");
    for (int i = 0; i < 200000; i++)
        buf_append_str(&diff, "x");
    buf_append_str(&diff, OWN);
    for (int i = 0; i < 200000; i++)
        buf_append_str(&diff, "y");
    buf_append_str(&diff, "\n");
    for (size_t piece = 4093; piece < 200000; piece *= 3) {
        struct findings found = look(diff.data, piece);

        assert_string_equal(found.own_secret, "src/x.c");
    }
    assert_true(look(name, 5).own_secret[0]);
}

static void test_workflows_are_found_by_any_touch(void **state)
{
    static const char *const touches[] = {
        "diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml\nold mode 100644\n",
        "diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml\n"
        "deleted file mode 100644\n--- a/.github/workflows/ci.yml\n+++ /dev/null\n",
        "diff --git \"a/.github/workflows/\\303\\244.yml\" "
        "\"b/.github/workflows/\\303\\244.yml\"\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(touches); i++)
        assert_true(look(touches[i], 11).workflow[0]);
    assert_false(look("diff --git a/docs/.github/x b/docs/.github/x\n", 9).workflow[0]);
    scoped_str text = xasprintf("%s+diff --git b/.github/workflows/x\n", header);
    assert_false(look(text, 9).workflow[0]);
}

static void test_forms_are_known_and_words_are_not_taken_for_them(void **state)
{
    static const char *const keys[] = {
        TOKEN,
        "AKI"
        "AIOSFODNN7EXAMPLE",
        "-----BEGIN OPENSSH"
        " PRIVATE KEY-----",
        "sk-ant-"
        "api03-abcdefghijklmnopqrstuvwxyz0123456789",
        "AIz"
        "aSyA1234567890abcdefghijklmnopqrstuv",
        "glpat"
        "-abcdefghij0123456789",
    };
    static const char *const words[] = {
        "ghp_short",
        "sk-ant-x",
        "AKIAlowercase0000000",
        "task-ant-",
        "AKIA",
        "aGVsbG9"
        "AKI"
        "AIOSFODNN7EXAMPLE",
        "-----BEGIN PUBLIC KEY-----",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_non_null(credential_kind(keys[i], strlen(keys[i])));
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_null(credential_kind(words[i], strlen(words[i])));
}

TEST_MAIN(cmocka_unit_test(test_added_credential_is_found_in_whatever_pieces),
          cmocka_unit_test(test_removed_lines_are_nobodys_leak),
          cmocka_unit_test(test_own_secret_is_found_in_endless_lines_and_names),
          cmocka_unit_test(test_workflows_are_found_by_any_touch),
          cmocka_unit_test(test_forms_are_known_and_words_are_not_taken_for_them))
