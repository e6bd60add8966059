/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "confine/capabilities.h"

#define PASSED 0

/* The folders that a child of ours looks at. */
struct world {
    char *readable;
    char *writable;
    char *other;
    int port; /* that may be listened on */
};

static struct world world_new(void)
{
    struct world world = {test_dir_new(), test_dir_new(), test_dir_new(), 0};

    test_file_write(world.readable, "file", "x");
    test_file_write(world.writable, "file", "x");
    test_file_write(world.other, "file", "x");
    return world;
}

static void world_done(struct world *world)
{
    test_dir_remove(world->readable);
    test_dir_remove(world->writable);
    test_dir_remove(world->other);
    free(world->readable);
    free(world->writable);
    free(world->other);
}

static int in_child(const struct world *world, int (*tries)(const struct world *world))
{
    const char *const readable[] = {world->readable, "/nowhere/at/all", NULL};
    const char *const writable[] = {world->writable, NULL};
    struct landlock_options options = {
        .readable = readable, .writable = writable, .tcp_port = &world->port};
    struct err err = {0};
    int ruleset = -1;
    int status;
    pid_t pid = fork();

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        if (landlock_make(&options, &ruleset, &err) < 0
            || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_enter(ruleset) < 0)
            _exit(100);
        _exit(tries(world));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool opens(const char *folder, const char *name, int flags)
{
    scoped_str path = xasprintf("%s/%s", folder, name);
    scoped_fd fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0;
}

static int tries_files(const struct world *world)
{
    if (opens(world->other, "file", O_RDONLY) || errno != EACCES)
        return 1;
    if (opens(world->other, "new", O_WRONLY | O_CREAT) || errno != EACCES)
        return 2;
    if (opens(world->readable, "file", O_WRONLY) || errno != EACCES)
        return 3;
    if (opens(world->readable, "new", O_WRONLY | O_CREAT) || errno != EACCES)
        return 4;
    if (!opens(world->readable, "file", O_RDONLY))
        return 5;
    if (!opens(world->writable, "file", O_RDWR | O_TRUNC))
        return 6;
    return opens(world->writable, "new", O_WRONLY | O_CREAT) ? PASSED : 7;
}

static int tries_to_execute(const struct world *world)
{
    scoped_str program = xasprintf("%s/program", world->writable);

    (void)execl(program, program, NULL);
    if (errno != EACCES)
        return 1;
    (void)execl("/bin/true", "true", NULL);
    return errno == EACCES ? PASSED : 2;
}

static int bind_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    scoped_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int tries_ports(const struct world *world)
{
    if (bind_to(world->port) < 0)
        return 1;
    return bind_to(9) < 0 && errno == EACCES ? PASSED : 2;
}

static int tries_signals(const struct world *world)
{
    (void)world;
    return kill(getppid(), 0) < 0 && errno == EPERM ? PASSED : 1;
}

static void test_what_no_rule_names_is_closed(void **state)
{
    struct world world = world_new();

    (void)state;
    if (landlock_abi() < LANDLOCK_ABI_MIN) {
        world_done(&world);
        skip();
    }
    assert_int_equal(in_child(&world, tries_files), PASSED);
    world_done(&world);
}

static void test_nothing_is_executed_that_is_only_read_or_written(void **state)
{
    struct world world = world_new();
    scoped_str program = xasprintf("%s/program", world.writable);

    (void)state;
    if (landlock_abi() < LANDLOCK_ABI_MIN) {
        world_done(&world);
        skip();
    }
    test_file_write(world.writable, "program", "#!/bin/sh\n");
    assert_int_equal(chmod(program, 0755), 0);
    assert_int_equal(in_child(&world, tries_to_execute), PASSED);
    world_done(&world);
}

static void test_one_port_is_listened_on(void **state)
{
    struct world world = world_new();

    (void)state;
    if (landlock_abi() >= LANDLOCK_ABI_WITH_PORTS)
        assert_int_equal(in_child(&world, tries_ports), PASSED);
    world_done(&world);
}

static void test_signals_stay_inside(void **state)
{
    struct world world = world_new();

    (void)state;
    if (landlock_abi() >= LANDLOCK_ABI_WITH_SCOPES)
        assert_int_equal(in_child(&world, tries_signals), PASSED);
    world_done(&world);
}

/* --- Capabilities ------------------------------------------------------------------------- */

static int drops_all(const struct world *world)
{
    (void)world;
    if (capabilities_bound(0) < 0 || capabilities_keep(0) < 0 || capabilities_in_use())
        return 1;
    return capabilities_use(~UINT64_C(0)) == 0 && !capabilities_in_use() ? PASSED : 2;
}

static void test_capabilities_given_up_do_not_come_back(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_int_not_equal(pid, -1);
    if (pid == 0)
        _exit(drops_all(NULL));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int takes_up_again(const struct world *world)
{
    uint64_t all = capabilities_in_use();

    (void)world;
    if (capabilities_use(0) < 0 || capabilities_in_use())
        return 1;
    return capabilities_use(all) == 0 && capabilities_in_use() == all ? PASSED : 2;
}

static void test_capabilities_not_in_use_can_be_taken_up_again(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_int_not_equal(pid, -1);
    if (pid == 0)
        _exit(takes_up_again(NULL));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

TEST_MAIN(cmocka_unit_test(test_what_no_rule_names_is_closed),
          cmocka_unit_test(test_nothing_is_executed_that_is_only_read_or_written),
          cmocka_unit_test(test_one_port_is_listened_on),
          cmocka_unit_test(test_signals_stay_inside),
          cmocka_unit_test(test_capabilities_given_up_do_not_come_back),
          cmocka_unit_test(test_capabilities_not_in_use_can_be_taken_up_again))
