/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_template.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/job_ref.h"
#include "launch/kubernetes_job.h"
#include "launch/kubernetes_quantity.h"
#include "test.h"

/* The documents that a run becomes, from a template and the settings. */
#define TOKEN "vgvtask_this-is-the-token"

static int set_up(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

static char image[] = "example.com/runner:1";

static struct config_kubernetes settings_with_image(void)
{
    static char cpu[] = "2";
    static char memory[] = "4Gi";
    static char storage[] = "10Gi";

    return (struct config_kubernetes){
        .image = image,
        .cpu_limit = cpu,
        .memory_limit = memory,
        .ephemeral_storage_limit = storage,
        .ttl_s = 3600,
        .stop_grace_s = 30,
    };
}

/* A template from a text; NULL with the complaint. */
static struct kubernetes_template *load_text(const char *text,
                                             struct config_kubernetes settings, struct err *err)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/job.yaml", dir);
    struct kubernetes_template *template;

    test_file_write(dir, "job.yaml", text);
    settings.job_template = path;
    template = kubernetes_template_load(&settings, "runs", err);
    test_dir_remove(dir);
    return template;
}

/* What stands at "a.b[1].c"; NULL when nothing does. Keys with dots go by ~. */
static const cJSON *at(const cJSON *value, const char *path)
{
    scoped_str copy = xstrdup(path);
    char *rest = copy;

    for (char *key = strsep(&rest, "."); key && value; key = strsep(&rest, ".")) {
        char *index = strchr(key, '[');

        if (index)
            *index = '\0';
        for (char *c = key; *c; c++)
            if (*c == '~')
                *c = '.';
        value = json_get(value, key);
        if (index)
            value = cJSON_GetArrayItem(value, atoi(index + 1));
    }
    return value;
}

static const char *text_at(const cJSON *value, const char *path)
{
    const cJSON *found = at(value, path);

    return cJSON_IsString(found) ? found->valuestring : "";
}

static cJSON *job_from(const struct kubernetes_template *template, int64_t timeout_s)
{
    scoped(secret) token = secret_new(TOKEN);
    struct job_spec spec = {
        .attempt = 2,
        .url = "https://dispatch.example.com",
        .task_token = token,
        .repo = "Octo-Org/Hello.World_",
        .agent = "claude-code",
        .timeout_s = timeout_s,
    };

    assert_true(id_parse("mwrifi5awxv4iksdbllp", &spec.run));
    return kubernetes_job_make(template, &spec);
}

#define POD "spec.template.spec."
#define RUNNER POD "containers[0]."

/* --- The built-in one --------------------------------------------------------------------- */

