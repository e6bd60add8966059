/* SPDX-License-Identifier: Apache-2.0 */
#include "home/assignment.h"

#include <string.h>

#include "test.h"

#define REQUIRED_BUT_ID                                                                        \
    "\"attempt\":1,\"clone_url\":\"https://h/o/n.git\","                                       \
    "\"github_api_url\":\"https://api\",\"prompt\":\"p\",\"agent\":\"command\""
#define REQUESTER(texts)                                                                       \
    "{" REQUIRED ",\"repo\":\"o/n\",\"requester\":{\"name\":\"" texts "\"}}"
#define REQUIRED "\"run_id\":\"0123456789abcdefghij\"," REQUIRED_BUT_ID

static int read_text(struct assignment *out, const char *text, struct err *err)
{
    cJSON *document = json_parse(text, strlen(text), err);

    assert_non_null(document);
    return assignment_read(out, document, err);
}

static void test_minimal_answer_gets_the_defaults(void **state)
{
    scoped_assignment a = {0};
    struct err err = {0};

    (void)state;
    assert_ok(read_text(&a, "{" REQUIRED ",\"repo\":\"o/n\",\"future\":[1]}", &err), err);
    assert_string_equal(a.repo, "o/n");
    assert_string_equal(a.mode, "execute");
    assert_null(a.base_branch);
    assert_true(a.auto_create_pr);
    assert_false(a.blank_workspace);
    assert_int_equal(a.timeout_s, 3600);
    assert_int_equal(a.heartbeat_s, 10);
    assert_string_equal(a.bot_name, "dispatch[bot]");
    assert_null(a.requester_name);
}

static void test_limits_flags_and_bot_are_read(void **state)
{
    scoped_assignment a = {0};
    struct err err = {0};

    (void)state;
    assert_ok(read_text(&a,
                        "{" REQUIRED ",\"repo\":\"o/n\",\"base_branch\":\"dev\","
                        "\"flags\":{\"auto_create_pr\":false,\"blank_workspace\":true},"
                        "\"limits\":{\"timeout_s\":7,\"heartbeat_s\":2},"
                        "\"requester\":{\"name\":\"Ada L\",\"email\":\"a@x\"},"
                        "\"bot\":{\"name\":\"b\",\"email\":\"b@x\"}}",
                        &err),
              err);
    assert_string_equal(a.base_branch, "dev");
    assert_false(a.auto_create_pr);
    assert_true(a.blank_workspace);
    assert_int_equal(a.timeout_s, 7);
    assert_int_equal(a.heartbeat_s, 2);
    assert_string_equal(a.bot_name, "b");
    assert_string_equal(a.requester_name, "Ada L");
    assert_string_equal(a.requester_email, "a@x");
    assert_string_equal(a.bot_email, "b@x");
}

static void test_answers_that_make_no_sense_are_refused_by_field(void **state)
{
    static const struct {
        const char *text;
        const char *field;
    } cases[] = {
        {"{" REQUIRED "}", "repo"},
        {"{\"run_id\":\"short\",\"repo\":\"o/n\"," REQUIRED_BUT_ID "}", "run_id"},
        {"{\"run_id\":\"../../../../../../xx\",\"repo\":\"o/n\"," REQUIRED_BUT_ID "}",
         "run_id"},
        {"{" REQUIRED ",\"repo\":\"o\"}", "repo"},
        {"{" REQUIRED ",\"repo\":\"o/n/x\"}", "repo"},
        {"{" REQUIRED ",\"repo\":\"o/n?x\"}", "repo"},
        {"{" REQUIRED ",\"repo\":\"o/n\",\"limits\":{\"timeout_s\":0}}", "limits.timeout_s"},
        {"{" REQUIRED ",\"repo\":\"o/n\",\"limits\":{\"timeout_s\":99999999}}",
         "limits.timeout_s"},
        {"{" REQUIRED ",\"repo\":\"o/n\",\"limits\":{\"heartbeat_s\":\"1\"}}",
         "limits.heartbeat_s"},
        {"{" REQUIRED ",\"repo\":\"o/n\",\"bot\":{\"name\":\"a <b>\"}}", "bot"},
        {REQUESTER("Ada"), "requester.email"},
        {REQUESTER("Ada\",\"email\":\"a@x\\nSigned-off-by: Eve <e@x>"), "requester.email"},
        {REQUESTER("Ada\",\"email\":\"nowhere"), "requester.email"},
        {REQUESTER("Ada\\nSigned-off-by: Eve\",\"email\":\"a@x"), "requester.name"},
        {REQUESTER("Ada <e@x>\",\"email\":\"a@x"), "requester.name"},
        {REQUESTER("\",\"email\":\"a@x"), "requester.name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_assignment a = {0};
        struct err err = {0};

        assert_int_equal(read_text(&a, cases[i].text, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.field, cases[i].field);
    }
}

TEST_MAIN(cmocka_unit_test(test_minimal_answer_gets_the_defaults),
          cmocka_unit_test(test_limits_flags_and_bot_are_read),
          cmocka_unit_test(test_answers_that_make_no_sense_are_refused_by_field))
