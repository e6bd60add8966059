/* SPDX-License-Identifier: Apache-2.0 */
#include "command/token_order.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"

#define SCOPES_MAX 8

const char token_order_usage[] =
    "usage: dispatchd token create --repo OWNER/NAME [--installation-id N] [--name S]\n"
    "                              [--expires-in 30d] [--rate-per-minute N] [--priority N]\n"
    "                              [--launcher NAME]\n"
    "       dispatchd token create --personal --user NAME [--email E] [--name S]\n"
    "                              [--scope read|dispatch|admin]... [--expires-in 30d]\n"
    "       dispatchd token list\n"
    "       dispatchd token revoke PREFIX|ID (of a personal token: PREFIX or pID)\n"
    "       (each also takes --config FILE)\n";

struct arguments {
    bool personal;
    const char *repo;
    const char *name;
    const char *installation;
    const char *expires_in;
    const char *rate;
    const char *priority;
    const char *launcher;
    const char *user;
    const char *email;
    const char *config;
    const char *which;
    const char *scopes[SCOPES_MAX];
    size_t n_scopes;
};

void token_order_done(struct token_order *order)
{
    cJSON_Delete(order->scopes);
}

/* --- Words ----------------------------------------------------------------------------------
 */

static bool take_scope(char *const **argv, struct arguments *out)
{
    return out->n_scopes < SCOPES_MAX
           && command_value("--scope", argv, &out->scopes[out->n_scopes]) && ++out->n_scopes;
}

static bool take_personal(char *const **argv, struct arguments *out)
{
    if (strcmp(**argv, "--personal") != 0)
        return false;
    out->personal = true;
    (*argv)++;
    return true;
}

static bool take_flag(char *const **argv, struct arguments *out)
{
    return command_value("--repo", argv, &out->repo)
           || command_value("--name", argv, &out->name)
           || command_value("--installation-id", argv, &out->installation)
           || command_value("--expires-in", argv, &out->expires_in)
           || command_value("--rate-per-minute", argv, &out->rate)
           || command_value("--priority", argv, &out->priority)
           || command_value("--launcher", argv, &out->launcher)
           || command_value("--user", argv, &out->user)
           || command_value("--email", argv, &out->email)
           || command_value("--config", argv, &out->config) || take_scope(argv, out)
           || take_personal(argv, out);
}

static int read_arguments(char *const *argv, struct arguments *out)
{
    while (*argv) {
        if (take_flag(&argv, out))
            continue;
        if (**argv == '-' || out->which)
            return -1;
        out->which = *argv++;
    }
    return 0;
}

/* --- Values ---------------------------------------------------------------------------------
 */

/* NULL leaves *out alone. */
static bool read_number(const char *text, int64_t least, int64_t *out)
{
    char *end;

    if (!text)
        return true;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !errno && end != text && !*end && *out >= least && (double)*out < JSON_WHOLE_LIMIT;
}

/* "90s", "12h", "30d": a number and what it counts. */
static bool read_life(const char *text, char out_at[CLOCK_TEXT_SIZE])
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t digits = text ? strspn(text, "0123456789") : 0;

    if (!text)
        return true;
    for (size_t i = 0; digits && digits < 8 && i < ARRAY_SIZE(units); i++) {
        if (text[digits] == units[i].unit && !text[digits + 1]) {
            clock_text(clock_wall_ms() + strtoll(text, NULL, 10) * units[i].ms, out_at);
            return true;
        }
    }
    return false;
}

static const char *who_am_i(void)
{
    const struct passwd *user = getpwuid(getuid());

    return user ? user->pw_name : "unknown";
}

/* --- Orders ---------------------------------------------------------------------------------
 */

static bool wants_nothing_of_people(const struct arguments *given)
{
    return !given->user && !given->email && !given->n_scopes;
}

static bool wants_nothing_of_integrations(const struct arguments *given)
{
    return !given->repo && !given->installation && !given->rate && !given->priority
           && !given->launcher;
}

/* A list and a revocation take no wishes. */
static bool wants_nothing(const struct arguments *given)
{
    return wants_nothing_of_people(given) && wants_nothing_of_integrations(given)
           && !given->name && !given->expires_in && !given->personal;
}

static bool order_person(const struct arguments *given, struct token_order *out)
{
    out->personal = true;
    if (given->n_scopes)
        out->scopes = json_array(NULL, 0);
    for (size_t i = 0; i < given->n_scopes; i++)
        cJSON_AddItemToArray(out->scopes, jstr(given->scopes[i]));
    out->person =
        (struct personal_wish){.user = given->user,
                               .email = given->email,
                               .name = given->name,
                               .scopes = out->scopes,
                               .expires_at = given->expires_in ? out->expires_at : NULL,
                               .created_by = who_am_i()};
    return given->user && wants_nothing_of_integrations(given);
}

static bool order_integration(const struct arguments *given, struct token_order *out)
{
    out->wish = (struct token_wish){TOKEN_WISH_DEFAULTS,
                                    .repo = given->repo,
                                    .name = given->name,
                                    .launcher = given->launcher,
                                    .expires_at = given->expires_in ? out->expires_at : NULL,
                                    .created_by = who_am_i()};
    return given->repo && wants_nothing_of_people(given)
           && read_number(given->installation, 1, &out->wish.installation_id)
           && read_number(given->rate, 1, &out->wish.rate_per_minute)
           && read_number(given->priority, 0, &out->wish.priority);
}

static bool order_create(const struct arguments *given, struct token_order *out)
{
    out->action = TOKEN_CREATE;
    if (given->which || !read_life(given->expires_in, out->expires_at))
        return false;
    return given->personal ? order_person(given, out) : order_integration(given, out);
}

/* Both kinds count from 1: a p before the number is how the list shows personal ones. */
static bool order_revoke(const struct arguments *given, struct token_order *out)
{
    const char *which = given->which ? given->which : "";
    bool by_number = which[0] == 'p' && which[1] && !which[1 + strspn(which + 1, "0123456789")];

    out->action = TOKEN_REVOKE;
    out->personal = by_number || strncmp(which, "dsp", 3) == 0;
    out->which = by_number ? which + 1 : which;
    return *which && wants_nothing(given);
}

bool token_order_read(char *const *argv, struct token_order *out)
{
    struct arguments given = {0};
    const char *action = argv[0] ? argv[0] : "";

    if (read_arguments(argv[0] ? argv + 1 : argv, &given) < 0)
        return false;
    out->config = given.config;
    if (strcmp(action, "create") == 0)
        return order_create(&given, out);
    if (strcmp(action, "revoke") == 0)
        return order_revoke(&given, out);
    out->action = TOKEN_LIST;
    return strcmp(action, "list") == 0 && !given.which && wants_nothing(&given);
}
