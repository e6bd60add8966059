/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_job.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "launch/job_ref.h"

#define TOKEN_KEY "token"
#define EVENT_MESSAGE_MAX 1024

/* --- Labels --------------------------------------------------------------------------- */

void kubernetes_job_label(const char *text, char out[KUBERNETES_LABEL_SIZE])
{
    size_t length = 0;

    for (const char *c = text; *c && length < KUBERNETES_LABEL_SIZE - 1; c++) {
        unsigned char lower = (unsigned char)tolower((unsigned char)*c);
        bool alnum = lower < 0x80 && isalnum(lower);

        if (alnum || (length > 0 && (lower == '.' || lower == '_')))
            out[length++] = (char)lower;
        else if (length > 0)
            out[length++] = '-';
    }
    while (length > 0 && !isalnum((unsigned char)out[length - 1]))
        length--;
    out[length] = '\0';
}

/* In place of what stands there. */
static void set(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value)
        (void)cJSON_AddItemToObject(object, key, value);
}

static void set_slug(cJSON *labels, const char *key, const char *text)
{
    char slug[KUBERNETES_LABEL_SIZE] = "";

    if (text)
        kubernetes_job_label(text, slug);
    set(labels, key, jstr(slug[0] ? slug : NULL));
}

/* The contract's, on everything that we make. */
static void label(cJSON *object, const struct job_spec *spec)
{
    cJSON *metadata = kubernetes_template_member(object, "metadata");
    cJSON *labels = kubernetes_template_member(metadata, "labels");
    cJSON *annotations = kubernetes_template_member(metadata, "annotations");
    char run[ID_TEXT_SIZE];
    char attempt[16];

    id_text(spec->run, run);
    (void)snprintf(attempt, sizeof(attempt), "%d", spec->attempt);
    set(labels, LABEL_NAME, jstr(OUR_NAME));
    set(labels, LABEL_MANAGED_BY, jstr(OUR_MANAGER));
    set(labels, LABEL_RUN_ID, jstr(run));
    set(labels, LABEL_ATTEMPT, jstr(attempt));
    set_slug(labels, LABEL_REPO, spec->repo);
    set_slug(labels, LABEL_AGENT, spec->agent);
    set(annotations, ANNOTATION_REPOSITORY,
        jstr(spec->repo && *spec->repo ? spec->repo : NULL)); /* a blank workspace has none */
}

/* --- The environment ------------------------------------------------------------------ */

static cJSON *variable(const char *name, const char *value)
{
    return jobj({"name", jstr(name)}, {"value", jstr(value)});
}

static cJSON *token_variable(const char *secret)
{
    return jobj({"name", jstr("DISPATCH_TASK_TOKEN")},
                {"valueFrom", jobj({"secretKeyRef",
                                    jobj({"name", jstr(secret)}, {"key", jstr(TOKEN_KEY)})})});
}

static cJSON *our_environment(const struct job_spec *spec, const char *ref)
{
    char run[ID_TEXT_SIZE];
    char attempt[16];

    id_text(spec->run, run);
    (void)snprintf(attempt, sizeof(attempt), "%d", spec->attempt);
    return jarr(variable("DISPATCH_URL", spec->url), variable("DISPATCH_RUN_ID", run),
                variable("DISPATCH_ATTEMPT", attempt), token_variable(ref));
}

static bool has_name(const cJSON *list, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *there = json_get_str(item, "name");

        if (there && name && strcmp(there, name) == 0)
            return true;
    }
    return false;
}

/* Ours first, so that the template's may refer to $(DISPATCH_RUN_ID); and instead of the
 * template's of the same name. */
static void set_environment(cJSON *runner, const struct job_spec *spec, const char *ref)
{
    cJSON *env = our_environment(spec, ref);
    cJSON *theirs = cJSON_DetachItemFromObjectCaseSensitive(runner, "env");

    while (theirs && theirs->child) {
        cJSON *item = cJSON_DetachItemFromArray(theirs, 0);

        if (has_name(env, json_get_str(item, "name")))
            cJSON_Delete(item);
        else
            (void)cJSON_AddItemToArray(env, item);
    }
    cJSON_Delete(theirs);
    (void)cJSON_AddItemToObject(runner, "env", env);
}

/* --- The Job -------------------------------------------------------------------------- */

/* The template's own deadline stays where it is the earlier one. */
static void set_deadline(cJSON *job_spec, int64_t timeout_s)
{
    int64_t theirs = json_get_int(job_spec, "activeDeadlineSeconds", 0);

    if (timeout_s > 0 && (theirs < 1 || timeout_s < theirs))
        set(job_spec, "activeDeadlineSeconds", jint(timeout_s));
}

