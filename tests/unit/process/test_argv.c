/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <string.h>

#include "test.h"

static void test_a_command_line_becomes_words(void **state)
{
    static const struct {
        const char *line;
        const char *words[6];
    } cases[] = {
        {"agent", {"agent"}},
        {"  agent\t--fast \n", {"agent", "--fast"}},
        {"agent 'two words' \"and more\"", {"agent", "two words", "and more"}},
        {"agent a'b'\"c\"d", {"agent", "abcd"}},
        {"agent '' \"\"", {"agent", "", ""}},
        {"agent a\\ b \\'c \\\\", {"agent", "a b", "'c", "\\"}},
        {"agent '\\' \"\\\"\"", {"agent", "\\", "\""}},
        {"agent \"it's\" 'say \"so\"'", {"agent", "it's", "say \"so\""}},
        {"agent $HOME * `id` ; x", {"agent", "$HOME", "*", "`id`", ";", "x"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        char **argv = process_argv_parse(cases[i].line, &err);
        size_t n = 0;

        assert_made(argv, err);
        for (; n < ARRAY_SIZE(cases[i].words) && cases[i].words[n]; n++) {
            assert_non_null(argv[n]);
            assert_string_equal(argv[n], cases[i].words[n]);
        }
        assert_null(argv[n]);
        process_argv_free(argv);
    }
}

static void test_a_bad_command_line_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line;
        const char *complaint;
    } cases[] = {
        {NULL, "the command line names no program"},
        {"", "the command line names no program"},
        {" \t\n", "the command line names no program"},
        {"'' x", "the command line names no program"},
        {"agent 'open", "the command line leaves a ' open"},
        {"agent \"open'", "the command line leaves a \" open"},
        {"agent \\", "the command line ends in a backslash"},
        {"agent \"\\", "the command line ends in a backslash"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        assert_null(process_argv_parse(cases[i].line, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.text, cases[i].complaint);
    }
    process_argv_free(NULL);
}

TEST_MAIN(cmocka_unit_test(test_a_command_line_becomes_words),
          cmocka_unit_test(test_a_bad_command_line_says_what_is_wrong))
