/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/fake_explain.h"

#include "launch/fake_script.h"
#include "launch/job_ref.h"

static const char *start_name(enum fake_start start)
{
    switch (start) {
    case FAKE_START_ERROR:
        return "error";
    case FAKE_START_TIMEOUT:
        return "timeout";
    case FAKE_START_TIMEOUT_COMMITTED:
        return "timeout_committed";
    case FAKE_START_OK:
        break;
    }
    return "ok";
}

int fake_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err)
{
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    struct fake_script script;

    (void)self;
    (void)err;
    fake_script_read(spec->script, &script);
    *out = jobj({"name", jstr(ref.text)}, {"url", jstr(spec->url)}, {"repo", jstr(spec->repo)},
                {"agent", jstr(spec->agent)}, {"timeout_s", jint(spec->timeout_s)},
                {"token", jstr(EXPLAIN_SECRET)}, {"start", jstr(start_name(script.start))},
                {"end", jstr(fake_end_name(script.end))}, {"claim_ms", jint(script.claim_ms)},
                {"run_ms", jint(script.run_ms)});
    fake_script_done(&script);
    return 0;
}
