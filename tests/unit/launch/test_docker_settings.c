/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "launch/docker_amount.h"
#include "launch/docker_container.h"
#include "launch/docker_env.h"
#include "launch/docker_host.h"
#include "launch/docker_image.h"
#include "launch/docker_progress.h"

/* What operators write in the block `docker`. */

/* --- Hosts ------------------------------------------------------------------------------- */

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        const char *url;
        const char *socket;
    } cases[] = {
        {"unix:///run/docker.sock", "http://docker", "/run/docker.sock"},
        {"tcp://build.example:2375", "http://build.example:2375", NULL},
        {"tcp://build.example", "http://build.example:2375", NULL},
        {"tcp://[::1]:2375/", "http://[::1]:2375", NULL},
        {"https://build.example", "https://build.example:2376", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str text = xstrdup(cases[i].host);
        const struct config_docker settings = {.host = text};
        scoped_docker_host host = {0};
        struct err err = {0};

        assert_ok(docker_host_of(&settings, &host, &err), err);
        assert_string_equal(host.url, cases[i].url);
        if (cases[i].socket)
            assert_string_equal(host.unix_socket, cases[i].socket);
        else
            assert_null(host.unix_socket);
    }
}

static void test_hosts_that_are_none(void **state)
{
    static const char *const hosts[] = {
        "ssh://me@build.example",
        "unix://relative",
        "tcp://",
        "tcp://a b",
        "tcp://host/path",
        "tcp://user@host:1",
        "/var/run/docker.sock",
        "npipe:////./pipe/docker",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        scoped_str text = xstrdup(hosts[i]);
        const struct config_docker settings = {.host = text};
        scoped_docker_host host = {0};
        struct err err = {0};

        assert_int_equal(docker_host_of(&settings, &host, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void test_the_environment_of_dockers_own_client_counts(void **state)
{
    const struct config_docker settings = {0};
    scoped_str dir = test_dir_new();

    (void)state;
    test_file_write(dir, "cert.pem", "the certificate");
    test_file_write(dir, "key.pem", "the key");
    assert_int_equal(setenv("DOCKER_HOST", "tcp://build.example", 1), 0);
    assert_int_equal(setenv("DOCKER_TLS_VERIFY", "1", 1), 0);
    assert_int_equal(setenv("DOCKER_CERT_PATH", dir, 1), 0);
    {
        scoped_docker_host host = {0};
        struct err err = {0};

        assert_ok(docker_host_of(&settings, &host, &err), err);
        assert_string_equal(host.url, "https://build.example:2376");
        assert_string_equal(host.cert_pem, "the certificate");
        assert_string_equal(secret_reveal(host.key_pem), "the key");
        assert_false(docker_host_is_exposed(&host));
    }
    unsetenv("DOCKER_HOST");
    unsetenv("DOCKER_TLS_VERIFY");
    unsetenv("DOCKER_CERT_PATH");
    {
        scoped_docker_host host = {0};
        struct err err = {0};

        assert_ok(docker_host_of(&settings, &host, &err), err);
        assert_string_equal(host.unix_socket, "/var/run/docker.sock");
    }
    test_dir_remove(dir);
}

/* --- Amounts ----------------------------------------------------------------------------- */

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"1048576", 1048576},
        {"512m", 512 << 20},
        {"512M", 512 << 20},
        {"64kb", 64 << 10},
        {"1.5GiB", INT64_C(3) << 29},
        {"4g", INT64_C(4) << 30},
        {"10b", 10},
        {NULL, 0},
        {"4Gi", INT64_C(4) << 30},
    };
    static const char *const none[] = {"",    "m",      "-1m",          "1e3", "0x10", "1z",
                                       "1mm", "1.2.3g", "99999999999t", "nan", "inf"};
    struct err err = {0};
    int64_t bytes;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_ok(docker_amount_bytes("memory", cases[i].text, &bytes, &err), err);
        assert_int_equal(bytes, cases[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_int_equal(docker_amount_bytes("memory", none[i], &bytes, &err), -1);
    assert_string_equal(err.text, "docker.memory: expected a size as 512m or 4g");
}

static void test_ulimits(void **state)
{
    static const char *const none[] = {"nofile",
                                       "nofile=",
                                       "=1",
                                       "nofile=2:1",
                                       "nofile=1x",
                                       "NOFILE=1",
                                       "nofile=99999999999999999999"};
    scoped_json limits = NULL;
    scoped_str text = NULL;
    struct err err = {0};

    (void)state;
    assert_ok(docker_amount_ulimits("ulimits", "nofile=1024, nproc=100:200", &limits, &err),
              err);
    text = json_text(limits);
    assert_string_equal(text, "[{\"Name\":\"nofile\",\"Soft\":1024,\"Hard\":1024},"
                              "{\"Name\":\"nproc\",\"Soft\":100,\"Hard\":200}]");
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        cJSON *refused = NULL;

        assert_int_equal(docker_amount_ulimits("ulimits", none[i], &refused, &err), -1);
        assert_null(refused);
    }
}

/* --- Images ------------------------------------------------------------------------------ */

static void test_names_of_images(void **state)
{
    static const struct {
        const char *name;
        const char *repository;
        const char *tag;
    } cases[] = {
        {"runner", "runner", "latest"},
        {"runner:1", "runner", "1"},
        {"registry:5000/a/b", "registry:5000/a/b", "latest"},
        {"registry:5000/a/b:2", "registry:5000/a/b", "2"},
        {"a/b@sha256:0123", "a/b", "sha256:0123"},
        {"runner:", "runner", "latest"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str repository = NULL;
        scoped_str tag = NULL;

        docker_image_split(cases[i].name, &repository, &tag);
        assert_string_equal(repository, cases[i].repository);
        assert_string_equal(tag, cases[i].tag);
    }
}

static void test_a_pulls_progress(void **state)
{
    static const char layer[] =
        "{\"status\": \"Pull complete\", \"id\": \"0123\", \"progressDetail\": {}}";
    static const char failed[] =
        "{\"errorDetail\": {\"message\": \"manifest\\nunknown\"}, \"error\": \"manifest\\n"
        "unknown\"}";
    static const char *const odd[] = {"", "not JSON", "[]", "{\"status\": 7}",
                                      "{\"id\": \"x\"}"};
    struct err err = {0};
    char said[256];

    (void)state;
    assert_ok(docker_progress_read(layer, strlen(layer), said, &err), err);
    assert_string_equal(said, "0123: Pull complete");
    assert_int_equal(docker_progress_read(failed, strlen(failed), said, &err), -1);
    assert_string_equal(err.text, "manifest unknown");
    assert_string_equal(err.code, "image_pull");
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        assert_ok(docker_progress_read(odd[i], strlen(odd[i]), said, &err), err);
        assert_string_equal(said, "");
    }
}

/* --- The environment --------------------------------------------------------------------- */

static void test_an_environment_file(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/env", dir);
    scoped_docker_env env = {0};
    scoped_json list = NULL;
    scoped_str text = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(setenv("TEST_OF_OURS", "inherited", 1), 0);
    test_file_write(dir, "env", "# comment\n\nA=1\r\n  B=two words=x\nA=2\nTEST_OF_OURS\nC=\n");
    assert_ok(docker_env_load(&env, path, &err), err);
    unsetenv("TEST_OF_OURS");
    list = docker_env_json(&env);
    text = json_text(list);
    assert_string_equal(text, "[\"A=1\",\"B=two words=x\",\"TEST_OF_OURS=inherited\",\"C=\"]");
    test_dir_remove(dir);
}

static void test_a_wrong_line_is_named_and_not_shown(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/env", dir);
    scoped_docker_env env = {0};
    struct err err = {0};

    (void)state;
    test_file_write(dir, "env", "A=1\nthe secret key=2\n");
    assert_int_equal(docker_env_load(&env, path, &err), -1);
    assert_null(strstr(err.text, "secret"));
    assert_non_null(strstr(err.text, "env:2: expected NAME=value or NAME"));
    test_dir_remove(dir);
}

/* --- The template ------------------------------------------------------------------------ */

static void test_each_database_has_a_namespace_of_its_own(void **state)
{
    struct config config = {.docker = {.image = xstrdup("runner:1")}};
    scoped_str first = NULL;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        scoped_str database = xasprintf("/var/lib/%d.db", i);
        scoped(docker_template) template = NULL;

        config.database = database;
        template = docker_template_new(&config, &err);
        assert_made(template, err);
        if (first)
            assert_string_not_equal(first, docker_template_namespace(template));
        free(first);
        first = xstrdup(docker_template_namespace(template));
    }
    free(config.docker.image);
}

static void test_a_wrong_namespace_is_refused(void **state)
{
    static const char *const names[] = {"", "a b", "a/b", "a\"b", "a=b"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct config config = {
            .docker = {.image = xstrdup("runner:1"), .namespace = xstrdup(names[i])}};
        struct err err = {0};

        assert_null(docker_template_new(&config, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        free(config.docker.image);
        free(config.docker.namespace);
    }
}

static char *host_config(const char *network, const char *work_size, bool is_podman)
{
    struct config config = {.docker = {.image = xstrdup("runner:1"),
                                       .network = xstrdup(network),
                                       .work_size = xstrdup(work_size)}};
    const struct job_spec spec = {.attempt = 1, .url = "http://home", .repo = ""};
    struct err err = {0};
    scoped(docker_template) template = docker_template_new(&config, &err);
    scoped_json container = NULL;

    assert_made(template, err);
    container = docker_container_make(template, &spec, is_podman);
    free(config.docker.image);
    free(config.docker.network);
    free(config.docker.work_size);
    return json_text(json_get(container, "HostConfig"));
}

static void test_the_host_has_a_name_where_it_can_have_one(void **state)
{
    scoped_str docker = host_config(NULL, NULL, false);
    scoped_str shared = host_config("host", NULL, false);
    scoped_str podman = host_config(NULL, NULL, true);

    (void)state;
    assert_non_null(strstr(docker, "\"host.docker.internal:host-gateway\""));
    assert_null(strstr(shared, "host-gateway"));
    assert_null(strstr(podman, "host-gateway"));
}

static void test_work_is_a_volume_or_a_tmpfs(void **state)
{
    scoped_str volume = host_config(NULL, NULL, false);
    scoped_str tmpfs = host_config(NULL, "1m", false);

    (void)state;
    assert_non_null(strstr(volume, "{\"Type\":\"volume\",\"Target\":\"/work\"}"));
    assert_null(strstr(tmpfs, "\"Target\":\"/work\""));
    assert_non_null(strstr(tmpfs, "\"/work\":\"rw,nosuid,nodev,exec,mode=1777,size=1048576\""));
}

TEST_MAIN(cmocka_unit_test(test_hosts), cmocka_unit_test(test_hosts_that_are_none),
          cmocka_unit_test(test_the_environment_of_dockers_own_client_counts),
          cmocka_unit_test(test_sizes), cmocka_unit_test(test_ulimits),
          cmocka_unit_test(test_names_of_images), cmocka_unit_test(test_a_pulls_progress),
          cmocka_unit_test(test_an_environment_file),
          cmocka_unit_test(test_a_wrong_line_is_named_and_not_shown),
          cmocka_unit_test(test_each_database_has_a_namespace_of_its_own),
          cmocka_unit_test(test_a_wrong_namespace_is_refused),
          cmocka_unit_test(test_the_host_has_a_name_where_it_can_have_one),
          cmocka_unit_test(test_work_is_a_volume_or_a_tmpfs))
