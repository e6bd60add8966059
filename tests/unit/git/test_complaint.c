/* SPDX-License-Identifier: Apache-2.0 */
#include "git/complaint.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static void test_line_that_says_most_is_told(void **state)
{
    static const char *const cases[][2] = {
        {"", "it gave no reason"},
        {"Cloning into 'x'...\nfatal: repository 'u' not found\n",
         "fatal: repository 'u' not found"},
        {"error: a: No space left on device\nfatal: adding files failed\n",
         "error: a: No space left on device"},
        {"To u\n ! [rejected]        x -> b (fetch first)\nerror: failed to push some refs\n",
         "! [rejected]        x -> b (fetch first)"},
        {"fatal: write error: No space left on device\nfatal: invalid index-pack output\n",
         "fatal: write error: No space left on device"},
        {"remote: No space left on device\nfatal: what\n", "fatal: what"},
        {"fatal: a\tb\x1b[31m", "fatal: a b [31m"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str sentence = complaint_sentence(cases[i][0]);

        assert_string_equal(sentence, cases[i][1]);
    }
}

/* As GitHub says it; the person who reads the run's error never sees git's output. */
static void test_refusal_is_told_in_the_remotes_words(void **state)
{
    static const char said[] =
        "remote: error: GH013: Repository rule violations found for refs/heads/u/x.        \n"
        "remote: \n"
        "remote: - Cannot create ref due to creations being restricted.        \n"
        "To https://h/o/n.git\n"
        " ! [remote rejected] 0123456 -> u/x (push declined due to repository rule "
        "violations)\n"
        "error: failed to push some refs to 'https://h/o/n.git'\n";
    scoped_str sentence = complaint_sentence(said);
    scoped_str silent = complaint_sentence(" ! [remote rejected] a -> b (hook declined)\n");

    (void)state;
    assert_string_equal(
        sentence, "the remote refused it (push declined due to repository rule violations): "
                  "GH013: Repository rule violations found for refs/heads/u/x.; "
                  "Cannot create ref due to creations being restricted.");
    assert_string_equal(silent, "the remote refused it (hook declined)");
}

static void test_sentence_is_bounded(void **state)
{
    static char said[20000];

    (void)state;
    memset(said, 'a', sizeof(said) - 1);
    memcpy(said, "fatal: ", 7);
    scoped_str line = complaint_sentence(said);
    assert_int_equal(strlen(line), 300);
    memcpy(said + 10000, "\n ! [remote rejected] a -> b (x)", 32);
    memcpy(said, "remote: ", 8);
    scoped_str words = complaint_sentence(said);
    assert_int_equal(strlen(words), 300);
}

static void test_somebody_was_first_or_a_rule_says_no(void **state)
{
    static const struct {
        const char *said;
        enum err_kind kind;
    } cases[] = {
        {" ! [rejected]        a -> b (non-fast-forward)\n", ERR_CONFLICT},
        {" ! [rejected]        a -> b (already exists)\n", ERR_CONFLICT},
        {" ! [remote rejected] a -> b (reference already exists)\n", ERR_CONFLICT},
        {" ! [remote rejected] a -> b (cannot lock ref 'refs/heads/b': ...)\n", ERR_CONFLICT},
        {" ! [remote rejected] a -> b (failed to update ref)\n", ERR_CONFLICT},
        {" ! [remote rejected] a -> b (pre-receive hook declined)\n", ERR_DENIED},
        {" ! [remote rejected] a -> b (protected branch hook declined)\n", ERR_DENIED},
        {"error: remote unpack failed: No space left on device\n"
         " ! [remote rejected] a -> b (unpacker error)\n",
         ERR_DENIED},
        {"fatal: unable to access 'u': The requested URL returned error: 403\n", ERR_DENIED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (complaint_kind(cases[i].said) != cases[i].kind)
            fail_msg("%s", cases[i].said);
}

/* A remote can't talk us into thinking that its refusal is our token or our disk. */
static void test_words_of_the_remote_decide_nothing(void **state)
{
    (void)state;
    assert_int_equal(complaint_kind("remote: Authentication failed\n"
                                    "remote: No space left on device\n"
                                    " ! [remote rejected] a -> b (hook declined)\n"),
                     ERR_DENIED);
    assert_int_equal(complaint_kind("remote: No space left on device\nfatal: what\n"),
                     ERR_INTERNAL);
    assert_int_equal(complaint_kind("remote: x\nfatal: write error: No space left on device"),
                     ERR_UNAVAILABLE);
}

TEST_MAIN(cmocka_unit_test(test_line_that_says_most_is_told),
          cmocka_unit_test(test_refusal_is_told_in_the_remotes_words),
          cmocka_unit_test(test_sentence_is_bounded),
          cmocka_unit_test(test_somebody_was_first_or_a_rule_says_no),
          cmocka_unit_test(test_words_of_the_remote_decide_nothing))
