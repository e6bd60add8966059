/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and tokens as they come in: what parses is the text that the parsed value has. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "fuzz.h"
#include "model/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_str text = xstrndup((const char *)data, size);
    char again[ID_TEXT_SIZE];
    struct id id;
    int64_t when_ms;

    if (id_parse(text, &id)) {
        id_text(id, again);
        if (strcmp(again, text) != 0)
            abort();
    }
    if (task_token_parse(text, &id)) {
        id_text(id, again);
        if (strncmp(text + strlen(TASK_TOKEN_PREFIX), again, ID_LENGTH) != 0)
            abort();
    }
    if (integration_token_well_formed(text)
        && strncmp(text, INTEGRATION_TOKEN_PREFIX, strlen(INTEGRATION_TOKEN_PREFIX)) != 0)
        abort();
    (void)repo_name_valid(text);
    (void)clock_parse(text, &when_ms);
    return 0;
}
