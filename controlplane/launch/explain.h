/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_EXPLAIN_H
#define LAUNCH_EXPLAIN_H
#include "launch/launcher.h"

/* What a backend's `explain` leaves out. */

/* Does a variable of this name, or with this value, look like a secret? By its name (a key, a
 * token, a password), or a URL with a password in it. */
bool explain_is_secret(const char *name, const char *value);

/* In place of the values of such variables in every "env" list of a pod. */
void explain_hide_environment(cJSON *pod_spec);
#endif
