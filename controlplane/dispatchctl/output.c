/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/yaml_text.h"

enum output_form output_form(const struct invocation *call)
{
    static const char *const names[] = {"table", "wide", "json", "yaml", "name"};

    for (size_t i = 0; call->options.output && i < ARRAY_SIZE(names); i++)
        if (strcmp(call->options.output, names[i]) == 0)
            return (enum output_form)i;
    return OUTPUT_TABLE;
}

bool output_colors(const struct invocation *call)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");

    return !call->options.no_color && !(no_color && *no_color) && isatty(STDOUT_FILENO)
           && !(term && strcmp(term, "dumb") == 0);
}

/* cJSON indents by tabs, and sets one behind each colon. In texts they are escaped, so that
 * each tab is one of these. */
static void print_json(const cJSON *document)
{
    char *raw = cJSON_Print(document);
    scoped_str cleaned = clean_json(raw);

    cJSON_free(raw);
    for (const char *at = cleaned; *at; at++) {
        if (*at != '\t')
            (void)putchar(*at);
        else
            (void)fputs(at > cleaned && at[-1] == ':' ? " " : "  ", stdout);
    }
    (void)putchar('\n');
}

static void print_yaml(const cJSON *document)
{
    scoped_str text = yaml_text(document);

    (void)fputs(text, stdout);
}

static void print_name(const cJSON *document, const char *name_key)
{
    scoped_str name = clean_line(json_get_str(document, name_key));

    if (*name)
        (void)puts(name);
}

bool output_document(const struct invocation *call, const cJSON *document, const char *name_key)
{
    switch (output_form(call)) {
    case OUTPUT_JSON:
        print_json(document);
        return true;
    case OUTPUT_YAML:
        print_yaml(document);
        return true;
    case OUTPUT_NAME:
        if (name_key)
            print_name(document, name_key);
        return name_key;
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
        break;
    }
    return false;
}

bool output_list(const struct invocation *call, const cJSON *document, const char *list_key,
                 const char *name_key)
{
    const cJSON *entries = list_key ? json_get(document, list_key) : document;
    const cJSON *entry;

    if (output_form(call) != OUTPUT_NAME)
        return output_document(call, document, NULL);
    cJSON_ArrayForEach(entry, entries)
    {
        print_name(entry, name_key);
    }
    return true;
}

int output_fail(const struct err *err)
{
    scoped_str sentence = clean_line(err->text);

    (void)fflush(stdout);
    (void)fprintf(stderr, "dispatchctl: %s\n", sentence);
    return (int)exits_for_error(err);
}

void output_remark(const struct invocation *call, const char *fmt, ...)
{
    char line[1024];
    va_list args;

    if (call->options.quiet)
        return;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    scoped_str cleaned = clean_line(line);
    (void)fprintf(stderr, "%s\n", cleaned);
}

int output_end(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE) /* whoever reads has had enough */
        (void)fprintf(stderr, "dispatchctl: writing to standard output: %s\n", strerror(errno));
    return code ? code : EXIT_FAILED;
}

void output_age(const char *timestamp, char out[AGE_SIZE])
{
    int64_t then_ms;
    long long s;

    if (!timestamp || !clock_parse(timestamp, &then_ms)) {
        (void)snprintf(out, AGE_SIZE, "-");
        return;
    }
    s = (clock_wall_ms() - then_ms) / 1000;
    s = s < 0 ? 0 : s;
    if (s < 120)
        (void)snprintf(out, AGE_SIZE, "%llds", s);
    else if (s < 120 * 60)
        (void)snprintf(out, AGE_SIZE, "%lldm", s / 60);
    else if (s < 48 * 3600)
        (void)snprintf(out, AGE_SIZE, "%lldh", s / 3600);
    else
        (void)snprintf(out, AGE_SIZE, "%lldd", s / 86400);
}

void output_elapsed(int64_t ms, char out[AGE_SIZE])
{
    long long s = ms / 1000;

    if (s < 3600)
        (void)snprintf(out, AGE_SIZE, "%lld:%02lld", s / 60, s % 60);
    else
        (void)snprintf(out, AGE_SIZE, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}
