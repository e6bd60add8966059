/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_facts.h"

#include <string.h>

#include "base/clock.h"
#include "launch/kubernetes_facts.h"
#include "launch/outcome.h"

#define SIGNALS_MAX 64
#define EXIT_BY_SIGNAL 128
#define KILLED (EXIT_BY_SIGNAL + 9)
#define TIMEOUT_MAX_S INT64_C(31536000)

static bool is_text(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

/* --- Whose it is ------------------------------------------------------------------------- */

static bool read_number(const char *text, int64_t most, int64_t *out)
{
    *out = 0;
    if (!text || !*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        *out = *out * 10 + (*text - '0');
        if (*out > most)
            return false;
    }
    return true;
}

static bool read_labels(const cJSON *labels, const char *namespace, struct docker_facts *out)
{
    const char *run = json_get_str(labels, LABEL_RUN_ID);
    int64_t attempt;

    if (!is_text(json_get_str(labels, LABEL_MANAGED_BY), OUR_MANAGER)
        || !is_text(json_get_str(labels, LABEL_NAME), OUR_NAME)
        || !is_text(json_get_str(labels, LABEL_NAMESPACE), namespace) || !run
        || !id_parse(run, &out->run)
        || !read_number(json_get_str(labels, LABEL_ATTEMPT), JOB_ATTEMPT_MAX, &attempt)
        || attempt < 1)
        return false;
    out->attempt = (int)attempt;
    if (!read_number(json_get_str(labels, LABEL_TIMEOUT), TIMEOUT_MAX_S, &out->timeout_s))
        out->timeout_s = 0;
    return true;
}

/* Names come with a slash in front. */
static bool is_its_name(const char *name, const struct docker_facts *facts)
{
    struct job_ref ref = job_ref_make(facts->run, facts->attempt);

    return name && is_text(*name == '/' ? name + 1 : name, ref.text);
}

/* It goes into paths. */
static bool read_id(const cJSON *object, struct docker_facts *out)
{
    const char *id = json_get_str(object, "Id");
    size_t length = id ? strspn(id, "0123456789abcdef") : 0;

    if (!length || id[length] || length >= sizeof(out->id))
        return false;
    memcpy(out->id, id, length + 1);
    return true;
}

static void set_foreign(struct docker_facts *out)
{
    *out = (struct docker_facts){.foreign = true};
}

/* --- What it is doing -------------------------------------------------------------------- */

/* Docker's words and Podman's. One that is being removed has ended. */
static enum docker_state state_of(const char *word)
{
    static const struct {
        const char *word;
        enum docker_state state;
    } words[] = {
        {"created", DOCKER_CREATED},     {"configured", DOCKER_CREATED},
        {"initialized", DOCKER_CREATED}, {"running", DOCKER_RUNNING},
        {"restarting", DOCKER_RUNNING},  {"stopping", DOCKER_RUNNING},
        {"paused", DOCKER_PAUSED},       {"exited", DOCKER_ENDED},
        {"stopped", DOCKER_ENDED},       {"removing", DOCKER_ENDED},
        {"dead", DOCKER_DEAD},
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (is_text(word, words[i].word))
            return words[i].state;
    return DOCKER_RUNNING; /* a word we don't know: neither to be started nor over */
}

/* 0 for the year 1, which stands for "never". */
static int64_t read_time(const cJSON *object, const char *key)
{
    const char *text = json_get_str(object, key);
    int64_t at_ms;

    return text && clock_parse(text, &at_ms) && at_ms > 0 ? at_ms : 0;
}

static void keep_sentence(char out[256], const char *sentence)
{
    struct job_view view = {0};

    outcome_set_detail(&view, sentence ? sentence : "");
    (void)snprintf(out, 256, "%s", view.detail);
}

bool docker_facts_user(const char *user, uid_t *out)
{
    char number[16] = "";
    size_t length = user ? strcspn(user, ":") : 0;
    int64_t value;

    *out = 0;
    if (!length || (length == 4 && strncmp(user, "root", 4) == 0))
        return true;
    if (length >= sizeof(number))
        return false;
    memcpy(number, user, length);
    if (!read_number(number, INT32_MAX, &value))
        return false;
    *out = (uid_t)value;
    return true;
}

void docker_facts_of_container(const cJSON *container, const char *namespace,
                               struct docker_facts *out)
{
    const cJSON *config = json_get(container, "Config");
    const cJSON *state = json_get(container, "State");

    *out = (struct docker_facts){0};
    if (!read_labels(json_get(config, "Labels"), namespace, out)
        || !is_its_name(json_get_str(container, "Name"), out) || !read_id(container, out)) {
        set_foreign(out);
        return;
    }
    out->state = state_of(json_get_str(state, "Status"));
    out->created_ms = read_time(container, "Created");
    out->finished_ms = read_time(state, "FinishedAt");
    out->exit_code = (int)json_get_int(state, "ExitCode", -1);
    out->out_of_memory = json_get_bool(state, "OOMKilled", false);
    out->user_known = docker_facts_user(json_get_str(config, "User"), &out->user);
    keep_sentence(out->detail, json_get_str(state, "Error"));
}

static bool has_its_name(const cJSON *names, const struct docker_facts *facts)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, names)
    {
        if (cJSON_IsString(name) && is_its_name(name->valuestring, facts))
            return true;
    }
    return false;
}