cJSON *kubernetes_job_make(const struct kubernetes_template *template,
                           const struct job_spec *spec)
{
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    cJSON *job = cJSON_Duplicate(kubernetes_template_job(template), true);
    cJSON *inner = kubernetes_template_member(job, "spec");

    label(job, spec);
    set(kubernetes_template_member(job, "metadata"), "name", jstr(ref.text));
    set_deadline(inner, spec->timeout_s);
    label(kubernetes_template_member(inner, "template"), spec);
    set_environment(kubernetes_template_runner_in(template, job), spec, ref.text);
    return job;
}

/* --- The Secret ----------------------------------------------------------------------- */

static cJSON *owner(const char *name, const char *uid)
{
    return jobj({"apiVersion", jstr("batch/v1")}, {"kind", jstr("Job")}, {"name", jstr(name)},
                {"uid", jstr(uid)}, {"controller", jbool(true)});
}

cJSON *kubernetes_job_secret(const struct kubernetes_template *template,
                             const struct job_spec *spec, const char *job_uid)
{
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    cJSON *secret =
        jobj({"apiVersion", jstr("v1")}, {"kind", jstr("Secret")},
             {"metadata", jobj({"name", jstr(ref.text)},
                               {"namespace", jstr(kubernetes_template_namespace(template))},
                               {"ownerReferences", jarr(owner(ref.text, job_uid))})},
             {"type", jstr("Opaque")}, {"immutable", jbool(true)},
             {"stringData", jobj({TOKEN_KEY, jstr(secret_reveal(spec->task_token))})});

    label(secret, spec);
    return secret;
}

void kubernetes_job_secret_free(cJSON *secret)
{
    const cJSON *token = json_get(json_get(secret, "stringData"), TOKEN_KEY);

    if (cJSON_IsString(token))
        secret_wipe(token->valuestring, strlen(token->valuestring));
    cJSON_Delete(secret);
}

/* --- Ending --------------------------------------------------------------------------- */

cJSON *kubernetes_job_stop_patch(const char *uid, enum failure_code why, const char *sentence)
{
    const char *code = failure_code_name(why);
    cJSON *annotations = jobj({ANNOTATION_STOPPED, jstr(code ? code : STOPPED_WHEN_ASKED)},
                              {ANNOTATION_WHY, jstr(sentence)});

    return jobj({"metadata", jobj({"uid", jstr(uid)}, {"annotations", annotations})},
                {"spec", jobj({"activeDeadlineSeconds", jint(1)})});
}

cJSON *kubernetes_job_delete_options(const char *uid)
{
    return jobj({"apiVersion", jstr("v1")}, {"kind", jstr("DeleteOptions")},
                {"propagationPolicy", jstr("Background")},
                {"preconditions", jobj({"uid", jstr(uid)})});
}

/* --- An Event ------------------------------------------------------------------------- */

static cJSON *event_time(int64_t at_ms)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(at_ms - at_ms % 1000, text);
    memcpy(text + strlen("2026-01-02T03:04:05"), "Z", 2); /* whole seconds only */
    return jstr(text);
}

static const char *event_type(const char *reason)
{
    return strcmp(reason, "Failed") == 0 ? "Warning" : "Normal";
}

cJSON *kubernetes_job_event_make(const struct kubernetes_job_event *event)
{
    char message[EVENT_MESSAGE_MAX];
    char name[KUBERNETES_NAME_SIZE + 32];

    (void)snprintf(message, sizeof(message), "%s", event->sentence);
    (void)snprintf(name, sizeof(name), "%.63s.%016llx", event->job,
                   (unsigned long long)event->number);
    return jobj({"apiVersion", jstr("v1")}, {"kind", jstr("Event")},
                {"metadata", jobj({"name", jstr(name)}, {"namespace", jstr(event->namespace)})},
                {"involvedObject",
                 jobj({"apiVersion", jstr("batch/v1")}, {"kind", jstr("Job")},
                      {"name", jstr(event->job)}, {"namespace", jstr(event->namespace)},
                      {"uid", jstr(event->uid)})},
                {"reason", jstr(event->reason)}, {"message", jstr(message)},
                {"type", jstr(event_type(event->reason))}, {"count", jint(1)},
                {"firstTimestamp", event_time(event->at_ms)},
                {"lastTimestamp", event_time(event->at_ms)},
                {"source", jobj({"component", jstr(OUR_MANAGER)})},
                {"reportingComponent", jstr(OUR_MANAGER)},
                {"reportingInstance", jstr(OUR_MANAGER)});
}
