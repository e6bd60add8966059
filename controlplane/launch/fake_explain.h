/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_FAKE_EXPLAIN_H
#define LAUNCH_FAKE_EXPLAIN_H
#include "launch/launcher.h"

/* launcher_ops.explain of the fake: its spec, and how the job would behave. */
int fake_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err);
#endif
