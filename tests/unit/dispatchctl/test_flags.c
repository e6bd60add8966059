/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/flags.h"

#include <string.h>

#include "dispatchctl/commands.h"
#include "test.h"

#define WORDS_MAX 16

struct line {
    struct options options;
    const char *words[WORDS_MAX];
    size_t n_words;
    struct err err;
};

/* Reads a line of words as the command `name` would. */
static int read_line(const char *name, struct line *out, const char *const *argv)
{
    struct flag_list lists[3] = {common_flags};
    const struct command *command = commands;

    while (command < commands + n_commands && strcmp(command->name, name) != 0)
        command++;
    assert_true(command < commands + n_commands);
    for (size_t i = 0; i < command->n_lists; i++)
        lists[i + 1] = command->lists[i];
    *out = (struct line){0};
    return flags_read(argv, lists, command->n_lists + 1, &out->options, out->words,
                      &out->n_words, &out->err);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_flags_and_words_come_in_any_order(void **state)
{
    struct line line;

    (void)state;
    assert_int_equal(read_line("submit", &line,
                               ARGV("--repo=o/r", "do it", "-wf", "-o", "json", "-mbig",
                                    "--timeout", "1h30m")),
                     0);
    assert_string_equal(line.options.repo, "o/r");
    assert_string_equal(line.options.output, "json");
    assert_string_equal(line.options.model, "big");
    assert_true(line.options.wait && line.options.follow);
    assert_int_equal(line.options.timeout_ms, 90 * 60 * 1000);
    assert_int_equal(line.n_words, 1);
    assert_string_equal(line.words[0], "do it");
}

static void test_after_two_dashes_all_are_words(void **state)
{
    struct line line;

    (void)state;
    assert_int_equal(read_line("submit", &line, ARGV("--", "--wait", "-")), 0);
    assert_int_equal(line.n_words, 2);
    assert_false(line.options.wait);
    assert_int_equal(read_line("submit", &line, ARGV("-")), 0);
    assert_string_equal(line.words[0], "-");
}

static void test_what_is_wrong_is_named(void **state)
{
    const struct {
        const char *const *argv;
        const char *complaint;
    } cases[] = {
        {ARGV("--rep", "x"), "--rep: unknown flag"},
        {ARGV("-x"), "-x: unknown flag"},
        {ARGV("--repo"), "--repo needs a value: REPO"},
        {ARGV("--repo="), "--repo needs a value: REPO"},
        {ARGV("--wait=yes"), "--wait takes no value"},
        {ARGV("-oxml"), "--output: expected one of: table wide json yaml name"},
        {ARGV("--mode", "dream"), "--mode: expected one of: execute plan"},
        {ARGV("--timeout", "soon"), "--timeout: expected a duration, as in 90s, 5m or 1h30m"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct line line;

        assert_int_equal(read_line("submit", &line, cases[i].argv), -1);
        assert_string_equal(line.err.text, cases[i].complaint);
    }
}

static void test_a_token_has_no_flag(void **state)
{
    struct line line;

    (void)state;
    assert_int_equal(read_line("list", &line, ARGV("--token", "vgvbot_secret")), -1);
    assert_non_null(strstr(line.err.text, "--token-file"));
    assert_null(strstr(line.err.text, "secret"));
    assert_int_equal(read_line("list", &line, ARGV("--token=vgvbot_secret")), -1);
    assert_null(strstr(line.err.text, "secret"));
}

static void test_flags_before_the_command_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(flags_leading(ARGV("--server", "http://x", "list"), &common_flags), 2);
    assert_int_equal(flags_leading(ARGV("--server=http://x", "list"), &common_flags), 1);
    assert_int_equal(flags_leading(ARGV("-o", "json", "-q", "list"), &common_flags), 3);
    assert_int_equal(flags_leading(ARGV("-ojson", "list"), &common_flags), 1);
    assert_int_equal(flags_leading(ARGV("list", "-q"), &common_flags), 0);
    assert_int_equal(flags_leading(ARGV("--server"), &common_flags), 1);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"90", 90000},      {"90s", 90000},      {"500ms", 500},     {"5m", 300000},
                {"1h30m", 5400000}, {"7d", 604800000LL}, {"1d1ms", 86400001}};
    static const char *const bad[] = {"",  "0",   "0s",   "-5",    "5x",         "5 m",
                                      "m", "5m3", "1.5h", "4000d", "9999999999", "5mm"};
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(duration_parse(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (duration_parse(bad[i], &ms))
            fail_msg("\"%s\" was taken for %lld ms", bad[i], (long long)ms);
}

/* Letters and names are each known once within a command, or a flag would hide another. */
static void test_no_flag_hides_another(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_commands; c++) {
        const struct flag *seen[64];
        size_t n_seen = 0;

        for (size_t l = 0; l <= commands[c].n_lists; l++) {
            const struct flag_list *list = l ? &commands[c].lists[l - 1] : &common_flags;

            for (size_t f = 0; f < list->count; f++)
                seen[n_seen++] = &list->flags[f];
        }
        for (size_t i = 0; i < n_seen; i++)
            for (size_t j = 0; j < i; j++)
                if (strcmp(seen[i]->name, seen[j]->name) == 0
                    || (seen[i]->letter && seen[i]->letter == seen[j]->letter))
                    fail_msg("%s: --%s and --%s", commands[c].name, seen[i]->name,
                             seen[j]->name);
    }
}

TEST_MAIN(cmocka_unit_test(test_flags_and_words_come_in_any_order),
          cmocka_unit_test(test_after_two_dashes_all_are_words),
          cmocka_unit_test(test_what_is_wrong_is_named),
          cmocka_unit_test(test_a_token_has_no_flag),
          cmocka_unit_test(test_flags_before_the_command_are_passed_over),
          cmocka_unit_test(test_durations), cmocka_unit_test(test_no_flag_hides_another))
