/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/way_in.h"

#include <string.h>

#include "test.h"

static void test_one_rule_decides(void **state)
{
    static const struct {
        struct options options;
        bool dispatches_only;
        enum way_in way;
    } cases[] = {
        {{.repo = "o/r"}, false, WAY_TASK},
        {{.repo = "o/r", .branch = "b", .ticket_id = "T"}, false, WAY_TASK},
        {{.repo = "o/r", .priority = "1"}, false, WAY_TASK},
        {{0}, false, WAY_AGENT},
        {{.blank = true}, false, WAY_AGENT},
        {{.repo = "o/r", .mode = "plan"}, false, WAY_AGENT},
        {{.repo = "o/r", .model = "m", .branch = "b"}, false, WAY_AGENT},
        {{.repo = "o/r", .no_pr = true}, false, WAY_AGENT},
        {{.model = "m", .agent = "opencode"}, true, WAY_DISPATCH},
        {{.idempotency_key = "k"}, true, WAY_DISPATCH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        enum way_in way;

        assert_ok(way_in_choose(&cases[i].options, cases[i].dispatches_only, &way, &err), err);
        assert_int_equal(way, cases[i].way);
    }
}

static void test_a_flag_is_refused_rather_than_dropped(void **state)
{
    static const struct {
        struct options options;
        bool dispatches_only;
        const char *named;
    } cases[] = {
        {{.repo = "o/r"}, true, "--repo"},
        {{.wait = true}, true, "--wait"},
        {{.follow = true}, true, "--follow"},
        {{.mode = "plan"}, true, "--mode"},
        {{.test_command = "make"}, true, "--test-command"},
        {{.priority = "1"}, true, "--priority"},
        {{.repo = "o/r", .mode = "plan", .ticket_id = "T"}, false, "--ticket-id"},
        {{.repo = "o/r", .model = "m", .test_command = "make"}, false, "--test-command"},
        {{.ticket_summary = "s"}, false, "--repo"},
        {{.repo = "o/r", .idempotency_key = "k"}, false, "--idempotency-key"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        enum way_in way;

        assert_int_equal(way_in_choose(&cases[i].options, cases[i].dispatches_only, &way, &err),
                         -1);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].named))
            fail_msg("%s isn't named: %s", cases[i].named, err.text);
    }
}

static void test_repositories_as_each_face_wants_them(void **state)
{
    static const struct {
        const char *given;
        const char *url;
        const char *name;
    } cases[] = {
        {"o/r", "https://gh.example/o/r.git", "o/r"},
        {"https://gh.example/o/r.git", "https://gh.example/o/r.git", "o/r"},
        {"git@gh.example:o/r.git", "git@gh.example:o/r.git", "o/r"},
        {"ssh://git@gh.example/o/r", "ssh://git@gh.example/o/r", "o/r"},
        {"nonsense", "nonsense", "nonsense"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct options options = {.repo = cases[i].given};
        struct err err = {0};
        scoped_json task = way_in_body(&options, WAY_TASK, "p", "https://gh.example/", &err);
        scoped_json agent = way_in_body(&options, WAY_AGENT, "p", "https://gh.example/", &err);

        assert_string_equal(json_get_str(task, "repository_url"), cases[i].url);
        assert_string_equal(json_get_str(agent, "repo"), cases[i].name);
    }
}

static void test_bodies_have_what_was_asked_and_no_more(void **state)
{
    struct options options = {.no_pr = true, .blank = true, .mode = "plan", .priority = "7"};
    struct err err = {0};
    scoped_json agent = way_in_body(&options, WAY_AGENT, "p", "https://gh.example", &err);
    struct options none = {0};
    scoped_json dispatch = way_in_body(&none, WAY_DISPATCH, "p", "https://gh.example", &err);
    scoped_str agent_text = json_text(agent);
    scoped_str dispatch_text = json_text(dispatch);

    (void)state;
    assert_string_equal(agent_text,
                        "{\"prompt\":\"p\",\"mode\":\"plan\",\"auto_create_pr\":false,"
                        "\"blank_workspace\":true,\"priority\":7}");
    assert_string_equal(dispatch_text, "{\"prompt\":\"p\"}");
    options.priority = "1001";
    assert_null(way_in_body(&options, WAY_AGENT, "p", "https://gh.example", &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_one_rule_decides),
          cmocka_unit_test(test_a_flag_is_refused_rather_than_dropped),
          cmocka_unit_test(test_repositories_as_each_face_wants_them),
          cmocka_unit_test(test_bodies_have_what_was_asked_and_no_more))
