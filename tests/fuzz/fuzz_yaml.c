/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_parse: what it takes is a document whose every value has a line. */
#include <stdlib.h>

#include "fuzz.h"
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    scoped(yaml) yaml = yaml_parse("fuzz", (const char *)data, size, &err);
    const cJSON *value;

    if (!yaml)
        return 0;
    cJSON_ArrayForEach(value, yaml_root(yaml))
    {
        if (yaml_line(yaml, value) < 1)
            abort();
    }
    return 0;
}
