/* SPDX-License-Identifier: Apache-2.0 */
/* dispatchd audit verify: is the audit log as it was written? */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "command/command.h"
#include "command/control.h"
#include "store/audit.h"

/* Some hundred thousand entries are walked in a second. */
#define VERIFY_TIMEOUT_MS (15 * 60 * 1000)

static const char usage[] = "usage: dispatchd audit verify [--head HEX] [--config FILE]\n";

struct verification {
    const char *head; /* noted earlier; NULL: none */
    uint8_t noted[SHA256_SIZE];
};

static cJSON *verify_here(struct db *db, const void *ctx, struct err *err)
{
    const struct verification *wanted = ctx;
    struct audit_verdict verdict;

    if (audit_verify(db, wanted->head ? wanted->noted : NULL, &verdict, err) < 0)
        return NULL;
    return audit_verdict_json(&verdict);
}

static cJSON *verify(const struct config *config, const struct verification *wanted,
                     struct err *err)
{
    scoped_str path = xasprintf("/admin/v1/audit/verify%s%s", wanted->head ? "?head=" : "",
                                wanted->head ? wanted->head : "");
    struct control_call call = {
        .method = "GET",
        .path = path,
        .timeout_ms = VERIFY_TIMEOUT_MS,
        .here = verify_here,
        .ctx = wanted,
    };

    return control_do(config, &call, err);
}

/* 0 when all is as it was written. */
static int say(const struct verification *wanted, const cJSON *verdict)
{
    int64_t entries = json_get_int(verdict, "entries", 0);
    int64_t broken = json_get_int(verdict, "broken", 0);
    int code = 1;

    if (broken)
        printf("broken at entry %" PRId64 ": it is not as it was written, or not where\n",
               broken);
    else if (wanted->head && !json_get_bool(verdict, "noted_found", false))
        printf("broken: the noted head is not among the %" PRId64 " entries\n", entries);
    else
        code = 0;
    if (code == 0)
        printf("%" PRId64 " entries, chain intact, head %s\n", entries,
               json_get_str(verdict, "head"));
    return fflush(stdout) == 0 ? code : 1;
}

static bool read_arguments(char *const *argv, struct verification *out, const char **out_file)
{
    if (!*argv || strcmp(*argv, "verify") != 0)
        return false;
    for (argv++; *argv;)
        if (!command_value("--head", &argv, &out->head)
            && !command_value("--config", &argv, out_file))
            return false;
    return !out->head || hex_decode(out->head, out->noted, sizeof(out->noted));
}

int command_audit(char *const *argv)
{
    struct verification wanted = {0};
    const char *file = NULL;
    scoped_config config = {0};
    struct err err = {0};

    if (!read_arguments(argv, &wanted, &file)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (control_config(file, &config, &err) < 0)
        return command_quit("configuration", &err);
    scoped_json verdict = verify(&config, &wanted, &err);
    return verdict ? say(&wanted, verdict) : command_quit("audit", &err);
}
