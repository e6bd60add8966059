/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transcript.h"

#include <stdarg.h>
#include <string.h>

#include "agent/cut.h"
#include "base/alloc.h"
#include "base/buf.h"

/* Kept beyond a limit so that a secret across the cut is seen whole and redacted first. */
#define SLACK_BYTES 4096

struct transcript {
    struct events *events;
    struct redaction *redaction;
    bool metered;
    struct partial_marker marker;
    struct buf message; /* under way: what came in parts */
    struct buf answer;
    bool answer_ends; /* the next message begins a new one */
    enum transcript_verdict verdict;
    char problem[PROBLEM_MAX_BYTES + 1];
    char *partial_reason;
    size_t told_events;
    size_t told_bytes;
    bool told_enough;
};

struct transcript *transcript_new(struct events *events, struct redaction *redaction,
                                  bool metered)
{
    struct transcript *transcript = xcalloc(1, sizeof(*transcript));

    transcript->events = events;
    transcript->redaction = redaction;
    transcript->metered = metered;
    return transcript;
}

void transcript_free(struct transcript *transcript)
{
    if (!transcript)
        return;
    buf_done(&transcript->message);
    buf_done(&transcript->answer);
    free(transcript->partial_reason);
    free(transcript);
}

/* --- Telling ------------------------------------------------------------------------------ */

/* Takes `fields`. */
static void tell(struct transcript *transcript, const char *type, size_t size, cJSON *fields)
{
    if (!transcript->told_enough
        && (transcript->told_events == TRANSCRIPT_MAX_EVENTS
            || transcript->told_bytes + size > TRANSCRIPT_MAX_BYTES)) {
        transcript->told_enough = true;
        events_warn(transcript->events,
                    "the agent does more than is told: the rest of its messages and uses of "
                    "tools is left out");
    }
    if (transcript->told_enough) {
        cJSON_Delete(fields);
        return;
    }
    transcript->told_events++;
    transcript->told_bytes += size;
    events_add(transcript->events, type, fields);
}

/* At most MESSAGE_MAX_BYTES of it, redacted; the caller frees it. */
static char *presentable(const struct transcript *transcript, const char *text, size_t max)
{
    char *shown = xstrndup(text, max + SLACK_BYTES);

    redaction_apply(transcript->redaction, shown);
    cut_to(shown, max);
    return shown;
}

static void tell_message(struct transcript *transcript, enum transcript_voice voice,
                         const char *text)
{
    scoped_str shown = presentable(transcript, text, MESSAGE_MAX_BYTES);

    if (!shown[strspn(shown, " \t\r\n")])
        return;
    tell(transcript, "agent_message", strlen(shown),
         jobj({"text", jstr(shown)}, {"subagent", jtrue(voice == VOICE_SUBAGENT)}));
}

static void end_message(struct transcript *transcript)
{
    if (!transcript->message.size)
        return;
    tell_message(transcript, VOICE_AGENT, transcript->message.data);
    buf_clear(&transcript->message);
    partial_marker_feed(&transcript->marker, "\n", 1);
}

/* --- Words -------------------------------------------------------------------------------- */

static void add_to(struct buf *out, const char *text, size_t max)
{
    size_t length = strlen(text);
    size_t room = max + SLACK_BYTES - out->size;

    buf_append(out, text, length < room ? length : room);
}

static void add_to_answer(struct transcript *transcript, const char *text)
{
    if (transcript->answer_ends)
        buf_clear(&transcript->answer);
    transcript->answer_ends = false;
    add_to(&transcript->answer, text, ANSWER_MAX_BYTES);
}

void transcript_message(struct transcript *transcript, enum transcript_voice voice,
                        const char *text)
{
    end_message(transcript);
    if (!text || !*text)
        return;
    tell_message(transcript, voice, text);
    if (voice == VOICE_SUBAGENT)
        return;
    partial_marker_feed(&transcript->marker, text, strlen(text));
    partial_marker_feed(&transcript->marker, "\n", 1);
    if (transcript->answer.size && !transcript->answer_ends)
        add_to_answer(transcript, "\n\n");
    add_to_answer(transcript, text);
}

void transcript_message_part(struct transcript *transcript, const char *text)
{
    if (!text || !*text)
        return;
    partial_marker_feed(&transcript->marker, text, strlen(text));
    if (!transcript->message.size && transcript->answer.size && !transcript->answer_ends)
        add_to_answer(transcript, "\n\n");
    add_to(&transcript->message, text, MESSAGE_MAX_BYTES);
    add_to_answer(transcript, text);
}

/* --- Deeds -------------------------------------------------------------------------------- */

