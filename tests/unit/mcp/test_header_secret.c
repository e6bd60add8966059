/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/header_secret.h"

#include "test.h"

#include "base/alloc.h"

#define KEY "a1b2c3d4e5f6a7b8"

static void test_credentials_go_and_words_stay(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *said;
        const char *shown;
    } cases[] = {
        {"Authorization", "Bearer " KEY, "Bearer " KEY, "***"},
        {"Authorization", "Bearer " KEY, "the token " KEY " works", "the token *** works"},
        {"Authorization", "Bearer swordfish", "is it swordfish?", "is it ***?"},
        {"Authorization", "Bearer a/b/c/d\"e", "{\"t\": \"Bearer a\\/b\\/c\\/d\\\"e\"}",
         "{\"t\": \"***\"}"},
        {"Authorization", "Bearer a/b/c/d\"e", "{\"t\": \"a/b/c/d\\\"e\"}", "{\"t\": \"***\"}"},
        {"X-Api-Key", "swordfish", "swordfish", "***"},
        {"Cookie", "theme=dark; sid=" KEY, "sid is " KEY, "sid is ***"},
        {"X-Whatever", KEY, KEY, "***"},
        {"Accept", "application/json", "application/json", "application/json"},
        {"Content-Type", "application/vnd.github.v3+json;q=1", "vnd.github.v3+json",
         "vnd.github.v3+json"},
        {"X-Tenant", "production", "in production", "in production"},
        {"User-Agent", "our-client", "our-client", "our-client"},
        {"X-Date", "2026-01-02T03:04", "short", "short"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(redaction) redaction = redaction_new();
        scoped_str said = xstrdup(cases[i].said);

        header_secret_redact(cases[i].name, cases[i].value, redaction);
        redaction_apply(redaction, said);
        assert_string_equal(said, cases[i].shown);
    }
}

TEST_MAIN(cmocka_unit_test(test_credentials_go_and_words_stay))
