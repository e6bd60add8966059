/* SPDX-License-Identifier: Apache-2.0 */
#include "task/pull_request_text.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define RUN_ID "0123456789abcdefghij"

static void test_title_is_one_short_line(void **state)
{
    static const struct {
        const char *prompt;
        const char *title;
    } cases[] = {
        {"Fix the bug", "Fix the bug"},
        {"  \n\n  Fix\tthe \x01 bug \r\n and more", "Fix the bug"},
        {"\xc3\x84ndere das\xc2\x85\xe2\x80\xa8Wort", "\xc3\x84ndere das Wort"},
        {"bad \xff byte", "bad byte"},
        {" \n ", "Dispatched change"},
        {"", "Dispatched change"},
        {"123456789 123456789 123456789 123456789 123456789 123456789 123456789 12",
         "123456789 123456789 123456789 123456789 123456789 123456789 123456789 12"},
        {"123456789 123456789 123456789 123456789 123456789 123456789 123456789 123",
         "123456789 123456789 123456789 123456789 123456789 123456789 123456789 1\xe2\x80\xa6"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct assignment a = {.prompt = cases[i].prompt};
        scoped_str title = pull_request_title(&a);

        assert_string_equal(title, cases[i].title);
    }
}

static void test_title_prefers_ticket_then_title(void **state)
{
    struct assignment a = {.prompt = "p", .title = "t"};

    (void)state;
    scoped_str given = pull_request_title(&a);
    assert_string_equal(given, "t");
    a.ticket_summary = "Summary";
    scoped_str summary = pull_request_title(&a);
    assert_string_equal(summary, "Summary");
    a.ticket_id = "AB-12";
    scoped_str ticket = pull_request_title(&a);
    assert_string_equal(ticket, "AB-12: Summary");
}

static void test_slug_holds_what_a_ref_may(void **state)
{
    static const struct {
        const char *title;
        const char *slug;
    } cases[] = {
        {"Fix the BUG #12!", "fix-the-bug-12"},
        {"--a--b--", "a-b"},
        {"../../etc/passwd", "etc-passwd"},
        {"refs/heads/main.lock", "refs-heads-main-lock"},
        {"\xe4\xbd\xa0\xe5\xa5\xbd", "change"},
        {"", "change"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbb",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str slug = pull_request_slug(cases[i].title);

        assert_string_equal(slug, cases[i].slug);
    }
}

static void test_branch_carries_the_end_of_the_run_id(void **state)
{
    scoped_str branch = pull_request_branch(RUN_ID, "Fix it");

    (void)state;
    assert_string_equal(branch, "u/dispatch/defghij/fix-it");
}

static void test_commit_message_ends_with_the_trailer(void **state)
{
    struct assignment a = {.agent = "command", .run_id = RUN_ID};
    scoped_str message = pull_request_commit_message(&a, "Fix it");

    (void)state;
    assert_ptr_equal(strstr(message, "Fix it\n\n"), message);
    assert_non_null(strstr(message, "\n\nDispatch-Run: " RUN_ID "\n"));
}

/* Whatever stands between the fences, no line of it closes them: every line that is only
 * backticks, and at least as many as opened the block, is the closing one we wrote. */
static void test_prompt_cannot_leave_its_block(void **state)
{
    static const char *const prompts[] = {
        "plain @everyone closes #1",
        "```\n@bob fixes #2\n```",
        "`````\nx\n``````\ny",
        "x\r````\r@bob",
        "<!-- --> </details> ![x](http://e)",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(prompts); i++) {
        struct assignment a = {.prompt = prompts[i], .run_id = RUN_ID};
        struct change change = {.n_files = 0};
        struct pull_request_warning none = {0};
        scoped_str text = pull_request_description(&a, &change, NULL, &none);
        char *block = strstr(text, "The prompt:\n\n") + strlen("The prompt:\n\n");
        size_t fence = strspn(block, "`");
        size_t closed_at = 0;
        size_t lines = 0;

        assert_true(fence >= 3);
        for (char *line = strchr(block, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
            assert_null(memchr(line, '\r', strcspn(line, "\n")));
            lines++;
            if (!closed_at && strspn(line, "`") >= fence)
                closed_at = lines;
        }
        /* After the closing one: a blank line and the trailer. */
        assert_int_equal(closed_at, lines - 2);
        assert_non_null(strstr(text, "\nDispatch-Run: " RUN_ID "\n"));
    }
}

static void test_partial_reason_opens_the_description_quoted(void **state)
{
    struct assignment a = {.prompt = "p", .run_id = RUN_ID};
    struct change change = {.n_files = 1, .added = 1};
    struct pull_request_warning warning = {.partial_reason = "no time\n\n# Heading @bob\n```"};

    (void)state;
    change.files[0] = (struct changed_file){xstrdup("a.txt"), 1, 0};
    scoped_str text = pull_request_description(&a, &change, NULL, &warning);
    assert_ptr_equal(strstr(text, "> [!WARNING]\n"), text);
    assert_non_null(strstr(text, "\n> no time\n> \n> # Heading @bob\n> ```\n> ````\n>\n\n"));
    assert_non_null(strstr(text, "1 file changed, 1 line added, 0 removed"));
    change_done(&change);
}

static void test_description_fits_however_much_there_is(void **state)
{
    static char prompt[64 * 1024];
    static char path[5000];
    struct pull_request_warning warning = {0};
    struct assignment a = {.prompt = prompt, .run_id = RUN_ID};
    struct change change = {0};

    (void)state;
    memset(prompt, '\n', sizeof(prompt) - 1);
    memset(path, '\n', sizeof(path) - 1);
    for (size_t i = 0; i < CHANGED_FILES_KEPT; i++)
        change.files[i] = (struct changed_file){xstrdup(path), 123456, -1};
    change.n_files = 1000000;
    warning.partial_reason = warning.findings = prompt + sizeof(prompt) - 2000;
    warning.quote = prompt + sizeof(prompt) - 4096;
    warning.sentence = prompt + sizeof(prompt) - 500;
    scoped_str text =
        pull_request_description(&a, &change, prompt + sizeof(prompt) - 16000, &warning);
    assert_true(strlen(text) <= DESCRIPTION_MAX_BYTES);
    assert_non_null(strstr(text, "and 999950 more"));
    assert_non_null(strstr(text, "Dispatch-Run: " RUN_ID));
    change_done(&change);
}

static void test_endless_backticks_take_no_endless_fences(void **state)
{
    static char prompt[64 * 1024];
    struct assignment a = {.prompt = prompt, .run_id = RUN_ID};
    struct pull_request_warning none = {0};
    struct change change = {0};

    (void)state;
    memset(prompt, '`', sizeof(prompt) - 1);
    scoped_str text = pull_request_description(&a, &change, NULL, &none);
    assert_true(strlen(text) <= DESCRIPTION_MAX_BYTES);
}

static void test_failed_run_says_so_and_quotes_the_end_of_its_tests(void **state)
{
    struct assignment a = {.prompt = "p", .run_id = RUN_ID};
    struct change change = {0};
    struct pull_request_warning warning = {
        .sentence = "the tests failed with exit code 2, closes #1 @bob",
        .quote = "not ok 3\n```\n@all",
        .findings = "The change touches workflows: .github/workflows/x.yml\n",
    };

    (void)state;
    assert_true(pull_request_warns(&warning));
    scoped_str text = pull_request_description(&a, &change, "My own words.", &warning);
    assert_ptr_equal(strstr(text, "> [!WARNING]\n> The run has failed"), text);
    assert_non_null(strstr(text, "> the tests failed with exit code 2, "));
    assert_non_null(strstr(text, ":\n>\n> ````text\n> not ok 3\n> ```\n> @all\n> ````\n"));
    assert_null(strstr(text, "closes #1"));
    assert_null(strstr(text, " @bob"));
    assert_non_null(strstr(text, "> The change touches workflows: .github/workflows/x.yml\n"));
    assert_non_null(strstr(text, "\n\nMy own words.\n\n0 files changed"));
}

static void test_requester_is_a_co_author(void **state)
{
    struct assignment a = {.run_id = RUN_ID,
                           .agent = "opencode",
                           .requester_name = "Ada L",
                           .requester_email = "a@x"};

    (void)state;
    scoped_str message = pull_request_commit_message(&a, "Title");
    assert_non_null(
        strstr(message, "\nDispatch-Run: " RUN_ID "\nCo-authored-by: Ada L <a@x>\n"));
}

TEST_MAIN(cmocka_unit_test(test_title_is_one_short_line),
          cmocka_unit_test(test_title_prefers_ticket_then_title),
          cmocka_unit_test(test_slug_holds_what_a_ref_may),
          cmocka_unit_test(test_branch_carries_the_end_of_the_run_id),
          cmocka_unit_test(test_commit_message_ends_with_the_trailer),
          cmocka_unit_test(test_prompt_cannot_leave_its_block),
          cmocka_unit_test(test_partial_reason_opens_the_description_quoted),
          cmocka_unit_test(test_failed_run_says_so_and_quotes_the_end_of_its_tests),
          cmocka_unit_test(test_endless_backticks_take_no_endless_fences),
          cmocka_unit_test(test_requester_is_a_co_author),
          cmocka_unit_test(test_description_fits_however_much_there_is))
