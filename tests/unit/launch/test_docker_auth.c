/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "crypto/digest.h"
#include "launch/docker_auth.h"
#include "json/json.h"

/* Which credentials a registry file has for an image, and what the engine is handed of them. */

/* base64 of someone:pass:word, of other:secret, of hub:secret */
#define SOMEONE "{\"auth\": \"c29tZW9uZTpwYXNzOndvcmQ=\"}"
#define OTHER "{\"auth\": \"b3RoZXI6c2VjcmV0\"}"
#define HUB "{\"auth\": \"aHViOnNlY3JldA==\"}"

struct place {
    char *dir;
    char *path;
};

static int make_place(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    json_setup();
    place->dir = test_dir_new();
    place->path = xasprintf("%s/auth.json", place->dir);
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    struct place *place = *state;

    test_dir_remove(place->dir);
    free(place->dir);
    free(place->path);
    free(place);
    return 0;
}

static int find(struct place *place, const char *file, const char *repository,
                struct secret **out, struct err *err)
{
    test_file_write(place->dir, "auth.json", file);
    *err = (struct err){0};
    return docker_auth_find(place->path, repository, out, err);
}

/* What the engine reads out of the header; NULL: it gets none. */
static cJSON *header(struct place *place, const char *file, const char *repository)
{
    scoped(secret) secret = NULL;
    scoped_str json = NULL;
    struct err err;
    size_t size = 0;
    cJSON *value;

    assert_ok(find(place, file, repository, &secret, &err), err);
    if (!secret)
        return NULL;
    /* One that reads padded base64 takes it, too. */
    assert_int_equal(strlen(secret_reveal(secret)) % 4, 0);
    json = base64url_decode(secret_reveal(secret), &size);
    assert_non_null(json);
    value = json_parse(json, size, &err);
    assert_made(value, err);
    return value;
}

