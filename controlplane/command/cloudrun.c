/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatchd cloudrun apply: the Job of Cloud Run as the settings have it, without gcloud.
 */
#include <string.h>

#include "base/log.h"
#include "command/command.h"
#include "launch/cloudrun_apply.h"

static const char usage[] = "usage: dispatchd cloudrun apply [--config FILE]\n";

int command_cloudrun(char *const *argv)
{
    struct err err = {0};
    scoped_config config = {0};
    const char *did = NULL;

    if (!argv[0] || strcmp(argv[0], "apply") != 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    log_set_level(LOG_LEVEL_WARN); /* stdout and stderr belong to the answer */
    if (config_load(&config, argv + 1, &err) < 0)
        return command_quit("configuration", &err);
    if (cloudrun_apply(&config, &did, &err) < 0)
        return command_quit("cloudrun apply", &err);
    printf("%s projects/%s/locations/%s/jobs/%s\n", did, config.cloudrun.project,
           config.cloudrun.region, config.cloudrun.job);
    return fflush(stdout) == 0 ? 0 : 1;
}
