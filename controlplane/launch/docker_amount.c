/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_amount.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

#define BYTES_MAX (INT64_C(1) << 50)
#define ULIMITS_MAX 16
#define ULIMIT_VALUE_MAX INT64_C(1073741824)

static int refuse_size(const char *setting, struct err *err)
{
    return err_set(err, ERR_INVALID, "docker.%s: expected a size as 512m or 4g", setting);
}

/* 0 when it is no unit. */
static double unit_size(const char *unit)
{
    static const char letters[] = "kmgt";
    const char *found;
    double size = 1024;

    if (!*unit || strcasecmp(unit, "b") == 0)
        return 1;
    found = strchr(letters, tolower((unsigned char)*unit));
    if (!found || !*found)
        return 0;
    for (const char *letter = letters; letter < found; letter++)
        size *= 1024;
    unit++;
    return !*unit || strcasecmp(unit, "b") == 0 || strcasecmp(unit, "ib") == 0
                   || strcasecmp(unit, "i") == 0
               ? size
               : 0;
}

int docker_amount_bytes(const char *setting, const char *text, int64_t *out, struct err *err)
{
    double number;
    double unit;
    char *end;

    *out = 0;
    if (!text)
        return 0;
    if (!isdigit((unsigned char)*text))
        return refuse_size(setting, err);
    number = strtod(text, &end);
    if (end != text + strspn(text, "0123456789.")) /* no exponents, no 0x */
        return refuse_size(setting, err);
    unit = unit_size(end + strspn(end, " "));
    if (unit < 1 || number * unit > (double)BYTES_MAX)
        return refuse_size(setting, err);
    *out = (int64_t)(number * unit);
    return 0;
}

/* --- Limits of processes ----------------------------------------------------------------- */

static bool take_number(const char **text, int64_t *out)
{
    const char *c = *text;

    *out = 0;
    if (!isdigit((unsigned char)*c))
        return false;
    for (; isdigit((unsigned char)*c); c++) {
        *out = *out * 10 + (*c - '0');
        if (*out > ULIMIT_VALUE_MAX)
            return false;
    }
    *text = c;
    return true;
}

static cJSON *one_ulimit(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    const char *rest = text + length;
    scoped_str name = xstrndup(text, length);
    int64_t soft;
    int64_t hard;

    if (!length || length > 16 || *rest != '=')
        return NULL;
    rest++;
    if (!take_number(&rest, &soft))
        return NULL;
    hard = soft;
    if (*rest == ':') {
        rest++;
        if (!take_number(&rest, &hard) || hard < soft)
            return NULL;
    }
    return *rest ? NULL
                 : jobj({"Name", jstr(name)}, {"Soft", jint(soft)}, {"Hard", jint(hard)});
}

int docker_amount_ulimits(const char *setting, const char *text, cJSON **out, struct err *err)
{
    scoped_str copy = xstrdup(text ? text : "");
    scoped_json all = cJSON_CreateArray();
    char *rest = copy;

    *out = NULL;
    for (char *word = strsep(&rest, ", \t"); word; word = strsep(&rest, ", \t")) {
        cJSON *one = *word ? one_ulimit(word) : NULL;

        if (!*word)
            continue;
        if (!one || cJSON_GetArraySize(all) == ULIMITS_MAX) {
            cJSON_Delete(one);
            return err_set(err, ERR_INVALID,
                           "docker.%s: expected limits as nofile=1024 or nproc=100:200",
                           setting);
        }
        (void)cJSON_AddItemToArray(all, one);
    }
    if (cJSON_GetArraySize(all))
        *out = TAKE(all);
    return 0;
}
