/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "yaml/yaml.h"

static struct yaml *parse(const char *text, struct err *err)
{
    return yaml_parse("c.yaml", text, strlen(text), err);
}

static void assert_means(const char *text, const char *json)
{
    struct err err = {0};
    scoped(yaml) yaml = parse(text, &err);
    scoped_str got = NULL;

    if (!yaml)
        fail_msg("%s, from:\n%s", err.text, text);
    got = json_text(yaml_root(yaml));
    assert_string_equal(got, json);
}

static void assert_refused(const char *text, size_t size, const char *complaint)
{
    struct err err = {0};
    scoped(yaml) yaml = yaml_parse("c.yaml", text, size, &err);

    if (yaml)
        fail_msg("taken, though it should end in \"%s\":\n%.60s", complaint, text);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.text, complaint);
}

static void test_documents_become_json_values(void **state)
{
    (void)state;
    assert_means("listen: 127.0.0.1:5000\n"
                 "limits:\n"
                 "  workers: 4   # in flight\n"
                 "  share: 0.5\n"
                 "keys: [a, 'b', \"c\\n\"]\n"
                 "list:\n"
                 "- name: x\n"
                 "  on: true\n"
                 "- ~\n"
                 "text: |\n"
                 "  one\n"
                 "  two\n",
                 "{\"listen\":\"127.0.0.1:5000\",\"limits\":{\"workers\":4,\"share\":0.5},"
                 "\"keys\":[\"a\",\"b\",\"c\\n\"],\"list\":[{\"name\":\"x\",\"on\":true},null],"
                 "\"text\":\"one\\ntwo\\n\"}");
    assert_means("{\"a\": {\"b\": [1, 2]}}", "{\"a\":{\"b\":[1,2]}}");
    assert_means("- 1\n- 2\n", "[1,2]");
    assert_means("\xef\xbb\xbf"
                 "a: 1\n",
                 "{\"a\":1}");
    assert_means("%YAML 1.1\n---\na: 1\n...\n", "{\"a\":1}");
}

static void test_an_empty_document_is_an_empty_object(void **state)
{
    (void)state;
    assert_means("", "{}");
    assert_means("\n# nothing yet\n", "{}");
    assert_means("---\n", "{}");
    assert_means("~", "{}");
}

