/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_SCHEMA_PATTERN_H
#define MCP_SCHEMA_PATTERN_H

/*
 * The keyword `pattern`. JSON Schema means ECMAScript's expressions, C has POSIX's: what is
 * written in what both have in common is matched, as long as it can't take long: no
 * back-references, no counted repetitions, no look-around. Safe from any thread.
 */
#define SCHEMA_PATTERN_MAX_BYTES 256
#define SCHEMA_PATTERN_TEXT_MAX_BYTES 4096

enum schema_match { SCHEMA_MATCHES, SCHEMA_DIFFERS, SCHEMA_NOT_JUDGED };

enum schema_match schema_pattern_match(const char *pattern, const char *text);
#endif
