/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct app *app;
static char *dir;

static int set_up(void **state)
{
    (void)state;
    app = app_new();
    dir = test_dir_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(dir);
    free(dir);
    app_free(app);
    return 0;
}

/* Through the folder's descriptor, since the whole path may be too long for sun_path. */
static int connect_unix(const char *folder, const char *name)
{
    scoped_fd at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s", at, name);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static struct httpd *start_unix(const char *path)
{
    struct httpd_options options = test_options(app);

    options.address = NULL;
    options.unix_socket = path;
    return start_with(&options);
}

static void assert_served(int fd)
{
    assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 200);
}

static void assert_cant_start(const struct httpd_options *options, enum err_kind kind,
                              const char *part_of_text)
{
    struct err err = {0};
    scoped(httpd) httpd = httpd_start(options, &err);

    assert_null(httpd);
    if (err.kind != kind || !strstr(err.text, part_of_text))
        fail_msg("kind %d: %s", (int)err.kind, err.text);
}

/* --- TCP ---------------------------------------------------------------------------------- */

static void test_a_port_in_use_is_named(void **state)
{
    struct httpd *httpd = start(app);
    struct httpd_options options = test_options(app);
    scoped_str text = xasprintf("127.0.0.1:%d is already in use", httpd_port(httpd));

    (void)state;
    options.port = httpd_port(httpd);
    assert_cant_start(&options, ERR_CONFLICT, text);
    httpd_free(httpd);
}

static void test_a_port_can_be_taken_again_at_once(void **state)
{
    struct httpd *first = start(app);
    struct httpd_options options = test_options(app);
    scoped_fd fd = connect_to(first);
    struct httpd *second;

    (void)state;
    options.port = httpd_port(first);
    assert_served(fd);
    httpd_free(first);
    second = start_with(&options);
    assert_int_equal(httpd_port(second), options.port);
    httpd_free(second);
}

static void test_addresses_that_cant_be_are_refused(void **state)
{
    struct httpd_options options = test_options(app);

    (void)state;
    options.address = "localhost";
    assert_cant_start(&options, ERR_INVALID, "localhost is not a numeric address");
    options.address = "203.0.113.7";
    assert_cant_start(&options, ERR_INVALID, "not an address of this machine");
    options.address = "127.0.0.1";
    options.port = 65536;
    assert_cant_start(&options, ERR_INVALID, "65536 is not a port");
    options.address = NULL;
    assert_cant_start(&options, ERR_INVALID, "neither");
}

static void test_a_table_with_a_bad_path_is_refused(void **state)
{
    static const char *const paths[] = {"noslash",  "/a/{",     "/a/{}",
                                        "/a/x{id}", "/a/{id}x", "/{a}/{b}/{c}/{d}/{e}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        const struct route route = {HTTP_GET, paths[i], ANYONE, 0, say_hello, ""};
        struct httpd_options options = test_options(app);

        options.routes = &route;
        options.n_routes = 1;
        assert_cant_start(&options, ERR_INVALID, paths[i]);
    }
}

static void test_the_wildcard_serves_both_families(void **state)
{
    struct httpd_options options = test_options(app);
    struct httpd *httpd;

    (void)state;
    options.address = "::";
    httpd = start_with(&options);
    scoped_answer answer = get(httpd, "/inline");

    assert_non_null(strstr(answer.body, "\"peer\":\"127.0.0.1\""));
    httpd_free(httpd);
}

static void test_an_address_has_a_limited_number_of_connections(void **state)
{
    struct httpd_options options = test_options(app);
    struct httpd *httpd;
    int fds[3];

    (void)state;
    options.connections_per_address_max = 3;
    httpd = start_with(&options);
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_to(httpd);
        assert_served(fds[i]);
    }
    {
        scoped_fd over = connect_to(httpd);

        assert_closed(over);
    }
    (void)close(fds[0]);
    wait_until(stats_of(httpd).connections == 2, ANSWER_MS);
    {
        scoped_fd again = connect_to(httpd);

        assert_served(again);
    }
    (void)close(fds[1]);
    (void)close(fds[2]);
    httpd_free(httpd);
}

