/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_APPLY_H
#define LAUNCH_CLOUDRUN_APPLY_H
#include "config/config.h"

/*
 * Makes the Job of the settings, or changes the one there is into what they say; what else it
 * says (networks, volumes, labels) stays. Waits until that is done, and looks whether runs can
 * be executions of it. *out_did: "created", "updated" or "unchanged". ERR_INVALID: settings;
 * ERR_DENIED: we may not.
 */
int cloudrun_apply(const struct config *config, const char **out_did, struct err *err) CHECKED;
#endif
