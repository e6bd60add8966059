/* SPDX-License-Identifier: Apache-2.0 */
/* json_parse: whatever it takes, it can write and read again to the same document. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    scoped_json first = json_parse((const char *)data, size, &err);
    scoped_json second = NULL;
    scoped_str text = NULL;

    if (!first)
        return 0;
    text = json_text(first);
    second = json_parse(text, strlen(text), &err);
    if (!second || !cJSON_Compare(first, second, true))
        abort();
    return 0;
}
