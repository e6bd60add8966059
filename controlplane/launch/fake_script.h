/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_FAKE_SCRIPT_H
#define LAUNCH_FAKE_SCRIPT_H
#include <stdbool.h>
#include <stdint.h>

/*
 * How a fake job behaves, in words separated by blanks. The script is a run's prompt, so
 * words that mean nothing here are passed over; of a word given twice the later counts.
 *
 *     claim_ms=5          the claim comes this long after the start (1)
 *     run_ms=20           the end comes this long after the claim (5)
 *     end=completed       claims, one batch of events, reports it (the default)
 *     end=failed          the same with a failure, exit code 1
 *     end=stopped         the same as if told to stop, exit code 4
 *     end=crash           claims, ends without calling home, exit code 139
 *     end=oom             the same by the hand of the kernel: exit code 137, out_of_memory
 *     end=evicted         the same by the hand of the backend: no exit code, evicted
 *     end=silent          runs and never claims, until it is stopped or its time is up
 *     end=frozen          claims, never heartbeats, never ends by itself
 *     end=vanish          claims, then the backend has forgotten it: lost
 *     start=error         the start fails
 *     start=timeout       the first start goes unanswered and nothing was started
 *     start=timeout_committed   the first start goes unanswered, yet the job runs
 *     start_errors=2      the starts of the first two attempts fail
 *     start_away=3        the first three starts find the backend away
 *     start_timeouts=3    the first three starts go unanswered, yet the job runs
 *     waiting_ms=50       the job waits so long for others before it begins
 *     stubborn            doesn't listen to TERM, only to KILL
 *     pr=URL              the pull request that a completed run reports
 *
 * A second one, `fake-2`, is a backend of its own; where the word "fake-2:" is in the script,
 * what follows it is for that one and what precedes it for the first.
 *
 * crash, oom, evicted, silent, frozen and vanish may stand alone, without "end=".
 */
enum fake_end {
    FAKE_COMPLETED,
    FAKE_FAILED,
    FAKE_STOPPED,
    FAKE_CRASH,
    FAKE_OOM,
    FAKE_EVICTED,
    FAKE_SILENT,
    FAKE_FROZEN,
    FAKE_VANISH,
};

enum fake_start {
    FAKE_START_OK,
    FAKE_START_ERROR,
    FAKE_START_TIMEOUT,
    FAKE_START_TIMEOUT_COMMITTED,
};

#define FAKE_MS_MAX 86400000
#define FAKE_PR_URL_MAX 512

struct fake_script {
    enum fake_end end;
    enum fake_start start;
    int start_errors;
    int start_away;
    int start_timeouts;
    int waiting_ms;
    int claim_ms;
    int run_ms;
    bool stubborn;
    char *pr_url; /* owned; NULL */
};

/* `text` may be NULL. */
void fake_script_read(const char *text, struct fake_script *out);
void fake_script_done(struct fake_script *script);
const char *fake_end_name(enum fake_end end);
#endif
