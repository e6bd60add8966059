/* SPDX-License-Identifier: Apache-2.0 */
/* A main for one fuzz target without libFuzzer: runs the files named, so that every input
 * ever found stays a test with any compiler. */
#include <stdio.h>

#include "base/buf.h"
#include "fuzz.h"

#define INPUT_MAX_BYTES (4 * 1024 * 1024)

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct err err = {0};
        scoped_buf input = {0};

        if (buf_read_file(&input, argv[i], INPUT_MAX_BYTES, &err) < 0) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)(input.data ? input.data : ""),
                                     input.size);
    }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
