/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_HOME_FILES_H
#define RUNNER_HOME_FILES_H
#include "git/workspace.h"
#include "json/json.h"

/*
 * What an agent finds in its HOME: its settings, written before it starts. An agent that ran
 * there before may have left links in the way, so no link is followed: whatever isn't the
 * folder or file that is wanted goes. Only while no agent runs.
 */

/* `path`: below HOME, its folders are made. */
int home_file_write(const struct workspace *workspace, const char *path, const char *text,
                    struct err *err) CHECKED;

/* The same with a document, which is taken. */
int home_file_write_json(const struct workspace *workspace, const char *path, cJSON *document,
                         struct err *err) CHECKED;
#endif
