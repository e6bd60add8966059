/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/explain.h"
#include "launch/kubernetes_private.h"

/* The Job and the Secret that a start would make, by the same hands; the Secret is owned by the
 * Job's uid, which there isn't yet. */
#define NO_UID "<uid of the Job>"

int kubernetes_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err)
{
    const struct kubernetes *kubernetes = self;
    scoped(secret) placeholder = secret_new(EXPLAIN_SECRET);
    struct job_spec shown = *spec;
    cJSON *job;

    (void)err;
    shown.task_token = placeholder;
    job = kubernetes_job_make(kubernetes->template, &shown);
    explain_hide_environment(kubernetes_template_member(
        kubernetes_template_member(kubernetes_template_member(job, "spec"), "template"),
        "spec"));
    *out = jobj({"job", job},
                {"secret", kubernetes_job_secret(kubernetes->template, &shown, NO_UID)});
    return 0;
}
