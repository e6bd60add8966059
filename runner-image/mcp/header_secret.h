/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_HEADER_SECRET_H
#define MCP_HEADER_SECRET_H
#include "text/redaction.h"

/*
 * Which part of a tool's header is a secret to be kept out of every text. Not all of them are:
 * blanking "application/json" wherever it stands would do more harm than good. A credential by
 * the header's name is one; elsewhere only what looks like a key.
 */

/* Adds what is secret: the value, what is in it beside a scheme ("Bearer") or a cookie's name,
 * and how JSON may write these. */
void header_secret_redact(const char *name, const char *value, struct redaction *redaction);
#endif
