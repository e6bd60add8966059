/* SPDX-License-Identifier: Apache-2.0 */
/* dispatchd backup and dispatchd restore: the database in one file, and back. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "command/command.h"
#include "command/control.h"
#include "store/backup.h"
#include "store/lock.h"

static const char backup_usage[] =
    "usage: dispatchd backup --to FILE|DIRECTORY [--keep N] [--force] [--config FILE]\n"
    "  Copies the database, also while a dispatchd serves it. In a DIRECTORY the file gets "
    "the\n"
    "  time as its name, and with --keep only the N newest of these stay.\n";
static const char restore_usage[] =
    "usage: dispatchd restore --from FILE [--config FILE]\n"
    "  Puts a backup in the database's place, which no dispatchd may be serving.\n";

#define NAME_PREFIX "dispatch-"
#define NAME_SUFFIX ".db"
#define NAME_TIME "%Y%m%dT%H%M%SZ"
#define NAME_SIZE 32
#define KEEP_MAX 100000

struct backup_order {
    const char *to;
    const char *keep_text; /* NULL: all */
    const char *config;
    long keep;
    bool force;
};

/* --- Words -------------------------------------------------------------------------------- */

static bool take_force(char *const **argv, struct backup_order *out)
{
    if (strcmp(**argv, "--force") != 0)
        return false;
    out->force = true;
    (*argv)++;
    return true;
}

static bool read_order(char *const *argv, struct backup_order *out)
{
    char *end;

    while (*argv)
        if (!command_value("--to", &argv, &out->to)
            && !command_value("--keep", &argv, &out->keep_text)
            && !command_value("--config", &argv, &out->config) && !take_force(&argv, out))
            return false;
    if (!out->to || !*out->to)
        return false;
    if (!out->keep_text)
        return true;
    out->keep = strtol(out->keep_text, &end, 10);
    return *out->keep_text && !*end && out->keep >= 1 && out->keep <= KEEP_MAX;
}

/* --- Directories -------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static char *dated_file(const char *directory)
{
    time_t now_s = (time_t)(clock_wall_ms() / 1000);
    char name[NAME_SIZE] = "";
    struct tm parts;

    if (gmtime_r(&now_s, &parts))
        (void)strftime(name, sizeof(name), NAME_TIME, &parts);
    return xasprintf("%s/" NAME_PREFIX "%s" NAME_SUFFIX, directory, name);
}

/* Nothing else that may lie there. */
static int is_dated(const struct dirent *entry)
{
    static const char form[] = NAME_PREFIX "########T######Z" NAME_SUFFIX;
    const char *name = entry->d_name;

    for (size_t i = 0; i < sizeof(form); i++)
        if (form[i] == '#' ? name[i] < '0' || name[i] > '9' : name[i] != form[i])
            return 0;
    return 1;
}

/* Their names sort by time. */
static int keep_newest(const char *directory, long keep, struct err *err)
{
    struct dirent **found = NULL;
    int count = scandir(directory, &found, is_dated, alphasort);
    int result = count < 0 ? err_set_errno(err, errno, "%s", directory) : 0;

    for (int i = 0; i < count; i++) {
        scoped_str path = xasprintf("%s/%s", directory, found[i]->d_name);

        if (i < count - keep && unlink(path) < 0 && errno != ENOENT)
            result = err_set_errno(err, errno, "%s", path);
        free(found[i]);
    }
    free(found);
    return result;
}

/* --- Backup ------------------------------------------------------------------------------- */

static void say_facts(const char *what, const char *file, const struct backup_facts *facts)
{
    char taken[CLOCK_TEXT_SIZE];

    clock_text(facts->taken_ms, taken);
    printf("%s %s: %" PRId64 " runs as of %s, %" PRId64 " bytes, schema %d\n", what, file,
           facts->runs, taken, facts->bytes, facts->schema);
}

static int back_up(const struct backup_order *order, const struct config *config,
                   struct err *err)
{
    bool dated = is_directory(order->to);
    scoped_str file = dated ? dated_file(order->to) : xstrdup(order->to);
    struct backup_facts facts;

    if (order->keep && !dated)
        return err_set(err, ERR_INVALID, "--keep needs a directory, which %s isn't", order->to);
    if (backup_make(config->database, file, order->force, &facts, err) < 0)
        return -1;
    say_facts("backed up to", file, &facts);
    return order->keep ? keep_newest(order->to, order->keep, err) : 0;
}

int command_backup(char *const *argv)
{
    struct backup_order order = {0};
    scoped_config config = {0};
    struct err err = {0};

    if (!read_order(argv, &order)) {
        (void)fputs(backup_usage, stderr);
        return 2;
    }
    if (control_config(order.config, &config, &err) < 0)
        return command_quit("configuration", &err);
    if (back_up(&order, &config, &err) < 0)
        return command_quit("backup", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* --- Restore ------------------------------------------------------------------------------ */

/* What is older now than people may think. */
static void warn(const struct config *config, const struct backup_facts *facts)
{
    scoped_str key = xasprintf("%s.key", config->database);
    char taken[CLOCK_TEXT_SIZE];

    clock_text(facts->taken_ms, taken);
    (void)fprintf(stderr,
                  "dispatchd: warning: tokens that were revoked after %s are valid again: see "
                  "`dispatchd token list`, and revoke them before you start dispatchd\n"
                  "dispatchd: warning: tokens that were made and runs that were accepted after "
                  "that are unknown; jobs of such runs are reported and left alone\n",
                  taken);
    if (!config->encryption_key && access(key, F_OK) < 0)
        (void)fprintf(
            stderr,
            "dispatchd: warning: %s isn't there: without the key of the backup's time "
            "runners at work can't call home, and sealed values stay sealed\n",
            key);
}

static int restore(const char *from, const struct config *config, struct err *err)
{
    scoped(store_lock) lock = store_lock_take(config->database, 0, err);
    scoped_str former = NULL;
    struct backup_facts facts;

    if (!lock || backup_restore(from, config->database, &facts, &former, err) < 0)
        return -1;
    say_facts("restored from", from, &facts);
    if (former)
        printf("the former database is %s\n", former);
    warn(config, &facts);
    return 0;
}

int command_restore(char *const *argv)
{
    const char *from = NULL;
    const char *file = NULL;
    scoped_config config = {0};
    struct err err = {0};

    while (*argv) {
        if (!command_value("--from", &argv, &from)
            && !command_value("--config", &argv, &file)) {
            from = NULL;
            break;
        }
    }
    if (!from || !*from) {
        (void)fputs(restore_usage, stderr);
        return 2;
    }
    if (control_config(file, &config, &err) < 0)
        return command_quit("configuration", &err);
    if (restore(from, &config, &err) < 0)
        return command_quit("restore", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}
