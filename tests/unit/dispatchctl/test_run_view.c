/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/run_view.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#include "base/alloc.h"

/* What is printed of a run, for the caller to free. */
static char *shown(const cJSON *run)
{
    const struct invocation call = {.options = {.output = "table"}};
    char text[4096] = "";
    FILE *to = tmpfile();
    int before;

    assert_non_null(to);
    (void)fflush(stdout);
    before = dup(STDOUT_FILENO);
    assert_true(before >= 0 && dup2(fileno(to), STDOUT_FILENO) >= 0);
    run_view_print(&call, run);
    (void)fflush(stdout);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    (void)close(before);
    rewind(to);
    (void)!fread(text, 1, sizeof(text) - 1, to);
    (void)fclose(to);
    return xstrdup(text);
}

static void test_a_run_is_shown_with_its_launcher(void **state)
{
    scoped_json run =
        jobj({"id", jstr("r")}, {"status", jstr("running")}, {"launcher", jstr("kubernetes")});
    scoped_str text = shown(run);

    (void)state;
    assert_non_null(strstr(text, "Run:          r\n"));
    assert_non_null(strstr(text, "Status:       running\n"));
    assert_non_null(strstr(text, "Launcher:     kubernetes\n"));
}

static void test_what_is_not_known_has_no_line(void **state)
{
    scoped_json run = jobj({"id", jstr("r")}, {"status", jstr("queued")});
    scoped_str text = shown(run);

    (void)state;
    assert_null(strstr(text, "Launcher:"));
    assert_null(strstr(text, "Took:"));
    assert_null(strstr(text, "Pull request:"));
}

TEST_MAIN(cmocka_unit_test(test_a_run_is_shown_with_its_launcher),
          cmocka_unit_test(test_what_is_not_known_has_no_line))