/* Which argument says most about a use of a tool, best first: its place, then its deed. */
static const char *const telling[] = {
    "file_path",     "filePath",   "path",    "notebook_path", "absolute_path",
    "dir_path",      "command",    "pattern", "query",         "url",
    "subagent_type", "agent_name", "skill",   "description",   "prompt",
};

/* The caller frees it; NULL for none. */
static char *argument_of(const cJSON *arguments)
{
    if (cJSON_IsString(arguments))
        return xstrdup(arguments->valuestring);
    if (!cJSON_IsObject(arguments) || !arguments->child)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(telling); i++) {
        const char *text = json_get_str(arguments, telling[i]);

        if (text && *text)
            return xstrdup(text);
    }
    return json_text(arguments);
}

static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

void transcript_tool_use(struct transcript *transcript, enum transcript_voice voice,
                         const char *name, const cJSON *arguments)
{
    scoped_str argument = argument_of(arguments);
    scoped_str tool = NULL;
    scoped_str shown = NULL;

    end_message(transcript);
    if (voice == VOICE_AGENT)
        transcript->answer_ends = true;
    if (!name)
        return;
    tool = presentable(transcript, name, ARGUMENT_MAX_BYTES);
    if (argument) {
        shown = presentable(transcript, argument, ARGUMENT_MAX_BYTES);
        make_one_line(shown);
    }
    tell(transcript, "tool_use", strlen(tool) + (shown ? strlen(shown) : 0),
         jobj({"name", jstr(tool)}, {"argument", jstr(shown)},
              {"subagent", jtrue(voice == VOICE_SUBAGENT)}));
}

void transcript_warning(struct transcript *transcript, const char *fmt, ...)
{
    scoped_str said = NULL;
    scoped_str shown = NULL;
    va_list args;

    end_message(transcript);
    va_start(args, fmt);
    said = xvasprintf(fmt, args);
    va_end(args);
    if (transcript->told_enough)
        return;
    shown = presentable(transcript, said, PROBLEM_MAX_BYTES);
    make_one_line(shown);
    transcript->told_events++;
    transcript->told_enough = transcript->told_events >= TRANSCRIPT_MAX_EVENTS;
    events_warn(transcript->events, "%s", shown);
}

void transcript_usage(struct transcript *transcript, int64_t input_tokens,
                      int64_t output_tokens, double cost_usd)
{
    end_message(transcript);
    if (transcript->metered || (input_tokens <= 0 && output_tokens <= 0))
        return;
    tell(transcript, "usage", 0,
         jobj({"input_tokens", jint(input_tokens)}, {"output_tokens", jint(output_tokens)},
              {"cost_usd", cost_usd > 0 ? jnumber(cost_usd) : NULL},
              {"source", jstr("agent")}));
}

/* --- How it went -------------------------------------------------------------------------- */

void transcript_success(struct transcript *transcript, const char *answer)
{
    end_message(transcript);
    transcript->verdict = VERDICT_SUCCESS;
    if (!answer || !*answer)
        return;
    partial_marker_feed(&transcript->marker, answer, strlen(answer));
    partial_marker_feed(&transcript->marker, "\n", 1);
    transcript->answer_ends = true;
    add_to_answer(transcript, answer);
}

static void set_problem(struct transcript *transcript, const char *text)
{
    scoped_str shown = presentable(transcript, text, PROBLEM_MAX_BYTES);

    make_one_line(shown);
    (void)snprintf(transcript->problem, sizeof(transcript->problem), "%s", shown);
}

void transcript_failure(struct transcript *transcript, const char *fmt, ...)
{
    scoped_str said = NULL;
    va_list args;

    end_message(transcript);
    va_start(args, fmt);
    said = xvasprintf(fmt, args);
    va_end(args);
    transcript->verdict = VERDICT_FAILURE;
    set_problem(transcript, said);
}

/* --- The end ------------------------------------------------------------------------------ */

void transcript_end(struct transcript *transcript)
{
    const char *reason;

    end_message(transcript);
    reason = partial_marker_reason(&transcript->marker);
    free(transcript->partial_reason);
    transcript->partial_reason = xstrdup(reason);
    if (reason)
        redaction_apply(transcript->redaction, transcript->partial_reason);
    if (!transcript->answer.size)
        return;
    redaction_apply(transcript->redaction, transcript->answer.data);
    cut_to(transcript->answer.data, ANSWER_MAX_BYTES);
    transcript->answer.size = strlen(transcript->answer.data);
}

enum transcript_verdict transcript_verdict(const struct transcript *transcript)
{
    return transcript->verdict;
}

const char *transcript_problem(const struct transcript *transcript)
{
    return transcript->problem;
}

const char *transcript_answer(const struct transcript *transcript)
{
    return transcript->answer.size ? transcript->answer.data : "";
}

const char *transcript_partial_reason(const struct transcript *transcript)
{
    return transcript->partial_reason;
}
