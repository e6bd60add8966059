/* SPDX-License-Identifier: Apache-2.0 */
#include "text/redaction.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static void add(struct redaction *redaction, const char *text)
{
    scoped(secret) secret = secret_new(text);

    redaction_add(redaction, secret);
}

static void test_every_occurrence_of_every_secret_goes(void **state)
{
    static const struct {
        const char *before;
        const char *after;
    } cases[] = {
        {"ghs_secret1", "***"},
        {"a ghs_secret1 b", "a *** b"},
        {"ghs_secret1ghs_secret1ghs_secret1", "*********"},
        {"x vgvtask_2 y ghs_secret1", "x *** y ***"},
        {"ghs_secret", "ghs_secret"},
        {"ghs_sghs_secret1", "ghs_s***"},
        {"", ""},
    };
    scoped(redaction) redaction = redaction_new();

    (void)state;
    add(redaction, "ghs_secret1");
    add(redaction, "vgvtask_2");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str text = xstrdup(cases[i].before);

        redaction_apply(redaction, text);
        assert_string_equal(text, cases[i].after);
    }
}

static void test_short_secrets_and_none_blank_nothing(void **state)
{
    scoped(redaction) redaction = redaction_new();
    char text[] = "short and nothing";

    (void)state;
    add(redaction, "short");
    redaction_add(redaction, NULL);
    redaction_apply(redaction, text);
    assert_string_equal(text, "short and nothing");
}

static void test_old_secrets_stay_redacted_as_new_ones_come(void **state)
{
    scoped(redaction) redaction = redaction_new();
    char text[] = "token-number-0 token-number-300";

    (void)state;
    for (int i = 0; i <= 300; i++) {
        scoped_str token = xasprintf("token-number-%d", 300 - i);

        add(redaction, token);
        add(redaction, token);
    }
    redaction_apply(redaction, text);
    assert_null(strstr(text, "token"));
}

TEST_MAIN(cmocka_unit_test(test_every_occurrence_of_every_secret_goes),
          cmocka_unit_test(test_short_secrets_and_none_blank_nothing),
          cmocka_unit_test(test_old_secrets_stay_redacted_as_new_ones_come))