static void test_plain_scalars_follow_the_core_schema(void **state)
{
    static const struct {
        const char *scalar;
        const char *json;
    } cases[] = {
        {"true", "true"},       {"True", "true"},
        {"TRUE", "true"},       {"tRUE", "\"tRUE\""},
        {"false", "false"},     {"null", "null"},
        {"Null", "null"},       {"~", "null"},
        {"", "null"},           {"yes", "\"yes\""},
        {"no", "\"no\""},       {"on", "\"on\""},
        {"off", "\"off\""},     {"y", "\"y\""},
        {"12", "12"},           {"-12", "-12"},
        {"+12", "12"},          {"0", "0"},
        {"1.5", "1.5"},         {"1.", "1"},
        {".5", "0.5"},          {"-1.5e3", "-1500"},
        {"1e3", "1000"},        {"1e", "\"1e\""},
        {".", "\".\""},         {"+", "\"+\""},
        {"1.2.3", "\"1.2.3\""}, {"1_000", "\"1_000\""},
        {"0x1f", "\"0x1f\""},   {"0o17", "\"0o17\""},
        {".inf", "\".inf\""},   {".nan", "\".nan\""},
        {"12:30", "\"12:30\""}, {"nan", "\"nan\""},
        {"inf", "\"inf\""},     {"2026-01-02", "\"2026-01-02\""},
        {"'12'", "\"12\""},     {"\"true\"", "\"true\""},
        {"'~'", "\"~\""},       {"''", "\"\""},
        {"<<", "\"<<\""},       {"1 2", "\"1 2\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str text = xasprintf("k: %s\n", cases[i].scalar);
        scoped_str json = xasprintf("{\"k\":%s}", cases[i].json);

        assert_means(text, json);
    }
}

static void test_each_value_knows_its_line(void **state)
{
    struct err err = {0};
    scoped(yaml) yaml = parse("# first\n"
                              "a: 1\n"
                              "b:\n"
                              "  c: x\n"
                              "  d:\n"
                              "    - 1\n"
                              "    - e: 2\n"
                              "f: {g: 1,\n"
                              "    h: 2}\n",
                              &err);
    scoped_json stranger = jint(1);
    const cJSON *root;
    const cJSON *b;
    const cJSON *list;

    (void)state;
    assert_made(yaml, err);
    root = yaml_root(yaml);
    b = json_get(root, "b");
    list = json_get(b, "d");
    assert_string_equal(yaml_name(yaml), "c.yaml");
    assert_int_equal(yaml_line(yaml, root), 2);
    assert_int_equal(yaml_line(yaml, json_get(root, "a")), 2);
    assert_int_equal(yaml_line(yaml, b), 3);
    assert_int_equal(yaml_line(yaml, json_get(b, "c")), 4);
    assert_int_equal(yaml_line(yaml, list), 5);
    assert_int_equal(yaml_line(yaml, list->child), 6);
    assert_int_equal(yaml_line(yaml, list->child->next), 7);
    assert_int_equal(yaml_line(yaml, json_get(root, "f")), 8);
    assert_int_equal(yaml_line(yaml, json_get(json_get(root, "f"), "h")), 9);
    assert_int_equal(yaml_line(yaml, stranger), 0);
    assert_int_equal(yaml_line(yaml, NULL), 0);
}

static void test_what_we_do_not_support_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"a: &x 1\n", "c.yaml:1: anchors (&name) are not supported"},
        {"a: 1\nb: &x [1]\n", "c.yaml:2: anchors (&name) are not supported"},
        {"a: &x {b: 1}\n", "c.yaml:1: anchors (&name) are not supported"},
        {"&k a: 1\n", "c.yaml:1: anchors (&name) are not supported"},
        {"a: *x\n", "c.yaml:1: aliases (*name) are not supported"},
        {"a: 1\n<<: *x\n", "c.yaml:2: aliases (*name) are not supported"},
        {"a: !!str 1\n", "c.yaml:1: tags (!name) are not supported"},
        {"a: !x\n  b: 1\n", "c.yaml:1: tags (!name) are not supported"},
        {"a: ! 1\n", "c.yaml:1: tags (!name) are not supported"},
        {"- !!python/object x\n", "c.yaml:1: tags (!name) are not supported"},
        {"a: 1\n---\nb: 2\n", "c.yaml:2: more than one document"},
        {"a: 1\nb: 2\na: 3\n", "c.yaml:3: key \"a\" is there twice"},
        {"a:\n  b: 1\n  \"b\": 2\n", "c.yaml:3: key \"b\" is there twice"},
        {"[1, 2]: 3\n", "c.yaml:1: a key must be plain text"},
        {"? {a: 1}\n: 3\n", "c.yaml:1: a key must be plain text"},
        {"'': 3\n", "c.yaml:1: a key can't be empty"},
        {"a: \"x\\0y\"\n", "c.yaml:1: a string can't hold NUL or what isn't UTF-8"},
        {"a: 1e999\n", "c.yaml:1: number out of range"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].complaint);
}

