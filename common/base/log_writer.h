/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_WRITER_H
#define BASE_LOG_WRITER_H
#include <stddef.h>

/*
 * Takes log lines to stderr. Until log_writer_start every line is one write(2) by its caller.
 * From then on a thread writes what has gathered, the first line at once and those that follow
 * it within LOG_REST_MS together, so that the caller only copies; when more
 * than LOG_GATHERED_MAX bytes wait, callers wait too. Where stderr is a pipe that nobody reads
 * that could be for ever: after LOG_PATIENCE_MS lines are dropped until it is read again, and
 * then their number is logged. Safe from any thread.
 */
#define LOG_GATHERED_MAX (1024 * 1024)
#define LOG_PATIENCE_MS 2000
#define LOG_REST_MS 10

/* A second start changes nothing. Where no thread can be had, lines go on as before. */
void log_writer_start(void);
/* Writes what has gathered, for LOG_PATIENCE_MS, and ends the thread; also done at exit. */
void log_writer_stop(void);

/* For log.c: one whole line. */
void log_writer_put(const char *line, size_t size);
#endif
