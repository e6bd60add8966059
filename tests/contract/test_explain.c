/* SPDX-License-Identifier: Apache-2.0 */
/* What a launcher says it would start, beside what it does start. */
#include <string.h>

#include "base/alloc.h"
#include "kubernetes_standin.h"
#include "launcher_world.h"

#define KEY "sk-nobody-may-see-this"
#define PROXY "http://somebody:pass-word-1@proxy.example.com:3128"

static const struct job_spec *spec_of(struct id run, const char *script)
{
    static struct job_spec spec;

    spec = (struct job_spec){
        .run = run,
        .attempt = 1,
        .url = HOME_URL,
        .repo = "octo/hello",
        .agent = "command",
        .timeout_s = 3600,
        .script = script,
    };
    return &spec;
}

static cJSON *explain(struct world *world, struct id run, const char *script)
{
    struct err err = {0};
    cJSON *document = NULL;

    assert_ok(launcher_explain(world->launcher, spec_of(run, script), &document, &err), err);
    return document;
}

/* The operator's secrets are in the environment of every dispatchd. */
static struct world *world_with_secrets(const struct backend *backend)
{
    struct world *world;

    assert_int_equal(setenv("ANTHROPIC_API_KEY", KEY, 1), 0);
    assert_int_equal(setenv("HTTPS_PROXY", PROXY, 1), 0);
    world = world_prepare(backend);
    if (backend == &kubernetes) {
        scoped_str path = xasprintf("%s/job.yaml", world->dir);

        test_file_write(world->dir, "job.yaml",
                        "apiVersion: batch/v1\n"
                        "kind: Job\n"
                        "metadata: {labels: {team: blue}, annotations: {why: tests}}\n"
                        "spec:\n"
                        "  template:\n"
                        "    spec:\n"
                        "      nodeSelector: {disk: fast}\n"
                        "      containers:\n"
                        "        - name: runner\n"
                        "          image: registry.example.com/runner:1\n"
                        "          env:\n"
                        "            - {name: OPENAI_API_KEY, value: " KEY "}\n"
                        "            - {name: HTTPS_PROXY, value: '" PROXY "'}\n"
                        "            - {name: COLOUR, value: blue}\n");
        free(world->config.kubernetes.job_template);
        world->config.kubernetes.job_template = TAKE(path);
    }
    open_launcher(world);
    free(TAKE(world->config.kubernetes.job_template)); /* read by now */
    return world;
}

static void assert_tells_no_secret(const cJSON *document)
{
    scoped_str text = json_text(document);

    assert_null(strstr(text, KEY));
    assert_null(strstr(text, "pass-word-1"));
    assert_null(strstr(text, TOKEN));
    assert_non_null(strstr(text, EXPLAIN_SECRET));
}

static void test_nothing_is_started_by_telling(void **state)
{
    const struct backend *const backends[] = {&process, &fake, &kubernetes};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        scoped(world) world = world_with_secrets(backends[i]);
        struct id run = new_run();
        scoped_json first = explain(world, run, "end=silent");
        scoped_json again = explain(world, run, "end=silent");
        struct job_view view = {0};
        char id[ID_TEXT_SIZE];
        struct err err = {0};

        id_text(run, id);
        scoped_str ref = xasprintf("run-%s-1", id);
        assert_true(cJSON_Compare(first, again, true));
        assert_tells_no_secret(first);
        assert_ok(launcher_poll(world->launcher, ref, &view, &err), err);
        assert_int_equal(view.phase, JOB_LOST);
    }
}

/* --- kubernetes --------------------------------------------------------------------------- */

/* What an API server fills in by itself where a Job doesn't say (default_job of the stand-in).
 */
static const char *const servers_own[] = {
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.creationTimestamp",
    "metadata.generation",
    "status",
    "spec.selector",
    "spec.template.metadata.labels.batch.kubernetes.io/controller-uid",
    "spec.template.metadata.labels.batch.kubernetes.io/job-name",
    "spec.template.metadata.labels.controller-uid",
    "spec.template.metadata.labels.job-name",
    "spec.completionMode",
    "spec.completions",
    "spec.manualSelector",
    "spec.parallelism",
    "spec.podReplacementPolicy",
    "spec.suspend",
    "spec.template.metadata.creationTimestamp",
    "spec.template.spec.containers[0].imagePullPolicy",
    "spec.template.spec.containers[0].resources",
    "spec.template.spec.containers[0].terminationMessagePath",
    "spec.template.spec.containers[0].terminationMessagePolicy",
    "spec.template.spec.dnsPolicy",
    "spec.template.spec.schedulerName",
    "spec.template.spec.securityContext",
    "spec.template.spec.terminationGracePeriodSeconds",
};

static bool is_servers_own(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(servers_own); i++)
        if (strcmp(path, servers_own[i]) == 0)
            return true;
    return false;
}

