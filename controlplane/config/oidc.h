/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OIDC_H
#define CONFIG_OIDC_H
#include "config/config.h"

/*
 * The settings of `oidc` together: issuers are https (http on loopback alone), an audience
 * there is, and where anybody in the world can have a token of the issuer, the repositories are
 * named. ERR_INVALID.
 */
int config_settle_oidc(struct config *config, struct err *err) CHECKED;
#endif