/* https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
static void test_the_built_in_job_is_restricted(void **state)
{
    static const struct {
        const char *path;
        bool wanted;
    } flags[] = {
        {POD "securityContext.runAsNonRoot", true},
        {POD "automountServiceAccountToken", false},
        {POD "enableServiceLinks", false},
        {RUNNER "securityContext.allowPrivilegeEscalation", false},
        {RUNNER "securityContext.readOnlyRootFilesystem", true},
    };
    struct config_kubernetes settings = settings_with_image();
    struct err err = {0};
    scoped(kubernetes_template) template = kubernetes_template_load(&settings, "runs", &err);
    scoped_json job = NULL;

    (void)state;
    assert_made(template, err);
    job = job_from(template, 3600);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (!(flags[i].wanted ? cJSON_IsTrue : cJSON_IsFalse)(at(job, flags[i].path)))
            fail_msg("%s", flags[i].path);
    assert_string_equal(text_at(job, POD "securityContext.seccompProfile.type"),
                        "RuntimeDefault");
    assert_string_equal(text_at(job, RUNNER "securityContext.capabilities.drop[0]"), "ALL");
    assert_string_equal(text_at(job, POD "restartPolicy"), "Never");
    assert_string_equal(text_at(job, "spec.podReplacementPolicy"), "Failed");
    assert_int_equal(json_get_int(at(job, "spec"), "backoffLimit", -1), 0);
    assert_int_equal(json_get_int(at(job, "spec"), "activeDeadlineSeconds", -1), 3600);
    assert_int_equal(json_get_int(at(job, "spec"), "ttlSecondsAfterFinished", -1), 3600);
    assert_int_equal(
        json_get_int(at(job, "spec.template.spec"), "terminationGracePeriodSeconds", -1), 30);
    assert_string_equal(text_at(job, RUNNER "resources.limits.cpu"), "2");
    assert_string_equal(text_at(job, RUNNER "resources.limits.memory"), "4Gi");
    assert_string_equal(text_at(job, RUNNER "resources.limits.ephemeral-storage"), "10Gi");
    for (int i = 0; i < 2; i++)
        assert_string_equal(
            text_at(cJSON_GetArrayItem(at(job, POD "volumes"), i), "emptyDir.sizeLimit"),
            "10Gi");
}

static void test_name_labels_and_environment_are_the_runs(void **state)
{
    struct config_kubernetes settings = settings_with_image();
    struct err err = {0};
    scoped(kubernetes_template) template = kubernetes_template_load(&settings, "runs", &err);
    scoped_json job = NULL;
    static const char *const labels[][2] = {
        {"app~kubernetes~io/name", "dispatch-runner"},
        {"app~kubernetes~io/managed-by", "dispatchd"},
        {"dispatch~dev/run-id", "mwrifi5awxv4iksdbllp"},
        {"dispatch~dev/attempt", "2"},
        {"dispatch~dev/repo", "octo-org-hello.world"},
        {"dispatch~dev/agent", "claude-code"},
    };

    (void)state;
    assert_made(template, err);
    job = job_from(template, 3600);
    assert_string_equal(text_at(job, "metadata.name"), "run-mwrifi5awxv4iksdbllp-2");
    assert_string_equal(text_at(job, "metadata.namespace"), "runs");
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
        scoped_str on_job = xasprintf("metadata.labels.%s", labels[i][0]);
        scoped_str on_pod = xasprintf("spec.template.%s", on_job);

        assert_string_equal(text_at(job, on_job), labels[i][1]);
        assert_string_equal(text_at(job, on_pod), labels[i][1]);
    }
    assert_string_equal(text_at(job, "metadata.annotations.dispatch~dev/repository"),
                        "Octo-Org/Hello.World_");
    assert_string_equal(text_at(job, RUNNER "env[0].value"), "https://dispatch.example.com");
    assert_string_equal(text_at(job, RUNNER "env[1].value"), "mwrifi5awxv4iksdbllp");
    assert_string_equal(text_at(job, RUNNER "env[2].value"), "2");
    assert_string_equal(text_at(job, RUNNER "env[3].name"), "DISPATCH_TASK_TOKEN");
    assert_string_equal(text_at(job, RUNNER "env[3].valueFrom.secretKeyRef.name"),
                        "run-mwrifi5awxv4iksdbllp-2");
}

static void test_the_secret_goes_with_the_job(void **state)
{
    struct config_kubernetes settings = settings_with_image();
    struct err err = {0};
    scoped(kubernetes_template) template = kubernetes_template_load(&settings, "runs", &err);
    scoped(secret) token = secret_new(TOKEN);
    struct job_spec spec = {.attempt = 1, .url = "http://x", .task_token = token};
    cJSON *secret;

    (void)state;
    assert_made(template, err);
    secret = kubernetes_job_secret(template, &spec, "the-uid");
    assert_string_equal(text_at(secret, "stringData.token"), TOKEN);
    assert_string_equal(text_at(secret, "metadata.ownerReferences[0].uid"), "the-uid");
    assert_string_equal(text_at(secret, "metadata.ownerReferences[0].kind"), "Job");
    kubernetes_job_secret_free(secret);
}

static void test_settings_reach_the_job(void **state)
{
    struct config_kubernetes settings = settings_with_image();
    struct err err = {0};
    scoped_json job = NULL;
    char account[] = "runner-account";
    char class[] = "gvisor";
    char priority[] = "low";
    char secret[] = "model-keys";
    char queue[] = "runs-queue";
    char policy[] = "Always";

    (void)state;
    settings.service_account = account;
    settings.runtime_class = class;
    settings.priority_class = priority;
    settings.env_secret = secret;
    settings.queue_name = queue;
    settings.image_pull_policy = policy;
    scoped(kubernetes_template) template = kubernetes_template_load(&settings, "runs", &err);
    assert_made(template, err);
    job = job_from(template, 3600);
    assert_string_equal(text_at(job, POD "serviceAccountName"), "runner-account");
    assert_string_equal(text_at(job, POD "runtimeClassName"), "gvisor");
    assert_string_equal(text_at(job, POD "priorityClassName"), "low");
    assert_string_equal(text_at(job, RUNNER "envFrom[0].secretRef.name"), "model-keys");
    assert_string_equal(text_at(job, RUNNER "imagePullPolicy"), "Always");
    assert_string_equal(text_at(job, "metadata.labels.kueue~x-k8s~io/queue-name"),
                        "runs-queue");
    assert_true(cJSON_IsTrue(at(job, "spec.suspend")));
}

/* --- The operator's ----------------------------------------------------------------------- */

