/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "base/buf.h"

/* What a shell has to set its trap in, on a busy machine; and a grace that nobody uses up. */
#define SHELL_IS_UP_MS 5000
#define GRACE_NOT_NEEDED_MS 60000

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script)

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOW_BUILD 1
#endif
#endif

struct heard {
    struct buf out;
    struct buf errors;
};

static void hear(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    struct heard *heard = ctx;

    buf_append(stream == PROCESS_STDOUT ? &heard->out : &heard->errors, data, size);
}

static void heard_done(struct heard *heard)
{
    buf_done(&heard->out);
    buf_done(&heard->errors);
}

#define scoped_heard __attribute__((cleanup(heard_done))) struct heard

static struct process_run new_run(const char *const *argv, struct heard *heard)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};

    return (struct process_run){
        .spec = {.argv = argv, .env = env, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1},
        .on_output = heard ? hear : NULL,
        .ctx = heard,
    };
}

static bool contains(const struct heard *heard, const char *text)
{
    return heard->out.data && strstr(heard->out.data, text);
}

static void test_run_gives_output_and_exit_code(void **state)
{
    scoped_heard heard = {0};
    struct process_run run = new_run(SH("echo out; echo err >&2; exit 3"), &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    assert_ok(process_run(&run, &end, &err), err);
    assert_string_equal(heard.out.data, "out\n");
    assert_string_equal(heard.errors.data, "err\n");
    assert_int_equal(end.exit_code, 3);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.output_bytes, 8);
    assert_false(end.timed_out || end.stopped);
}

