/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/must.h"

#include <stdio.h>
#include <stdlib.h>

void crypto_must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "crypto: %s failed\n", what);
    abort();
}