#define HEAD "apiVersion: batch/v1\nkind: Job\n"

static void test_what_the_template_says_stays(void **state)
{
    struct err err = {0};
    scoped(kubernetes_template) template =
        load_text(HEAD "metadata:\n  labels: {team: red, dispatch.dev/run-id: forged}\n"
                       "  annotations: {note: hello}\n"
                       "spec:\n  activeDeadlineSeconds: 60\n  ttlSecondsAfterFinished: 5\n"
                       "  template:\n    metadata: {labels: {tier: low}}\n    spec:\n"
                       "      terminationGracePeriodSeconds: 7\n"
                       "      containers:\n      - name: helper\n        image: h:1\n"
                       "      - name: runner\n        image: own:2\n        env:\n"
                       "        - {name: EXTRA, value: $(DISPATCH_RUN_ID)}\n"
                       "        - {name: DISPATCH_URL, value: http://elsewhere}\n"
                       "        resources: {requests: {memory: 64Gi}}\n",
                  settings_with_image(), &err);
    scoped_json job = NULL;
    const cJSON *runner;

    (void)state;
    assert_made(template, err);
    assert_string_equal(kubernetes_template_container(template), "runner");
    job = job_from(template, 3600);
    runner = at(job, POD "containers[1]");
    assert_string_equal(text_at(job, "metadata.labels.team"), "red");
    assert_string_equal(text_at(job, "metadata.labels.dispatch~dev/run-id"),
                        "mwrifi5awxv4iksdbllp");
    assert_string_equal(text_at(job, "metadata.annotations.note"), "hello");
    assert_string_equal(text_at(job, "spec.template.metadata.labels.tier"), "low");
    assert_int_equal(json_get_int(at(job, "spec"), "activeDeadlineSeconds", -1), 60);
    assert_int_equal(json_get_int(at(job, "spec"), "ttlSecondsAfterFinished", -1), 5);
    assert_string_equal(text_at(runner, "image"), "own:2");
    assert_string_equal(text_at(runner, "env[0].value"), "https://dispatch.example.com");
    assert_string_equal(text_at(runner, "env[4].name"), "EXTRA");
    assert_int_equal(cJSON_GetArraySize(at(runner, "env")), 5);
    /* Our limit of 4Gi is left out where the template asks for 64Gi. */
    assert_null(at(runner, "resources.limits.memory"));
    assert_string_equal(text_at(runner, "resources.limits.cpu"), "2");
    assert_null(at(job, POD "containers[0].resources"));
}

static void test_the_earlier_deadline_counts(void **state)
{
    struct err err = {0};
    scoped(kubernetes_template) template =
        load_text(HEAD "spec:\n  activeDeadlineSeconds: 60\n  template: {spec: {containers: "
                       "[{name: x}]}}\n",
                  settings_with_image(), &err);
    scoped_json job = NULL;

    (void)state;
    assert_made(template, err);
    job = job_from(template, 30);
    assert_int_equal(json_get_int(at(job, "spec"), "activeDeadlineSeconds", -1), 30);
}