static void test_run_tells_which_signal_ended_it(void **state)
{
    struct process_run run = new_run(SH("kill -USR1 $$"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.exit_code, -1);
    assert_int_equal(end.signal, SIGUSR1);
}

static void test_run_of_a_missing_program_is_not_found(void **state)
{
    struct process_run run = new_run(ARGV("/no/such/program"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(&run, &end, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void test_input_larger_than_the_pipes_comes_back_whole(void **state)
{
    enum { SIZE = 4 * 1024 * 1024 };
    scoped_heard heard = {0};
    struct process_run run = new_run(ARGV("cat"), &heard);
    struct process_end end = {0};
    struct err err = {0};
    char *input = malloc(SIZE);

    (void)state;
    assert_non_null(input);
    for (int i = 0; i < SIZE; i++)
        input[i] = (char)(i * 7 + i / 4096);
    run.input = input;
    run.input_size = SIZE;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(heard.out.size, SIZE);
    assert_memory_equal(heard.out.data, input, SIZE);
    free(input);
}

static void test_input_nobody_reads_does_no_harm(void **state)
{
    static char input[1024 * 1024];
    struct process_run run = new_run(SH("exec <&-; sleep 0.1; exit 4"), NULL);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    struct process_end end = {0};
    struct err err = {0};
    sigset_t pending;

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &plain, NULL), 0); /* it would end this program */
    run.input = input;
    run.input_size = sizeof(input);
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.exit_code, 4);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
}

static void test_without_input_stdin_is_empty(void **state)
{
    struct process_run run = new_run(ARGV("cat"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.exit_code, 0);
    run.input = "";
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.exit_code, 0);
}

static void test_wall_clock_ends_it_with_term(void **state)
{
    struct process_run run = new_run(SH("sleep 60"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = 200;
    run.term_grace_ms = GRACE_NOT_NEEDED_MS;
    assert_ok(process_run(&run, &end, &err), err);
    assert_true(end.timed_out);
    assert_int_equal(end.signal, SIGTERM);
    assert_in_range(end.took_ms, 200, GRACE_NOT_NEEDED_MS);
}

static void test_one_that_ignores_term_is_killed_after_its_grace(void **state)
{
    struct process_run run = new_run(SH("trap '' TERM; while :; do sleep 0.05; done"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = SHELL_IS_UP_MS;
    run.term_grace_ms = 300;
    assert_ok(process_run(&run, &end, &err), err);
    assert_true(end.timed_out);
    assert_int_equal(end.signal, SIGKILL);
    assert_true(end.took_ms >= SHELL_IS_UP_MS + 300);
}

static void test_term_leaves_time_to_say_goodbye(void **state)
{
    scoped_heard heard = {0};
    struct process_run run = new_run(
        SH("trap 'sleep 0.2; echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done"),
        &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = SHELL_IS_UP_MS;
    run.term_grace_ms = GRACE_NOT_NEEDED_MS;
    assert_ok(process_run(&run, &end, &err), err);
    assert_true(end.timed_out);
    assert_int_equal(end.exit_code, 9);
    assert_true(contains(&heard, "bye"));
}

static void test_grace_is_for_the_whole_group(void **state)
{
    scoped_heard heard = {0};
    /* The leader goes at once; the one that it started wants a moment. */
    struct process_run run =
        new_run(SH("sh -c 'trap \"sleep 0.3; echo cleaned; exit\" TERM; echo up; while :; do "
                   "sleep 0.05; done' & exec sleep 60"),
                &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = SHELL_IS_UP_MS;
    run.term_grace_ms = GRACE_NOT_NEEDED_MS;
    assert_ok(process_run(&run, &end, &err), err);
    assert_true(contains(&heard, "cleaned"));
    assert_in_range(end.took_ms, SHELL_IS_UP_MS, GRACE_NOT_NEEDED_MS);
}

static void test_timeout_ends_the_whole_group(void **state)
{
    scoped_heard heard = {0};
    struct process_run run = new_run(
        SH("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait"), &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = SHELL_IS_UP_MS;
    run.term_grace_ms = 100;
    assert_ok(process_run(&run, &end, &err), err);
    assert_non_null(heard.out.data);
    pid_t stubborn = (pid_t)atoi(heard.out.data);

    assert_true(stubborn > 1);
    /* Orphaned, so init reaps it: gone or about to be. */
    wait_until(kill(stubborn, 0) < 0 || waitpid(stubborn, NULL, WNOHANG) > 0, 60000);
}

struct stopper {
    volatile bool stop;
    int after_ms;
};

static void *stop_later(void *ctx)
{
    struct stopper *stopper = ctx;

    (void)usleep((useconds_t)stopper->after_ms * 1000);
    __atomic_store_n(&stopper->stop, true, __ATOMIC_RELEASE);
    return NULL;
}

static void test_stop_flag_ends_it(void **state)
{
    struct stopper stopper = {.after_ms = 100};
    struct process_run run = new_run(SH("sleep 120"), NULL);
    struct process_end end = {0};
    struct err err = {0};
    pthread_t thread;

    (void)state;
    run.stop = &stopper.stop;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, &stopper), 0);
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(end.stopped);
    assert_false(end.timed_out);
    assert_int_equal(end.signal, SIGTERM);
    assert_in_range(end.took_ms, 100, 100000);
}

static void test_a_stopped_process_can_be_ended(void **state)
{
    struct process_run run = new_run(SH("kill -STOP $$"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.wall_clock_ms = 200;
    run.term_grace_ms = GRACE_NOT_NEEDED_MS;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.signal, SIGTERM);
    assert_in_range(end.took_ms, 200, GRACE_NOT_NEEDED_MS);
}

static void test_a_daemon_with_the_pipe_open_does_not_hold_us_up(void **state)
{
    scoped_heard heard = {0};
    struct process_run run =
        new_run(SH("setsid sleep 120 & echo $!; printf last; exit 0"), &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(end.exit_code, 0);
    assert_true(contains(&heard, "last"));
    assert_in_range(end.took_ms, 0, 100000);
    (void)kill((pid_t)atoi(heard.out.data), SIGKILL);
}

static void test_a_daemon_that_floods_the_pipe_does_not_hold_us_up(void **state)
{
    scoped_heard heard = {0};
    struct process_run run = new_run(SH("setsid timeout 120 yes & echo $!; exit 0"), &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.output_max_bytes = 4096;
    assert_ok(process_run(&run, &end, &err), err);
    assert_in_range(end.took_ms, 0, 100000);
    /* Its pipe has no reader any more, which ends it. */
}

static void test_all_that_was_written_before_the_end_arrives(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        scoped_heard heard = {0};
        struct process_run run =
            new_run(SH("head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2"), &heard);
        struct process_end end = {0};
        struct err err = {0};

        assert_ok(process_run(&run, &end, &err), err);
        assert_int_equal(heard.out.size, 60000);
        assert_int_equal(heard.errors.size, 60000);
    }
}

static void test_output_beyond_the_limit_is_counted_and_dropped(void **state)
{
    scoped_heard heard = {0};
    struct process_run run = new_run(SH("head -c 1000000 /dev/zero; exit 5"), &heard);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.output_max_bytes = 1000;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(heard.out.size, 1000);
    assert_int_equal(end.output_bytes, 1000000);
    assert_int_equal(end.exit_code, 5);
}

static size_t resident_kb(void)
{
    scoped_file status = fopen("/proc/self/status", "re");
    char line[256];

    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            return strtoul(line + 6, NULL, 10);
    return 0;
}

static void count_only(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    uint64_t *total = ctx;

    (void)stream;
    (void)data;
    *total += size;
}

static void test_an_endless_line_does_not_grow_memory(void **state)
{
#ifdef SLOW_BUILD
    const uint64_t bytes = 64ULL << 20;
#else
    const uint64_t bytes = 256ULL << 20;
#endif
    char count[32];
    uint64_t total = 0;
    struct process_run run = new_run(ARGV("head", "-c", count, "/dev/zero"), NULL);
    struct process_end end = {0};
    struct err err = {0};
    size_t before_kb = resident_kb();

    (void)state;
    (void)snprintf(count, sizeof(count), "%llu", (unsigned long long)bytes);
    run.on_output = count_only;
    run.ctx = &total;
    assert_ok(process_run(&run, &end, &err), err);
    assert_int_equal(total, bytes);
    assert_int_equal(end.output_bytes, bytes);
    assert_in_range(resident_kb() - before_kb, 0, 8 * 1024);
}

static void test_input_and_a_stdin_together_are_refused(void **state)
{
    struct process_run run = new_run(ARGV("cat"), NULL);
    struct process_end end = {0};
    struct err err = {0};

    (void)state;
    run.spec.stdin_fd = STDIN_FILENO;
    run.input = "x";
    run.input_size = 1;
    assert_int_equal(process_run(&run, &end, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_run_gives_output_and_exit_code),
          cmocka_unit_test(test_run_tells_which_signal_ended_it),
          cmocka_unit_test(test_run_of_a_missing_program_is_not_found),
          cmocka_unit_test(test_input_larger_than_the_pipes_comes_back_whole),
          cmocka_unit_test(test_input_nobody_reads_does_no_harm),
          cmocka_unit_test(test_without_input_stdin_is_empty),
          cmocka_unit_test(test_wall_clock_ends_it_with_term),
          cmocka_unit_test(test_one_that_ignores_term_is_killed_after_its_grace),
          cmocka_unit_test(test_term_leaves_time_to_say_goodbye),
          cmocka_unit_test(test_grace_is_for_the_whole_group),
          cmocka_unit_test(test_timeout_ends_the_whole_group),
          cmocka_unit_test(test_stop_flag_ends_it),
          cmocka_unit_test(test_a_stopped_process_can_be_ended),
          cmocka_unit_test(test_a_daemon_with_the_pipe_open_does_not_hold_us_up),
          cmocka_unit_test(test_a_daemon_that_floods_the_pipe_does_not_hold_us_up),
          cmocka_unit_test(test_all_that_was_written_before_the_end_arrives),
          cmocka_unit_test(test_output_beyond_the_limit_is_counted_and_dropped),
          cmocka_unit_test(test_an_endless_line_does_not_grow_memory),
          cmocka_unit_test(test_input_and_a_stdin_together_are_refused))
