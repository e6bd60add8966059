/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_TOOLS_H
#define API_TOOLS_H
#include "config/config.h"
#include "json/json.h"

/*
 * The external tools and the subagents that a client gives a run, as they come in a request and
 * as they go into a claim.
 */
#define TOOLS_MAX 32
#define TOOL_NAME_MAX 64
#define TOOL_DESCRIPTION_MAX_BYTES 4096
#define TOOL_PARAMETERS_MAX_BYTES 16384
#define TOOL_PROPERTIES_MAX 64
#define TOOL_URL_MAX_BYTES 2048
#define TOOL_HEADERS_MAX 32
#define TOOL_HEADER_NAME_MAX 128
#define TOOL_HEADER_VALUE_MAX_BYTES 8192
#define TOOL_HEADERS_MAX_BYTES 65536 /* of all tools together */

#define SUBAGENTS_MAX 16
#define SUBAGENT_PROMPT_MAX_BYTES 32768
#define SUBAGENT_TOOLS_MAX 64
#define SUBAGENT_TOOL_NAME_MAX 128
#define SUBAGENT_TURNS_MAX 1000

/*
 * Checks `list` (NULL: none). *out_tools is what the claim shows, an array, without a header's
 * value; *out_headers is {TOOL: {NAME: value}}, NULL when no tool has any. Both are the
 * caller's. ERR_INVALID names the member: "tools[0].endpoint.url: ...".
 */
int tools_read(const cJSON *list, const struct config_ranges *allowed, cJSON **out_tools,
               cJSON **out_headers, struct err *err) CHECKED;

/* The same for subagents. */
int subagents_read(const cJSON *list, cJSON **out_agents, struct err *err) CHECKED;

/* A public URL of http or https, or one in the ranges that the operator allows. */
int public_url_check(const char *field, const char *url, const struct config_ranges *allowed,
                     struct err *err) CHECKED;
#endif
