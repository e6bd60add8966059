/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GIT_FILE_COPY_H
#define GIT_FILE_COPY_H
#include "base/err.h"

/* From where both descriptors stand to the end of `from`; in the kernel where that can. */
int file_copy(int from, int to, struct err *err) CHECKED;
#endif