static void test_the_entry_of_the_registry_counts(void **state)
{
    static const struct {
        const char *file;
        const char *repository;
        const char *username; /* NULL: there is none for it */
        const char *address;
    } cases[] = {
        {"{\"auths\": {\"r.example\": " SOMEONE "}}", "r.example/a/b", "someone", "r.example"},
        {"{\"auths\": {\"r.example:5000\": " SOMEONE "}}", "r.example:5000/a", "someone",
         "r.example:5000"},
        {"{\"auths\": {\"https://r.example/v2/\": " SOMEONE "}}", "r.example/a", "someone",
         "r.example"},
        {"{\"auths\": {\"localhost\": " SOMEONE "}}", "localhost/a", "someone", "localhost"},
        {"{\"auths\": {\"r.example\": " SOMEONE ", \"r.example/a\": " OTHER "}}",
         "r.example/a/b", "other", "r.example"},
        {"{\"auths\": {\"r.example/a\": " OTHER ", \"r.example\": " SOMEONE "}}",
         "r.example/ab/c", "someone", "r.example"},
        {"{\"auths\": {\"https://index.docker.io/v1/\": " HUB "}}", "team/app", "hub",
         "https://index.docker.io/v1/"},
        {"{\"auths\": {\"docker.io\": " HUB "}}", "alpine", "hub",
         "https://index.docker.io/v1/"},
        {"{\"auths\": {\"https://index.docker.io/v1/\": " HUB "}}", "docker.io/team/app", "hub",
         "https://index.docker.io/v1/"},
        {"{\"auths\": {\"r.example\": " SOMEONE "}}", "r.example.evil.example/a", NULL, NULL},
        {"{\"auths\": {\"r.example\": " SOMEONE "}}", "r.example:5000/a", NULL, NULL},
        {"{\"auths\": {\"r.example\": " SOMEONE "}}", "team/r.example", NULL, NULL},
        {"{\"auths\": {\"https://index.docker.io/v1/\": " HUB "}}", "r.example/a", NULL, NULL},
        {"{\"auths\": {\"\": " SOMEONE "}}", "r.example/a", NULL, NULL},
        {"{\"auths\": {}}", "r.example/a", NULL, NULL},
        {"{}", "r.example/a", NULL, NULL},
        {"{\"auths\": [\"r.example\"]}", "r.example/a", NULL, NULL},
        {"{\"auths\": {\"r.example\": \"c29tZW9uZTpwYXNz\"}}", "r.example/a", NULL, NULL},
        {"{\"auths\": {\"r.example\": {}}}", "r.example/a", NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json value = header(*state, cases[i].file, cases[i].repository);

        if (!cases[i].username) {
            if (value)
                fail_msg("%s gets credentials of %s", cases[i].repository, cases[i].file);
            continue;
        }
        assert_string_equal(json_get_str(value, "username"), cases[i].username);
        assert_string_equal(json_get_str(value, "serveraddress"), cases[i].address);
    }
}

static void test_a_password_may_have_colons(void **state)
{
    scoped_json value =
        header(*state, "{\"auths\": {\"r.example\": " SOMEONE "}}", "r.example/a");

    assert_string_equal(json_get_str(value, "password"), "pass:word");
}

static void test_name_and_password_may_be_written_out(void **state)
{
    scoped_json value = header(
        *state, "{\"auths\": {\"r.example\": {\"username\": \"a\", \"password\": \"b\"}}}",
        "r.example/a");

    assert_string_equal(json_get_str(value, "username"), "a");
    assert_string_equal(json_get_str(value, "password"), "b");
}

/* `docker login` leaves a name without a password beside it. */
static void test_a_token_goes_without_name_and_password(void **state)
{
    scoped_json value =
        header(*state,
               "{\"auths\": {\"r.example\": {\"auth\": \"PHRva2VuPjo=\", \"identitytoken\": "
               "\"the token\"}}}",
               "r.example/a");

    assert_string_equal(json_get_str(value, "identitytoken"), "the token");
    assert_string_equal(json_get_str(value, "serveraddress"), "r.example");
    assert_null(json_get_str(value, "username"));
    assert_null(json_get_str(value, "password"));
}

/* Whatever is refused of it, nothing out of the file is in the sentence. */
static void test_what_is_wrong_is_refused_without_a_quote(void **state)
{
    static const struct {
        const char *file;
        const char *complaint;
    } cases[] = {
        {"hunter2", "expected a JSON object"},
        {"[\"hunter2\"]", "expected a JSON object"},
        {"", "expected a JSON object"},
        {"{\"auths\": {\"r.example\": {\"auth\": \"hunter2!\"}}}", "expected base64"},
        {"{\"auths\": {\"r.example\": {\"auth\": \"aHVudGVyMg==\"}}}", "expected base64"},
        {"{\"auths\": {\"r.example\": {}}, \"credsStore\": \"hunter2\"}", "with a program"},
        {"{\"credHelpers\": {\"r.example\": \"hunter2\"}}", "with a program"},
    };
    struct place *place = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(secret) secret = NULL;
        struct err err;

        assert_int_equal(find(place, cases[i].file, "r.example/a", &secret, &err), -1);
        assert_null(secret);
        if (!strstr(err.text, cases[i].complaint))
            fail_msg("%s: %s", cases[i].file, err.text);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void test_programs_for_others_are_no_matter(void **state)
{
    scoped_json value = header(*state,
                               "{\"auths\": {\"r.example\": " SOMEONE
                               "}, \"credHelpers\": {\"other.example\": \"x\"}}",
                               "r.example/a");

    assert_non_null(value);
}

static void test_a_missing_file_is_said_to_be_missing(void **state)
{
    scoped(secret) secret = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(docker_auth_find("/nonexistent/auth.json", "a", &secret, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_ok(docker_auth_find(NULL, "a", &secret, &err), err);
    assert_null(secret);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

TEST_MAIN(IN_PLACE(test_the_entry_of_the_registry_counts),
          IN_PLACE(test_a_password_may_have_colons),
          IN_PLACE(test_name_and_password_may_be_written_out),
          IN_PLACE(test_a_token_goes_without_name_and_password),
          IN_PLACE(test_what_is_wrong_is_refused_without_a_quote),
          IN_PLACE(test_programs_for_others_are_no_matter),
          IN_PLACE(test_a_missing_file_is_said_to_be_missing))
