/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/*
 * The clocks, in milliseconds. Wall time names moments for people and other machines, and can
 * be set; monotonic time measures how long something took. Steady time is for moments of our
 * own that are kept and compared: wall time as it was when the process first asked, gone on
 * since without the jumps. Safe from any thread. Tests set the wall clock by hand.
 */
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */
int64_t clock_monotonic_ms(void);
int64_t clock_steady_ms(void); /* also while the machine sleeps */

/* The later, the earlier of wall and steady time. The first for the ends of credentials: no
 * clock that is set back gives one its life back. */
int64_t clock_latest_ms(void);
int64_t clock_earliest_ms(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; out holds 25 bytes. */
#define CLOCK_TEXT_SIZE 25
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);

/* RFC 3339 ("2026-01-02T03:04:05Z", with or without a fraction, or with an offset like
 * +01:00) as wall milliseconds. False when it isn't exactly that. */
bool clock_parse(const char *text, int64_t *out_wall_ms);

/* From now on wall and steady time stand at `wall_ms`; a negative value gives the real clocks
 * back. And a jump of wall time alone, by so much in all. */
void clock_set_for_test(int64_t wall_ms);
void clock_jump_for_test(int64_t by_ms);
#endif
