/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_TEMPLATE_H
#define LAUNCH_KUBERNETES_TEMPLATE_H
#include "config/config.h"
#include "json/json.h"

/*
 * The Job that every run's Job is made from: the operator's (a file with one whole batch/v1
 * Job, YAML or JSON), or the built-in one, which a namespace that enforces Pod Security
 * "restricted" accepts.
 *
 * What the operator's says stays; what it leaves open (image, resources, deadlines, service
 * account and so on) is filled in from the settings. A document that can't become a run's Job
 * is refused with the line and the path: "job.yaml:12: spec.template.spec.containers[0].image:
 * required". Doesn't change while threads read it.
 */
struct kubernetes_template;

/* ERR_INVALID; ERR_NOT_FOUND, ERR_DENIED for the file. */
struct kubernetes_template *kubernetes_template_load(const struct config_kubernetes *settings,
                                                     const char *namespace,
                                                     struct err *err) CHECKED;
void kubernetes_template_free(struct kubernetes_template *template);
DEFINE_SCOPED(kubernetes_template)

/* Borrowed: the whole Job, without anything of a run. */
const cJSON *kubernetes_template_job(const struct kubernetes_template *template);
/* The container that the runner is: the one named "runner", else the only one. */
const char *kubernetes_template_container(const struct kubernetes_template *template);
const char *kubernetes_template_namespace(const struct kubernetes_template *template);

/* Of a copy of the Job: the runner's container, to be added to. */
cJSON *kubernetes_template_runner_in(const struct kubernetes_template *template, cJSON *job);
/* The object under this key of an object; made when it isn't there. */
cJSON *kubernetes_template_member(cJSON *object, const char *key);
#endif