static void test_beyond_all_connections_the_next_one_waits(void **state)
{
    struct httpd_options options = test_options(app);
    struct httpd *httpd;
    int first;
    scoped_fd second = -1;

    (void)state;
    options.connections_max = 1;
    httpd = start_with(&options);
    first = connect_to(httpd);
    assert_served(first);
    second = connect_to(httpd);
    assert_true(send_str(second, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
    (void)usleep(20000);
    assert_true(is_still_open(second));
    (void)close(first);
    scoped_answer answer = read_answer(second);

    assert_int_equal(answer.status, 200);
    httpd_free(httpd);
}

static void test_the_limit_of_open_files_is_raised(void **state)
{
    struct rlimit before;
    struct rlimit low;
    struct rlimit now;
    struct httpd *httpd;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    httpd = start(app);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, now.rlim_max);
    httpd_free(httpd);
}

/* --- Unix sockets ------------------------------------------------------------------------- */

static void test_a_unix_socket_is_its_owners_alone(void **state)
{
    scoped_str path = xasprintf("%s/s", dir);
    struct httpd *httpd = start_unix(path);
    scoped_fd fd = connect_unix(dir, "s");
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(httpd_port(httpd), 0);
    assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
    scoped_answer answer = read_answer(fd);

    assert_non_null(strstr(answer.body, "\"peer\":\"unix\""));
    httpd_free(httpd);
    assert_int_equal(stat(path, &st), -1);
}

static void test_a_unix_socket_may_have_a_long_path(void **state)
{
    char name[91] = "";
    scoped_str folder = NULL;
    scoped_str path = NULL;
    struct httpd *httpd;

    (void)state;
    memset(name, 'd', sizeof(name) - 1);
    folder = xasprintf("%s/%s", dir, name);
    path = xasprintf("%s/socket", folder);
    assert_true(strlen(path) > sizeof(((struct sockaddr_un *)NULL)->sun_path));
    assert_int_equal(mkdir(folder, 0700), 0);
    httpd = start_unix(path);
    scoped_fd fd = connect_unix(folder, "socket");

    assert_served(fd);
    httpd_free(httpd);
}

static void test_clients_of_a_unix_socket_share_no_limit(void **state)
{
    scoped_str path = xasprintf("%s/s", dir);
    struct httpd_options options = test_options(app);
    struct httpd *httpd;
    int fds[4];

    (void)state;
    options.address = NULL;
    options.unix_socket = path;
    options.connections_per_address_max = 1;
    httpd = start_with(&options);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = connect_unix(dir, "s");
        assert_served(fds[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        (void)close(fds[i]);
    httpd_free(httpd);
}

static void leave_dead_socket(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
}

static void test_a_dead_unix_socket_is_replaced(void **state)
{
    scoped_str path = xasprintf("%s/s", dir);
    struct httpd *httpd;

    (void)state;
    leave_dead_socket(path);
    httpd = start_unix(path);
    scoped_fd fd = connect_unix(dir, "s");

    assert_served(fd);
    httpd_free(httpd);
}

static void test_a_living_unix_socket_or_a_file_is_left_alone(void **state)
{
    scoped_str path = xasprintf("%s/s", dir);
    scoped_str file = xasprintf("%s/file", dir);
    struct httpd *httpd = start_unix(path);
    struct httpd_options options = test_options(app);

    (void)state;
    options.address = NULL;
    options.unix_socket = path;
    assert_cant_start(&options, ERR_CONFLICT, "already in use");
    scoped_fd fd = connect_unix(dir, "s");

    assert_served(fd);
    test_file_write(dir, "file", "precious");
    options.unix_socket = file;
    assert_cant_start(&options, ERR_CONFLICT, "already in use");
    assert_int_equal(access(file, R_OK), 0);
    httpd_free(httpd);
}

static void test_a_unix_socket_needs_its_folder(void **state)
{
    scoped_str path = xasprintf("%s/none/s", dir);
    struct httpd_options options = test_options(app);

    (void)state;
    options.address = NULL;
    options.unix_socket = path;
    assert_cant_start(&options, ERR_NOT_FOUND, "none");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(CASE(test_a_port_in_use_is_named), CASE(test_a_port_can_be_taken_again_at_once),
          CASE(test_addresses_that_cant_be_are_refused),
          CASE(test_a_table_with_a_bad_path_is_refused),
          CASE(test_the_wildcard_serves_both_families),
          CASE(test_an_address_has_a_limited_number_of_connections),
          CASE(test_beyond_all_connections_the_next_one_waits),
          CASE(test_the_limit_of_open_files_is_raised),
          CASE(test_a_unix_socket_is_its_owners_alone),
          CASE(test_a_unix_socket_may_have_a_long_path),
          CASE(test_clients_of_a_unix_socket_share_no_limit),
          CASE(test_a_dead_unix_socket_is_replaced),
          CASE(test_a_living_unix_socket_or_a_file_is_left_alone),
          CASE(test_a_unix_socket_needs_its_folder))