static void test_json_is_a_template_as_well(void **state)
{
    struct err err = {0};
    scoped(kubernetes_template) template = load_text(
        "{\"apiVersion\": \"batch/v1\", \"kind\": \"Job\",\n \"spec\": {\"template\": "
        "{\"spec\": {\"containers\": [{\"name\": \"x\"}]}}}}\n",
        settings_with_image(), &err);

    (void)state;
    assert_made(template, err);
    assert_string_equal(kubernetes_template_container(template), "x");
}

static void test_a_bad_template_is_refused_with_its_place(void **state)
{
#define SPEC(inner) HEAD "spec:\n  template:\n    spec:\n" inner
#define CONTAINER(inner) SPEC("      containers:\n      - name: runner\n" inner)
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"apiVersion: v1\nkind: Job\n", "job.yaml:1: apiVersion: must be batch/v1"},
        {"apiVersion: batch/v1\nkind: CronJob\n", "job.yaml:2: kind: must be Job"},
        {"kind: Job\n", "apiVersion: required"},
        {"- a\n", "expected a Job"},
        {HEAD, "spec: required"},
        {HEAD "spec: 3\n", "job.yaml:3: spec: expected an object"},
        {HEAD "spec: {}\n", "job.yaml:3: spec.template: required"},
        {HEAD "spec:\n  template: {}\n", "job.yaml:4: spec.template.spec: required"},
        {SPEC("      a: b\n"), "job.yaml:5: spec.template.spec.containers: required"},
        {SPEC("      containers: []\n"), "spec.template.spec.containers: expected a list"},
        {SPEC("      containers:\n      - image: x\n"),
         "job.yaml:7: spec.template.spec.containers[0].name: required"},
        {SPEC("      containers: [{name: a}, {name: b}]\n"), "must be named \"runner\""},
        {CONTAINER(""), "job.yaml:7: spec.template.spec.containers[0].image: required"},
        {CONTAINER("        image: 3\n"),
         "job.yaml:8: spec.template.spec.containers[0].image: expected text"},
        {CONTAINER("        image: x\n        env: {A: b}\n"),
         "job.yaml:9: spec.template.spec.containers[0].env: expected a list"},
        {CONTAINER("        image: x\n        env: [{value: b}]\n"),
         "spec.template.spec.containers[0].env[0].name: required"},
        {CONTAINER("        image: x\n        resources: {limits: 3}\n"),
         "spec.template.spec.containers[0].resources.limits: expected an object"},
        {CONTAINER("        image: x\n      restartPolicy: OnFailure\n"),
         "job.yaml:9: spec.template.spec.restartPolicy: must be Never"},
        {HEAD "spec:\n  backoffLimit: 6\n  template: {spec: {containers: [{name: a}]}}\n",
         "job.yaml:4: spec.backoffLimit: must be 0"},
        {HEAD "spec:\n  parallelism: 2\n  template: {spec: {containers: [{name: a}]}}\n",
         "spec.parallelism: must be 1"},
        {HEAD "spec:\n  selector: {}\n  template: {spec: {containers: [{name: a}]}}\n",
         "spec.selector: must be left out"},
        {HEAD "spec:\n  suspend: true\n  template: {spec: {containers: [{name: a}]}}\n",
         "spec.suspend: must be left out"},
        {HEAD "spec:\n  activeDeadlineSeconds: soon\n  template: {spec: {containers: [{name: "
              "a}]}}\n",
         "spec.activeDeadlineSeconds: expected a number of seconds"},
        {HEAD "metadata:\n  namespace: other\nspec: {}\n",
         "job.yaml:4: metadata.namespace: must be runs"},
        {HEAD "metadata:\n  labels: {a: 3}\nspec: {}\n",
         "job.yaml:4: metadata.labels: expected texts"},
        {"apiVersion: [\n", "job.yaml:"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config_kubernetes settings = settings_with_image();
        struct err err = {0};
        struct kubernetes_template *template;

        settings.image = NULL;
        template = load_text(cases[i].text, settings, &err);
        if (template)
            fail_msg("accepted: %s", cases[i].text);
        if (err.kind != ERR_INVALID || !strstr(err.text, cases[i].complaint))
            fail_msg("%s\ncomplained: %s", cases[i].text, err.text);
    }
}