static void test_what_is_not_yaml_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        int line;
    } cases[] = {
        {"a: [1\n", 2},           {"a: 1\n b: 2\n", 2},
        {"a: 'x\n", 2},           {"a: 1\n\tb: 2\n", 2},
        {"{a: 1}}\n", 1},         {"a: \"\\ud800\"\n", 1},
        {"a: \"\\q\"\n", 1},      {"- a\nb: 1\n", 2},
        {"a: 1\nb: x\x01y\n", 2}, {"%YAML 3.0\n---\na\n", 1},
        {"a: 1\nb: `x`\n", 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_str start = xasprintf("c.yaml:%d: ", cases[i].line);

        assert_null(parse(cases[i].text, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (strncmp(err.text, start, strlen(start)) != 0)
            fail_msg("\"%s\" is not about line %d of:\n%s", err.text, cases[i].line,
                     cases[i].text);
        assert_true(strlen(err.text) > strlen(start));
    }
}

static void test_bytes_that_are_not_text_are_refused(void **state)
{
    (void)state;
    assert_refused("a: \xff\n", 5, "c.yaml:1: a byte that isn't UTF-8 text");
    assert_refused("a: 1\nb: \xed\xa0\x80\n", 12, "c.yaml:2: a byte that isn't UTF-8 text");
    assert_refused("a: 1\n\0: 2\n", 10, "c.yaml:2: a byte that isn't UTF-8 text");
    assert_refused("\xff\xfe"
                   "a\0",
                   4, "c.yaml:1: a byte that isn't UTF-8 text");
}

static void test_nesting_ends_at_its_limit(void **state)
{
    enum { MANY = 200000 };
    char *flow = xcalloc(1, MANY + 1);
    char *block = xcalloc(1, MANY + 1);
    struct err err = {0};
    struct yaml *yaml;

    (void)state;
    memset(flow, '[', JSON_DEPTH_MAX);
    memset(flow + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    yaml = parse(flow, &err);
    assert_made(yaml, err);
    yaml_free(yaml);

    memset(flow, '[', MANY);
    assert_refused(flow, MANY, "c.yaml:1: nested more than 32 levels deep");
    for (int i = 0; i + 2 <= MANY; i += 2)
        memcpy(block + i, "- ", 2);
    assert_refused(block, MANY, "c.yaml:1: nested more than 32 levels deep");
    for (int i = 0; i + 2 <= MANY; i += 2)
        memcpy(block + i, "? ", 2);
    assert_refused(block, MANY, "c.yaml:1: a key must be plain text");
    free(flow);
    free(block);
}

/* Nine levels of nine references each: 387 million values from a few hundred bytes. */
static void test_an_alias_bomb_is_refused(void **state)
{
    scoped_buf text = {0};
    struct err err = {0};

    (void)state;
    buf_append_str(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int n = 0; n < 9; n++)
            buf_printf(&text, "%s*a%d", n ? "," : "", i - 1);
        buf_append_str(&text, "]\n");
    }
    assert_null(yaml_parse("c.yaml", text.data, text.size, &err));
    assert_string_equal(err.text, "c.yaml:1: anchors (&name) are not supported");
}

/* Of a document of so many bytes, whose keys are in order. */
static int64_t cost_of(size_t size, const char *key, int line)
{
    scoped_buf text = {0};
    struct err err = {0};
    scoped(yaml) yaml = NULL;
    int64_t began_us;

    for (int i = 0; text.size < size - 32; i++)
        buf_printf(&text, "key%d: %d\n", i, i);
    began_us = test_cpu_us();
    yaml = yaml_parse("c.yaml", text.data, text.size, &err);
    assert_made(yaml, err);
    assert_int_equal(yaml_line(yaml, json_get(yaml_root(yaml), key)), line);
    return test_cpu_us() - began_us;
}

/* Of 20 times the size, comparing all pairs would cost 400 times as much. */
static void test_a_large_document_takes_no_quadratic_time(void **state)
{
    int64_t some_us = cost_of(YAML_SIZE_MAX / 20, "key1234", 1235);

    (void)state;
    assert_true(cost_of(YAML_SIZE_MAX, "key54321", 54322) < 100 * (some_us + 1));
}

static void test_a_document_too_large_is_refused(void **state)
{
    char *text = xcalloc(1, YAML_SIZE_MAX + 1);
    struct err err = {0};

    (void)state;
    memset(text, '\n', YAML_SIZE_MAX + 1);
    assert_null(yaml_parse("c.yaml", text, YAML_SIZE_MAX + 1, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    free(text);
}

static void test_files_are_read_and_missed_by_name(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str good = xasprintf("%s/good.yaml", dir);
    scoped_str bad = xasprintf("%s/bad.yaml", dir);
    scoped_str none = xasprintf("%s/none.yaml", dir);
    struct err err = {0};
    struct yaml *yaml;

    (void)state;
    test_file_write(dir, "good.yaml", "a: 1\n");
    test_file_write(dir, "bad.yaml", "a: 1\na: 2\n");
    yaml = yaml_parse_file(good, &err);
    assert_made(yaml, err);
    assert_int_equal(json_get_int(yaml_root(yaml), "a", 0), 1);
    assert_string_equal(yaml_name(yaml), good);
    yaml_free(yaml);
    assert_null(yaml_parse_file(bad, &err));
    assert_non_null(strstr(err.text, "/bad.yaml:2: key \"a\" is there twice"));
    assert_null(yaml_parse_file(none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    yaml_free(NULL);
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_documents_become_json_values),
          cmocka_unit_test(test_an_empty_document_is_an_empty_object),
          cmocka_unit_test(test_plain_scalars_follow_the_core_schema),
          cmocka_unit_test(test_each_value_knows_its_line),
          cmocka_unit_test(test_what_we_do_not_support_is_refused_with_its_line),
          cmocka_unit_test(test_what_is_not_yaml_is_refused_with_its_line),
          cmocka_unit_test(test_bytes_that_are_not_text_are_refused),
          cmocka_unit_test(test_nesting_ends_at_its_limit),
          cmocka_unit_test(test_an_alias_bomb_is_refused),
          cmocka_unit_test(test_a_large_document_takes_no_quadratic_time),
          cmocka_unit_test(test_a_document_too_large_is_refused),
          cmocka_unit_test(test_files_are_read_and_missed_by_name))
