/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/*
 * The two clocks, in milliseconds. Wall time names moments for people and other machines;
 * monotonic time measures how long something took. Safe from any thread. Tests set the wall
 * clock by hand with clock_set_for_test.
 */
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */
int64_t clock_monotonic_ms(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; out holds 25 bytes. */
#define CLOCK_TEXT_SIZE 25
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);

/* RFC 3339 ("2026-01-02T03:04:05Z", with or without a fraction, or with an offset like
 * +01:00) as wall milliseconds. False when it isn't exactly that. */
bool clock_parse(const char *text, int64_t *out_wall_ms);

/* From now on wall time stands at `wall_ms`; a negative value gives the real clock back. */
void clock_set_for_test(int64_t wall_ms);
#endif
