/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "json/json.h"

/* What the log writes to stderr between begin and end. */
static struct {
    int real_stderr;
    char path[64];
    struct buf text;
} caught;

static void catch_begin(void)
{
    int fd;

    (void)snprintf(caught.path, sizeof(caught.path), "/tmp/dispatch-log-XXXXXX");
    fd = mkstemp(caught.path);
    assert_true(fd >= 0);
    (void)fflush(stderr);
    caught.real_stderr = dup(STDERR_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
    buf_clear(&caught.text);
}

static const char *catch_end(void)
{
    struct err err = {0};

    (void)dup2(caught.real_stderr, STDERR_FILENO);
    (void)close(caught.real_stderr);
    assert_ok(buf_read_file(&caught.text, caught.path, 16 << 20, &err), err);
    (void)unlink(caught.path);
    return caught.text.data ? caught.text.data : "";
}

/* The line as JSON: it must be one line and strictly valid. */
static cJSON *caught_line(void)
{
    const char *text = catch_end();
    size_t size = strlen(text);
    struct err err = {0};
    cJSON *line;

    assert_true(size > 0 && text[size - 1] == '\n');
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    line = json_parse(text, size, &err);
    assert_made(line, err);
    return line;
}

static void test_a_line_holds_sentence_and_fields(void **state)
{
    const char *absent = NULL;
    scoped_json line = NULL;

    (void)state;
    clock_set_for_test(1767323045678);
    catch_begin();
    log_info("job started", KV("run", "r1"), KV("attempt", 2), KV("big", (int64_t)1 << 40),
             KV("size", sizeof(int)), KV("retried", (bool)true), KV("absent", absent));
    clock_set_for_test(-1);
    line = caught_line();
    assert_string_equal(caught.text.data,
                        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\","
                        "\"msg\":\"job started\",\"run\":\"r1\",\"attempt\":2,"
                        "\"big\":1099511627776,\"size\":4,\"retried\":true}\n");
}

static void test_hostile_values_stay_inside_their_quotes(void **state)
{
    static const char *const values[] = {
        "\",\"level\":\"error",
        "two\nlines\r\n",
        "\x1b[31m\x7f\x01",
        "\\",
        "\\\"",
        "",
        "\xe2\x82\xac",
        "bad \xff\xfe utf-8",
        "cut \xe2\x82",
        "\xed\xa0\x80",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        scoped_json line = NULL;

        catch_begin();
        log_warn("odd", KV("value", values[i]), KV("after", 1));
        line = caught_line();
        assert_string_equal(json_get_str(line, "level"), "warn");
        assert_int_equal(json_get_int(line, "after", 0), 1);
        if (json_utf8_valid(values[i], strlen(values[i])))
            assert_string_equal(json_get_str(line, "value"), values[i]);
    }
}

static void test_long_values_are_cut_and_the_line_stays_json(void **state)
{
    scoped_str large = xcalloc(1, 100001);

    (void)state;
    for (int fill = 0; fill < 3; fill++) {
        scoped_json line = NULL;

        memset(large, "x\n\xff"[fill], 100000);
        catch_begin();
        log_error("large", KV("a", large), KV("b", large), KV("c", large), KV("d", large),
                  KV("e", large), KV("f", large), KV("g", 7));
        line = caught_line();
        assert_true(caught.text.size < 8300);
        assert_true(strlen(json_get_str(line, "a")) >= 1000);
    }
}

static void test_quiet_levels_write_nothing(void **state)
{
    (void)state;
    catch_begin();
    log_debug("not at first");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("not now");
    assert_false(log_enabled(LOG_LEVEL_WARN));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("but now");
    log_set_level(LOG_LEVEL_INFO);
    assert_null(strstr(catch_end(), "not"));
    assert_non_null(strstr(caught.text.data, "\"level\":\"debug\",\"msg\":\"but now\""));
}

static void *log_without_request(void *unused)
{
    (void)unused;
    log_info("elsewhere");
    return NULL;
}

static void test_the_request_id_is_on_each_line_of_its_thread(void **state)
{
    pthread_t other;
    const char *text;

    (void)state;
    catch_begin();
    log_set_request("req-1");
    log_info("here");
    log_info("of another", KV("request", "req-2"));
    assert_int_equal(pthread_create(&other, NULL, log_without_request, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    log_set_request(NULL);
    log_info("later");
    text = catch_end();
    assert_non_null(strstr(text, "\"msg\":\"here\",\"request\":\"req-1\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"of another\",\"request\":\"req-2\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"elsewhere\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"later\"}\n"));
}

static void test_logging_leaves_errno_alone(void **state)
{
    (void)state;
    catch_begin();
    errno = ENOENT;
    log_info("x");
    assert_int_equal(errno, ENOENT);
    (void)catch_end();
}

enum { LINES = 300 };

static void *log_lines(void *name)
{
    for (int i = 0; i < LINES; i++)
        log_info("from a thread", KV("thread", (const char *)name), KV("i", i));
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
    char names[3][2] = {"a", "b", "c"};
    pthread_t threads[3];
    const char *text;
    int lines = 0;

    (void)state;
    catch_begin();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, names[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (text = catch_end(); *text; lines++) {
        size_t size = strcspn(text, "\n");
        struct err err = {0};
        scoped_json line = json_parse(text, size, &err);

        assert_made(line, err);
        text += size + 1;
    }
    assert_int_equal(lines, 3 * LINES);
}

static int drop_text(void **state)
{
    (void)state;
    buf_done(&caught.text);
    return 0;
}

int main(void)
{
    /* The first must stay the first: it is the one that asks what stderr is. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logging_leaves_errno_alone),
        cmocka_unit_test(test_a_line_holds_sentence_and_fields),
        cmocka_unit_test(test_hostile_values_stay_inside_their_quotes),
        cmocka_unit_test(test_long_values_are_cut_and_the_line_stays_json),
        cmocka_unit_test(test_quiet_levels_write_nothing),
        cmocka_unit_test(test_the_request_id_is_on_each_line_of_its_thread),
        cmocka_unit_test(test_lines_of_threads_do_not_mix),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, drop_text);
}
