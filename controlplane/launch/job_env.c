/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_env.h"

#include "base/alloc.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Handed on when dispatchd has them: what names things of this machine, */
static const char *const passed_here[] = {
    "DISPATCH_AGENT_UID",
    "DISPATCH_SANDBOX_READABLE",
    "DISPATCH_MODEL_PRICES",
    "DISPATCH_GIT_CACHE",
};

/* and how to reach the network, and the model providers. */
static const char *const passed[] = {
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GEMINI_BASE_URL",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "OPENROUTER_BASE_URL",
    "GROQ_BASE_URL",
    "MISTRAL_BASE_URL",
    "DEEPSEEK_BASE_URL",
    "XAI_BASE_URL",
    NULL,
};

#define OURS_MAX 16

static void put(struct job_env *env, const char *name, const char *value)
{
    env->values[env->count++] = xasprintf("%s=%s", name, value);
}

static void put_number(struct job_env *env, const char *name, const char *before, int number)
{
    env->values[env->count++] = xasprintf("%s=%s%d", name, before, number);
}

static void put_inside(struct job_env *env, const char *name, const char *dir,
                       const char *inside)
{
    env->values[env->count++] = xasprintf("%s=%s/%s", name, dir, inside);
}

static void hand_on(struct job_env *env, const char *name)
{
    const char *value = getenv(name);

    if (value && *value)
        put(env, name, value);
}

const char *const *job_env_passed(void)
{
    return passed;
}

void job_env_make(struct job_env *out, const struct job_spec *spec, const char *job_dir,
                  const char *ca_file, int token_fd)
{
    const char *path = getenv("PATH");
    char run[ID_TEXT_SIZE];

    id_text(spec->run, run);
    *out = (struct job_env){
        .values = xcalloc(OURS_MAX + ARRAY_SIZE(passed_here) + ARRAY_SIZE(passed),
                          sizeof(*out->values)),
    };
    put(out, "PATH", path && *path ? path : DEFAULT_PATH);
    put(out, "HOME", job_dir);
    put_inside(out, "TMPDIR", job_dir, "tmp");
    put(out, "LANG", "C.UTF-8");
    put(out, "DISPATCH_URL", spec->url);
    put(out, "DISPATCH_RUN_ID", run);
    put_number(out, "DISPATCH_ATTEMPT", "", spec->attempt);
    put_number(out, "DISPATCH_TASK_TOKEN_FILE", "/proc/self/fd/", token_fd);
    put_inside(out, "DISPATCH_WORK_DIR", job_dir, "work");
    put_inside(out, "DISPATCH_TERMINATION_LOG", job_dir, "outcome.json");
    if (ca_file)
        put(out, "DISPATCH_CA_FILE", ca_file);
    for (size_t i = 0; i < ARRAY_SIZE(passed_here); i++)
        hand_on(out, passed_here[i]);
    for (const char *const *name = passed; *name; name++)
        hand_on(out, *name);
}

void job_env_done(struct job_env *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->values[i]);
    free(env->values);
    *env = (struct job_env){0};
}