/* Field by field, both ways; hidden values are only known to be there. */
static void compare(const char *path, const cJSON *told, const cJSON *made)
{
    const cJSON *member;

    if (told && made && cJSON_IsString(told) && strcmp(told->valuestring, EXPLAIN_SECRET) == 0)
        return;
    if (!told || !made || !(cJSON_IsObject(told) || cJSON_IsArray(told))) {
        scoped_str one = json_text(told);
        scoped_str other = json_text(made);

        if (!told || !made || !cJSON_Compare(told, made, true))
            fail_msg("%s: told %s, made %s", path, told ? one : "nothing",
                     made ? other : "nothing");
        return;
    }
    assert_int_equal(told->type & 0xff, made->type & 0xff);
    if (cJSON_IsArray(told)) {
        assert_int_equal(cJSON_GetArraySize(told), cJSON_GetArraySize(made));
        for (int i = 0; i < cJSON_GetArraySize(told); i++) {
            scoped_str inner = xasprintf("%s[%d]", path, i);

            compare(inner, cJSON_GetArrayItem(told, i), cJSON_GetArrayItem(made, i));
        }
        return;
    }
    cJSON_ArrayForEach(member, told)
    {
        scoped_str inner = xasprintf("%s%s%s", path, *path ? "." : "", member->string);

        compare(inner, member, json_get(made, member->string));
    }
    cJSON_ArrayForEach(member, made)
    {
        scoped_str inner = xasprintf("%s%s%s", path, *path ? "." : "", member->string);

        if (!json_get(told, member->string) && !is_servers_own(inner))
            fail_msg("%s was made and not told", inner);
    }
}

static cJSON *only_object(struct world *world, const char *kind)
{
    scoped_str path = xasprintf("/standin/objects?kind=%s", kind);
    scoped_json all = kubernetes_standin_get(world->standin, path);

    assert_int_equal(cJSON_GetArraySize(all), 1);
    return cJSON_DetachItemFromArray(all, 0);
}

static void test_the_job_told_is_the_job_made(void **state)
{
    scoped(world) world = world_with_secrets(&kubernetes);
    struct id run = new_run();
    scoped_json told = explain(world, run, NULL);
    struct err err = {0};
    scoped_str ref = NULL;

    (void)state;
    assert_ok(try_start(world, run, NULL, &ref, &err), err);
    scoped_json job = only_object(world, "jobs");
    compare("", json_get(told, "job"), job);
    scoped_json secret = only_object(world, "secrets");
    const cJSON *secret_told = json_get(told, "secret");
    assert_string_equal(json_get_str(json_get(secret_told, "metadata"), "name"),
                        json_get_str(json_get(secret, "metadata"), "name"));
    compare("metadata.labels", json_get(json_get(secret_told, "metadata"), "labels"),
            json_get(json_get(secret, "metadata"), "labels"));
    assert_string_equal(json_get_str(json_get(secret_told, "stringData"), "token"),
                        EXPLAIN_SECRET);
    assert_true(world->standin != NULL);
}

static void test_values_of_the_template_that_look_secret_are_left_out(void **state)
{
    scoped(world) world = world_with_secrets(&kubernetes);
    scoped_json told = explain(world, new_run(), NULL);
    scoped_str text = json_text(told);

    (void)state;
    assert_non_null(strstr(text, "{\"name\":\"OPENAI_API_KEY\",\"value\":\"<secret>\"}"));
    assert_non_null(strstr(text, "{\"name\":\"HTTPS_PROXY\",\"value\":\"<secret>\"}"));
    assert_non_null(strstr(text, "{\"name\":\"COLOUR\",\"value\":\"blue\"}"));
}

/* --- process ------------------------------------------------------------------------------ */

static bool is_shown(const cJSON *variable)
{
    static const char *const unknown[] = {"DISPATCH_TASK_TOKEN_FILE", NULL};
    const char *name = json_get_str(variable, "name");

    return strcmp(name, unknown[0]) != 0
           && strcmp(json_get_str(variable, "value"), EXPLAIN_SECRET) != 0;
}

static void test_the_child_told_is_the_child_sent(void **state)
{
    scoped(world) world = world_with_secrets(&process);
    static const char script[] = "env; echo cwd=$PWD; echo argc=$#; sleep 0";
    struct id run = run_doing(world, script);
    scoped_json told = explain(world, run, NULL);
    scoped_str ref = start_again(world, run, script);
    const cJSON *environment = json_get(told, "environment");
    const cJSON *variable;

    (void)state;
    (void)await_end(world, ref);
    scoped_str log = logs_of(world, ref, 65536);
    cJSON_ArrayForEach(variable, environment)
    {
        scoped_str line = xasprintf("%s=%s\n", json_get_str(variable, "name"),
                                    json_get_str(variable, "value"));
        scoped_str name = xasprintf("%s=", json_get_str(variable, "name"));

        if (!strstr(log, is_shown(variable) ? line : name))
            fail_msg("the child has no %s in:\n%s", line, log);
    }
    scoped_str cwd = xasprintf("cwd=%s\n", json_get_str(told, "cwd"));
    assert_non_null(strstr(log, cwd));
    assert_int_equal(cJSON_GetArraySize(json_get(told, "argv")), 1);
    assert_string_equal(cJSON_GetArrayItem(json_get(told, "argv"), 0)->valuestring,
                        world->config.runner);
}

/* --- fake --------------------------------------------------------------------------------- */

static void test_the_fake_tells_how_it_would_behave(void **state)
{
    scoped(world) world = world_with_secrets(&fake);
    scoped_json told = explain(world, new_run(), "end=oom run_ms=77 start=timeout");

    (void)state;
    assert_string_equal(json_get_str(told, "end"), "oom");
    assert_string_equal(json_get_str(told, "start"), "timeout");
    assert_int_equal(json_get_int(told, "run_ms", 0), 77);
}

TEST_MAIN(cmocka_unit_test(test_nothing_is_started_by_telling),
          cmocka_unit_test(test_the_job_told_is_the_job_made),
          cmocka_unit_test(test_values_of_the_template_that_look_secret_are_left_out),
          cmocka_unit_test(test_the_child_told_is_the_child_sent),
          cmocka_unit_test(test_the_fake_tells_how_it_would_behave))
