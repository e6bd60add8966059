/* SPDX-License-Identifier: Apache-2.0 */
/* job.lock, which the job's own user could have written: whom it names is no process that can't
 * be a runner. "BOOT" stands for this boot's id, which a runner's line has. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fuzz.h"
#include "launch/job_lock.h"

#define FILE_MAX 511 /* so much of it is looked at */
#define PLACE "BOOT"

static char *boot_id(void)
{
    struct err err = {0};
    scoped_buf text = {0};

    if (buf_read_file(&text, "/proc/sys/kernel/random/boot_id", 64, &err) < 0)
        return xstrdup("unknown");
    return xasprintf("%.*s", (int)strcspn(text.data, " \n"), text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *boot;
    scoped_str text =
        xasprintf("%.*s", (int)(size < FILE_MAX ? size : FILE_MAX), (const char *)data);
    char *place = strstr(text, PLACE);
    struct job_lock lock = {.exit_code = -1};
    scoped_str with_boot = NULL;

    if (!boot)
        boot = boot_id();
    if (place) {
        *place = '\0';
        with_boot = xasprintf("%s%s%s", text, boot, place + strlen(PLACE));
    }
    job_lock_parse(with_boot ? with_boot : text, &lock);
    if (lock.pid < 0 || lock.pid == 1 || lock.since_ms < 0 || lock.timeout_s < 0)
        abort();
    if (!lock.pid && (lock.since_ms || lock.timeout_s))
        abort();
    if (lock.exit_code < -1 || lock.exit_code > 255 || lock.signal < 0 || lock.signal > 127
        || (lock.signal && lock.exit_code >= 0))
        abort();
    if (!place && lock.pid && !strstr(text, boot))
        abort(); /* of another boot */
    return 0;
}
