/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

static const struct launcher_ops *const backends[] = {
    &kubernetes_launcher, &docker_launcher, &cloudrun_launcher,
    &process_launcher,    &fake_launcher,   &fake_second_launcher,
};

struct launcher {
    const struct launcher_ops *ops;
    void *self;
};

static const struct launcher_ops *backend_named(const char *name, struct err *err)
{
    scoped_buf known = {0};

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        if (name && strcmp(backends[i]->name, name) == 0)
            return backends[i];
        buf_printf(&known, "%s%s", i ? ", " : "", backends[i]->name);
    }
    (void)err_set_field(err, "launcher", "there is no launcher \"%.40s\" (known: %s)",
                        name ? name : "", known.data);
    return NULL;
}

bool launcher_known(const char *name)
{
    struct err ignored = {0};

    return backend_named(name, &ignored) != NULL;
}

struct launcher *launcher_open(const char *name, const struct config *config,
                               launcher_changed_fn changed, void *changed_ctx, struct err *err)
{
    const struct launcher_ops *ops = backend_named(name, err);
    struct launcher *launcher;
    void *self = NULL;

    if (!ops)
        return NULL;
    if (ops->open(config, changed, changed_ctx, &self, err) < 0) {
        (void)err_wrap(err, "%s", ops->name);
        return NULL;
    }
    launcher = xcalloc(1, sizeof(*launcher));
    *launcher = (struct launcher){.ops = ops, .self = self};
    return launcher;
}

void launcher_free(struct launcher *launcher)
{
    if (!launcher)
        return;
    launcher->ops->close(launcher->self);
    free(launcher);
}

const char *launcher_name(const struct launcher *launcher)
{
    return launcher->ops->name;
}

int launcher_start(struct launcher *launcher, const struct job_spec *spec, char **out_ref,
                   struct err *err)
{
    char run[ID_TEXT_SIZE];

    id_text(spec->run, run);
    if (spec->attempt < 1)
        return err_set(err, ERR_INVALID, "%s: starting run %s: attempts count from 1",
                       launcher->ops->name, run);
    if (launcher->ops->start(launcher->self, spec, out_ref, err) < 0)
        return err_wrap(err, "%s: starting run %s", launcher->ops->name, run);
    log_debug("job started", KV("run", run), KV("attempt", spec->attempt),
              KV("launcher", launcher->ops->name), KV("job", *out_ref));
    return 0;
}

int launcher_poll(struct launcher *launcher, const char *ref, struct job_view *out,
                  struct err *err)
{
    struct job_view view = {.phase = JOB_LOST, .exit_code = -1};

    if (launcher->ops->poll(launcher->self, ref, &view, err) < 0)
        return err_wrap(err, "%s: looking at %s", launcher->ops->name, ref);
    *out = view;
    return 0;
}

int launcher_stop(struct launcher *launcher, const char *ref, struct err *err)
{
    if (launcher->ops->stop(launcher->self, ref, err) < 0)
        return err_wrap(err, "%s: stopping %s", launcher->ops->name, ref);
    log_debug("job told to stop", KV("job", ref), KV("launcher", launcher->ops->name));
    return 0;
}

int launcher_forget(struct launcher *launcher, const char *ref, struct err *err)
{
    if (launcher->ops->forget(launcher->self, ref, err) < 0)
        return err_wrap(err, "%s: forgetting %s", launcher->ops->name, ref);
    return 0;
}

void launcher_note(struct launcher *launcher, const char *ref, const char *reason,
                   const char *sentence)
{
    if (launcher->ops->note)
        launcher->ops->note(launcher->self, ref, reason, sentence);
}

int launcher_explain(struct launcher *launcher, const struct job_spec *spec, cJSON **out,
                     struct err *err)
{
    if (!launcher->ops->explain)
        return err_set(err, ERR_UNSUPPORTED, "%s can't tell what it would start",
                       launcher->ops->name);
    if (launcher->ops->explain(launcher->self, spec, out, err) < 0)
        return err_wrap(err, "%s: explaining a job", launcher->ops->name);
    return 0;
}

int launcher_list(struct launcher *launcher, launcher_job_fn each, void *ctx, struct err *err)
{
    if (!launcher->ops->list)
        return err_set(err, ERR_UNSUPPORTED, "%s keeps no list of jobs", launcher->ops->name);
    if (launcher->ops->list(launcher->self, each, ctx, err) < 0)
        return err_wrap(err, "%s: listing jobs", launcher->ops->name);
    return 0;
}

int launcher_logs(struct launcher *launcher, const char *ref, size_t limit_bytes,
                  struct buf *out, struct err *err)
{
    if (!launcher->ops->logs)
        return err_set(err, ERR_UNSUPPORTED, "%s keeps no logs", launcher->ops->name);
    if (launcher->ops->logs(launcher->self, ref, limit_bytes, out, err) < 0)
        return err_wrap(err, "%s: logs of %s", launcher->ops->name, ref);
    return 0;
}
