/* SPDX-License-Identifier: Apache-2.0 */
#include "command/start_pages.h"

#include <stdio.h>
#include <string.h>

#include "crypto/digest.h"
#include "test.h"

/* How much of files this process has in memory. */
static long mapped_kib(void)
{
    scoped_file status = fopen("/proc/self/status", "re");
    char line[256];
    long kib = -1;

    assert_non_null(status);
    while (kib < 0 && fgets(line, sizeof(line), status))
        if (sscanf(line, "RssFile: %ld kB", &kib) != 1)
            kib = -1;
    return kib;
}

static void test_pages_of_the_start_go_and_come_back_when_used(void **state)
{
    uint8_t before[SHA256_SIZE];
    uint8_t after[SHA256_SIZE];
    long kib;

    (void)state;
    sha256("text", 4, before);
    kib = mapped_kib();
    start_pages_give_back();
    assert_true(mapped_kib() < kib);
    sha256("text", 4, after);
    assert_memory_equal(before, after, SHA256_SIZE);
}

TEST_MAIN(cmocka_unit_test(test_pages_of_the_start_go_and_come_back_when_used))
