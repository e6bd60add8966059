/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_EVENT_WORDS_H
#define DISPATCHCTL_EVENT_WORDS_H
#include "json/json.h"

/* An event of a run in words, for the caller to free and not cleaned yet; NULL for what nobody
 * would want to read. `data` is the parsed data of the event. */
char *event_words(const char *type, const cJSON *data) CHECKED;
#endif