static void test_settings_that_cannot_be_are_refused(void **state)
{
    char bad_name[] = "No Such Name";
    char apples[] = "12 apples";
    char more[] = "5Gi";
    char often[] = "Sometimes";
    struct config_kubernetes cases[5];
    static const char *const complaints[] = {
        "kubernetes.namespace: expected a name", "kubernetes.cpu_limit: expected a quantity",
        "kubernetes.memory_limit: less than the request",
        "kubernetes.image_pull_policy: expected Always", "kubernetes.image: required"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cases[i] = settings_with_image();
    cases[0].namespace = bad_name;
    cases[1].cpu_limit = apples;
    cases[2].memory_request = more;
    cases[3].image_pull_policy = often;
    cases[4].image = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        assert_null(kubernetes_template_load(&cases[i], "runs", &err));
        assert_non_null(strstr(err.text, complaints[i]));
    }
}

/* --- Small things ---------------------------------------------------------------------------
 */

static void test_labels_are_made_valid(void **state)
{
    static const char *const cases[][2] = {
        {"octo/hello", "octo-hello"},
        {"Octo/Hello.World", "octo-hello.world"},
        {"/-x-/", "x"},
        {"\xc3\xa9t\xc3\xa9", "t"},
        {"...", ""},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "012345678901234567890123456789012345678901234567890123456789012"},
        {"012345678901234567890123456789012345678901234567890123456789/./x",
         "012345678901234567890123456789012345678901234567890123456789"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char slug[KUBERNETES_LABEL_SIZE];

        kubernetes_job_label(cases[i][0], slug);
        assert_string_equal(slug, cases[i][1]);
    }
}

static void test_quantities(void **state)
{
    static const struct {
        const char *text;
        double amount;
    } good[] = {{"1", 1},      {"500m", 0.5}, {"1.5", 1.5},   {".5", 0.5},
                {"2Ki", 2048}, {"1e3", 1000}, {"1E", 1e18},   {"5E-1", 0.5},
                {"+3", 3},     {"0", 0},      {"1.k", 1000.0}};
    static const char *const bad[] = {"",    "m",    "-1",    "1 Gi", "1Gb", "1ee3", "1e",
                                      "0x1", "1e99", "1.2.3", ".",    "Gi",  "1e+"};
    double amount;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(kubernetes_quantity_parse(good[i].text, &amount));
        if (amount < good[i].amount * 0.999999 || amount > good[i].amount * 1.000001)
            fail_msg("%s is %f", good[i].text, amount);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (kubernetes_quantity_parse(bad[i], &amount))
            fail_msg("accepted \"%s\"", bad[i]);
}

static void test_an_event_is_about_the_job(void **state)
{
    const struct kubernetes_job_event event = {
        .namespace = "runs",
        .job = "run-x-1",
        .uid = "u",
        .reason = "Failed",
        .sentence = "it failed",
        .at_ms = 1767225600123,
        .number = 0xabc,
    };
    scoped_json json = kubernetes_job_event_make(&event);

    (void)state;
    assert_string_equal(text_at(json, "metadata.name"), "run-x-1.0000000000000abc");
    assert_string_equal(text_at(json, "involvedObject.uid"), "u");
    assert_string_equal(text_at(json, "type"), "Warning");
    assert_string_equal(text_at(json, "firstTimestamp"), "2026-01-01T00:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_built_in_job_is_restricted),
        cmocka_unit_test(test_name_labels_and_environment_are_the_runs),
        cmocka_unit_test(test_the_secret_goes_with_the_job),
        cmocka_unit_test(test_settings_reach_the_job),
        cmocka_unit_test(test_what_the_template_says_stays),
        cmocka_unit_test(test_the_earlier_deadline_counts),
        cmocka_unit_test(test_json_is_a_template_as_well),
        cmocka_unit_test(test_a_bad_template_is_refused_with_its_place),
        cmocka_unit_test(test_settings_that_cannot_be_are_refused),
        cmocka_unit_test(test_labels_are_made_valid),
        cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_an_event_is_about_the_job),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, set_up, NULL);
}