void docker_facts_of_listed(const cJSON *listed, const char *namespace,
                            struct docker_facts *out)
{
    int64_t created_s;

    *out = (struct docker_facts){0};
    if (!read_labels(json_get(listed, "Labels"), namespace, out)
        || !has_its_name(json_get(listed, "Names"), out) || !read_id(listed, out)) {
        set_foreign(out);
        return;
    }
    out->state = state_of(json_get_str(listed, "State"));
    created_s = json_get_int(listed, "Created", 0);
    out->created_ms = created_s > 0 ? created_s * 1000 + 999 : 0; /* not too early */
}

/* Not those that our own calls bring about. */
static bool is_change(const char *action)
{
    static const char *const changes[] = {"start",   "die",    "died",    "oom",
                                          "destroy", "remove", "restart", "unpause"};

    for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
        if (is_text(action, changes[i]))
            return true;
    return false;
}

bool docker_facts_of_event(const cJSON *event, struct id *out_run, int *out_attempt)
{
    const cJSON *about = json_get(json_get(event, "Actor"), "Attributes");

    return is_change(json_get_str(event, "Action"))
           && job_ref_parse(json_get_str(about, "name"), out_run, out_attempt);
}

/* --- What to say of it
 * -------------------------------------------------------------------------
 */

bool docker_facts_late(const struct docker_facts *facts, int64_t now_ms)
{
    int64_t at_ms = facts->state == DOCKER_ENDED ? facts->finished_ms : now_ms;

    return facts->timeout_s && facts->created_ms
           && at_ms - facts->created_ms >= facts->timeout_s * 1000;
}

bool docker_facts_killed(const struct docker_facts *facts)
{
    return facts->state == DOCKER_ENDED && facts->exit_code == KILLED && !facts->out_of_memory;
}

static void set_end(struct job_view *out, enum failure_code reason, const char *sentence)
{
    out->reason = reason;
    outcome_set_detail(out, sentence);
}

/* 128 and some is how a signal looks from outside. */
static void view_exit(const struct docker_facts *facts, struct job_view *out)
{
    int code = facts->exit_code;
    char sentence[64];

    out->exit_code = code >= 0 && code <= EXIT_BY_SIGNAL ? code : -1;
    outcome_set_detail(out, facts->detail);
    if (!facts->detail[0] && code > EXIT_BY_SIGNAL && code <= EXIT_BY_SIGNAL + SIGNALS_MAX) {
        (void)snprintf(sentence, sizeof(sentence), "the runner was ended by signal %d",
                       code - EXIT_BY_SIGNAL);
        outcome_set_detail(out, sentence);
    }
}

/* The engine's word goes before the runner's, which an agent may have forged; but a runner that
 * said it was done and exited 0 was done. The engine says OOMKilled of whichever process of the
 * container's was killed for it, so that it counts for a runner that was killed. */
static void view_ended(const struct docker_facts *facts, const char *outcome,
                       size_t outcome_size, struct job_view *out)
{
    out->phase = JOB_ENDED;
    view_exit(facts, out);
    if (outcome)
        (void)outcome_read(outcome, outcome_size, out);
    if (facts->exit_code == 0)
        return;
    if (facts->out_of_memory && facts->exit_code == KILLED)
        set_end(out, FAILURE_OUT_OF_MEMORY, "the runner took more memory than its limit");
    else if (docker_facts_late(facts, 0))
        set_end(out, FAILURE_DEADLINE, "its container took longer than it may");
}

void docker_facts_view(const struct docker_facts *facts, const char *outcome,
                       size_t outcome_size, struct job_view *out)
{
    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    switch (facts->state) {
    case DOCKER_NONE:
        break;
    case DOCKER_CREATED:
        out->phase = JOB_STARTING;
        outcome_set_detail(out, "its container isn't started yet");
        break;
    case DOCKER_RUNNING:
        out->phase = JOB_RUNNING;
        break;
    case DOCKER_PAUSED:
        out->phase = JOB_RUNNING;
        outcome_set_detail(out, "its container is paused");
        break;
    case DOCKER_ENDED:
        view_ended(facts, outcome, outcome_size, out);
        break;
    case DOCKER_DEAD:
        out->phase = JOB_ENDED;
        set_end(out, FAILURE_EVICTED, "the engine calls its container dead");
        break;
    }
}
