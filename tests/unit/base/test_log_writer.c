/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "test.h"

#define THREADS 4
#define LINES 20000
#define LINE "{\"msg\":\"a line of some length, so that the buffer fills up now and then\"}\n"

/* stderr is a file until the returned descriptor is put back. */
static int catch_stderr(const char *path)
{
    int old = dup(STDERR_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(old >= 0 && file >= 0);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    (void)close(file);
    return old;
}

static void put_back(int old)
{
    (void)dup2(old, STDERR_FILENO);
    (void)close(old);
}

static void *put_lines(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES; i++)
        log_writer_put(LINE, strlen(LINE));
    return NULL;
}

static size_t whole_lines(const char *path)
{
    struct err err = {0};
    scoped_buf text = {0};
    size_t lines = 0;

    assert_ok(buf_read_file(&text, path, 64 * 1024 * 1024, &err), err);
    for (size_t at = 0; at < text.size; at += strlen(LINE)) {
        assert_memory_equal(text.data + at, LINE, strlen(LINE));
        lines++;
    }
    return lines;
}

static void put_from_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_lines, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

static void test_every_line_is_written_whole_by_the_stop(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/log", dir);
    int old = catch_stderr(path);

    (void)state;
    for (int round = 1; round <= 2; round++) {
        log_writer_start();
        log_writer_start();
        put_from_threads();
        log_writer_stop();
        log_writer_stop();
    }
    put_back(old);
    assert_int_equal(whole_lines(path), 2 * THREADS * LINES);
    test_dir_remove(dir);
}

static void test_without_the_thread_a_line_is_written_at_once(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/log", dir);
    int old = catch_stderr(path);

    (void)state;
    log_writer_put(LINE, strlen(LINE));
    put_back(old);
    assert_int_equal(whole_lines(path), 1);
    test_dir_remove(dir);
}

static void test_stop_while_lines_come_loses_none(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/log", dir);
    int old = catch_stderr(path);
    pthread_t thread;

    (void)state;
    log_writer_start();
    assert_int_equal(pthread_create(&thread, NULL, put_lines, NULL), 0);
    log_writer_stop();
    (void)pthread_join(thread, NULL);
    put_back(old);
    assert_int_equal(whole_lines(path), LINES);
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_every_line_is_written_whole_by_the_stop),
          cmocka_unit_test(test_without_the_thread_a_line_is_written_at_once),
          cmocka_unit_test(test_stop_while_lines_come_loses_none))
