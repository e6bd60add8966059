/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H
#include <stddef.h>
#include <stdint.h>

/* What each fuzz_*.c defines: libFuzzer calls it, and so does replay.c in `make test`. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
