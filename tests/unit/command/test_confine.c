/* SPDX-License-Identifier: Apache-2.0 */
#include "command/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#include "base/alloc.h"
#include "confine/capabilities.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"

#define PASSED 0
#define KEEPS_FOR_RUNNERS 0x801ebU

static char *home;    /* of the database */
static char *outside; /* what nobody has named */

static bool opens(const char *folder, const char *name, int flags)
{
    scoped_str path = xasprintf("%s/%s", folder, name);
    scoped_fd fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0;
}

/* Settings as the environment gives them. */
static void load(struct config *config)
{
    char *const none[] = {NULL};
    scoped_str database = xasprintf("%s/var/dispatch.db", home);
    scoped_str work = xasprintf("%s/work", home);
    struct err err = {0};

    (void)setenv("DISPATCH_DATABASE", database, 1);
    (void)setenv("DISPATCH_WORK_DIR", work, 1);
    (void)setenv("DISPATCH_LISTEN", "127.0.0.1:0", 1);
    (void)setenv("DISPATCH_AGENT_COMMAND", "true", 1);
    if (config_load(config, none, &err) < 0)
        _exit(101);
}

/* What `tries` returns in a child that is confined with that launcher. */
static int confined(const char *launcher, const char *mode,
                    int (*tries)(const struct confinement *confinement))
{
    int status;
    pid_t pid = fork();

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        struct confinement confinement = {0};
        struct config config = {0};
        struct err err = {0};

        (void)setenv("DISPATCH_LAUNCHER", launcher, 1);
        (void)setenv("DISPATCH_CONFINE", mode, 1);
        load(&config);
        if (confine_enter(&confinement, &config, &err) < 0)
            _exit(100);
        _exit(tries(&confinement));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Without Landlock there are no such doors to be closed. */
static int tries_files(const struct confinement *confinement)
{
    if (!opens(home, "var/new", O_WRONLY | O_CREAT) || !opens("/", "etc/passwd", O_RDONLY))
        return 1;
    if (!confinement->landlock_abi)
        return PASSED;
    if (opens(outside, "file", O_RDONLY) || errno != EACCES)
        return 2;
    if (opens(outside, "new", O_WRONLY | O_CREAT) || errno != EACCES)
        return 3;
    return opens("/", "etc/dispatch-test", O_WRONLY | O_CREAT) ? 4 : PASSED;
}

static int tries_calls(const struct confinement *confinement)
{
    if (!confinement->seccomp)
        return PASSED;
    if (syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL) == 0 || errno != EPERM)
        return 1;
    return syscall(SYS_keyctl, 0, -3, 1) >= 0 || errno != EPERM ? 2 : PASSED;
}

static int tries_a_program(const struct confinement *confinement)
{
    (void)execl("/bin/true", "true", NULL);
    return (errno == EPERM || errno == EACCES) && confine_forbids_programs(confinement) ? PASSED
                                                                                        : 1;
}

static int starts_a_program(const struct confinement *confinement)
{
    if (confine_forbids_programs(confinement) || confinement->landlock_abi)
        return 1;
    (void)execl("/bin/true", "true", NULL); /* ends with PASSED */
    return 2;
}

static int looks_at_itself(const struct confinement *confinement)
{
    struct rlimit core;

    (void)confinement;
    if (capabilities_in_use() || getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max)
        return 1;
    return PASSED;
}

static int looks_at_what_is_kept(const struct confinement *confinement)
{
    (void)confinement;
    return capabilities_in_use() & ~(uint64_t)KEEPS_FOR_RUNNERS ? 1 : PASSED;
}

/* With its keys and certificates where it didn't know of. */
static int takes_new_settings(const struct confinement *confinement)
{
    scoped_str inside = xasprintf("%s/var/ca.pem", home);
    scoped_str file = xasprintf("%s/file", outside);
    struct config config = {0};
    struct err err = {0};

    if (!confinement->landlock_abi || !opens(home, "var/ca.pem", O_WRONLY | O_CREAT))
        return PASSED;
    (void)setenv("DISPATCH_CA_FILE", inside, 1);
    load(&config);
    if (confine_admits(confinement, &config, &err) < 0)
        return 1;
    config_done(&config);
    (void)setenv("DISPATCH_CA_FILE", file, 1);
    load(&config);
    if (confine_admits(confinement, &config, &err) == 0)
        return 2;
    config_done(&config);
    (void)unsetenv("DISPATCH_CA_FILE");
    (void)setenv("DISPATCH_LAUNCHERS", "process", 1);
    load(&config);
    if (confine_admits(confinement, &config, &err) == 0)
        return 3;
    config_done(&config);
    (void)unsetenv("DISPATCH_LAUNCHERS");
    (void)setenv("DISPATCH_CONFINE", "off", 1);
    load(&config);
    return confine_admits(confinement, &config, &err) < 0 ? PASSED : 4;
}

static int set_up(void **state)
{
    (void)state;
    home = test_dir_new();
    outside = test_dir_new();
    test_file_write(outside, "file", "x");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(home);
    test_dir_remove(outside);
    free(home);
    free(outside);
    return 0;
}

static void test_files_that_no_setting_names_are_closed(void **state)
{
    (void)state;
    assert_int_equal(confined("fake", "auto", tries_files), PASSED);
}

static void test_calls_that_no_server_makes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(confined("fake", "auto", tries_calls), PASSED);
    assert_int_equal(confined("process", "auto", tries_calls), PASSED);
}

static void test_programs_are_started_with_launcher_process_only(void **state)
{
    (void)state;
    if (landlock_abi() >= LANDLOCK_ABI_MIN || seccomp_available())
        assert_int_equal(confined("fake", "auto", tries_a_program), PASSED);
    assert_int_equal(confined("process", "auto", starts_a_program), PASSED);
}

static void test_no_capability_is_kept_that_is_not_needed(void **state)
{
    (void)state;
    assert_int_equal(confined("fake", "auto", looks_at_itself), PASSED);
    assert_int_equal(confined("process", "auto", looks_at_what_is_kept), PASSED);
}

static void test_new_settings_that_need_more_take_a_new_start(void **state)
{
    (void)state;
    assert_int_equal(confined("fake", "auto", takes_new_settings), PASSED);
}

static void test_strict_is_refused_where_the_kernel_lacks_it(void **state)
{
    bool complete = landlock_abi() >= LANDLOCK_ABI_MIN && seccomp_available();

    (void)state;
    assert_int_equal(confined("fake", "strict", tries_files), complete ? PASSED : 100);
}

static int opens_everything(const struct confinement *confinement)
{
    return !confinement->seccomp && opens(outside, "file", O_RDONLY) ? PASSED : 1;
}

static void test_off_gives_up_nothing(void **state)
{
    (void)state;
    assert_int_equal(confined("fake", "off", opens_everything), PASSED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_files_that_no_setting_names_are_closed),
    cmocka_unit_test(test_calls_that_no_server_makes_are_refused),
    cmocka_unit_test(test_programs_are_started_with_launcher_process_only),
    cmocka_unit_test(test_no_capability_is_kept_that_is_not_needed),
    cmocka_unit_test(test_new_settings_that_need_more_take_a_new_start),
    cmocka_unit_test(test_strict_is_refused_where_the_kernel_lacks_it),
    cmocka_unit_test(test_off_gives_up_nothing),
};

int main(void)
{
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
