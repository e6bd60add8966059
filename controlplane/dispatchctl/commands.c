/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/commands.h"

#include <string.h>

#define STATUSES "queued pending running completed failed stopped"

/* clang-format off */
static const struct flag everywhere[] = {
    {"server", 0, "URL", "where dispatchd is; before $DISPATCH_SERVER and the context", NULL, FLAG_INTO(server)},
    {"token-file", 0, "FILE", "a file with the credential; before $DISPATCH_TOKEN and the context", NULL, FLAG_INTO(token_file)},
    {"context", 0, "NAME", "of the configuration file; of the kubeconfig for kubectl-dispatch", NULL, FLAG_INTO(context)},
    {"config", 0, "FILE", "the configuration file; before $DISPATCH_CONFIG", NULL, FLAG_INTO(config)},
    {"output", 'o', "FORM", "table, wide, json, yaml or name", "table wide json yaml name", FLAG_INTO(output)},
    {"insecure-http", 0, NULL, "send the credential over plain http to another machine", NULL, FLAG_INTO(insecure_http)},
    {"no-color", 0, NULL, "no colours; as with $NO_COLOR", NULL, FLAG_INTO(no_color)},
    {"quiet", 'q', NULL, "no progress and no remarks", NULL, FLAG_INTO(quiet)},
    {"kubeconfig", 0, "FILE", "for kubectl-dispatch; before $KUBECONFIG", NULL, FLAG_INTO(kubeconfig)},
    {"namespace", 'n', "NAME", "for kubectl-dispatch: where dispatchd is; default dispatch", NULL, FLAG_INTO(name_space)},
    {"help", 'h', NULL, "this text", NULL, FLAG_INTO(help)},
};
const struct flag_list common_flags = FLAG_LIST(everywhere);

static const struct flag request[] = {
    {"repo", 'r', "REPO", "OWNER/NAME or a URL that git would clone", NULL, FLAG_INTO(repo)},
    {"prompt", 'p', "TEXT", "what is to be done; @FILE reads a file, - standard input", NULL, FLAG_INTO(prompt)},
    {"branch", 'b', "NAME", "worked from and asked to be merged into", NULL, FLAG_INTO(branch)},
    {"agent", 'a', "NAME", "the coding agent", "claude-code gemini-code opencode command", FLAG_INTO(agent)},
    {"model", 'm', "NAME", "of the agent, in its own words", NULL, FLAG_INTO(model)},
    {"provider", 0, "NAME", "of the model", NULL, FLAG_INTO(provider)},
    {"mode", 0, "MODE", "execute, or plan: change nothing, the plan is the result", "execute plan", FLAG_INTO(mode)},
    {"no-pr", 0, NULL, "push a branch and open no pull request", NULL, FLAG_INTO(no_pr)},
    {"blank", 0, NULL, "no repository: the answer is the result", NULL, FLAG_INTO(blank)},
    {"webhook-url", 0, "URL", "is told of the end", NULL, FLAG_INTO(webhook_url)},
    {"ticket-id", 0, "ID", "for the branch and the title", NULL, FLAG_INTO(ticket_id)},
    {"ticket-summary", 0, "TEXT", "the same", NULL, FLAG_INTO(ticket_summary)},
    {"test-command", 0, "COMMAND", "run after the agent; when it fails the run has failed", NULL, FLAG_INTO(test_command)},
    {"priority", 0, "N", "0 to 1000, default 500: higher goes first", NULL, FLAG_INTO(priority)},
    {"idempotency-key", 0, "KEY", "makes a repeat safe, with an integration token", NULL, FLAG_INTO(idempotency_key)},
};

static const struct flag submitting[] = {
    {"wait", 'w', NULL, "until the run has ended; the exit code tells how", NULL, FLAG_INTO(wait)},
    {"follow", 'f', NULL, "wait, and show what happens meanwhile", NULL, FLAG_INTO(follow)},
    {"timeout", 0, "D", "give up waiting after 90s, 5m, 1h (exit code 5); the run goes on", NULL, FLAG_INTO(timeout_ms)},
    {"patience", 0, "D", "how long the server may be away while waiting; default 1m", NULL, FLAG_INTO(patience_ms)},
    {"dry-run", 0, NULL, "as explain: show what would be launched", NULL, FLAG_INTO(dry_run)},
};

static const struct flag waiting[] = {
    {"wait", 'w', NULL, "until the run has ended; the exit code tells how", NULL, FLAG_INTO(wait)},
    {"follow", 'f', NULL, "wait, and show what happens meanwhile", NULL, FLAG_INTO(follow)},
    {"timeout", 0, "D", "give up waiting after 90s, 5m, 1h (exit code 5); the run goes on", NULL, FLAG_INTO(timeout_ms)},
    {"patience", 0, "D", "how long the server may be away while waiting; default 1m", NULL, FLAG_INTO(patience_ms)},
};

static const struct flag watching[] = {
    {"timeout", 0, "D", "give up after 90s, 5m, 1h (exit code 5); the run goes on", NULL, FLAG_INTO(timeout_ms)},
    {"patience", 0, "D", "how long the server may be away; default 1m", NULL, FLAG_INTO(patience_ms)},
};

static const struct flag listing[] = {
    {"status", 's', "STATUS", "only runs with this one", STATUSES, FLAG_INTO(status)},
    {"limit", 'l', "N", "how many at most; default 100", NULL, FLAG_INTO(limit)},
    {"all", 0, NULL, "all of them, however many", NULL, FLAG_INTO(all)},
};

static const struct flag following[] = {
    {"follow", 'f', NULL, "go on until the run has ended", NULL, FLAG_INTO(follow)},
    {"patience", 0, "D", "how long the server may be away meanwhile; default 1m", NULL, FLAG_INTO(patience_ms)},
};

static const struct flag token_wishes[] = {
    {"repo", 'r', "REPO", "OWNER/NAME: what an integration token may dispatch against", NULL, FLAG_INTO(repo)},
    {"installation-id", 0, "N", "of the GitHub App", NULL, FLAG_INTO(installation_id)},
    {"personal", 0, NULL, "a personal token instead", NULL, FLAG_INTO(personal)},
    {"scope", 0, "SCOPES", "of a personal token: read, dispatch, admin, or some with commas between", NULL, FLAG_INTO(scope)},
    {"user", 0, "NAME", "whose personal token it is", NULL, FLAG_INTO(user)},
    {"email", 0, "ADDRESS", "of that person, for the commits", NULL, FLAG_INTO(email)},
    {"rate", 0, "N", "requests a minute, of an integration token", NULL, FLAG_INTO(rate)},
    {"priority", 0, "N", "of an integration token's runs, 0 to 1000", NULL, FLAG_INTO(priority)},
    {"name", 0, "TEXT", "what it is for", NULL, FLAG_INTO(name)},
    {"expires", 0, "D", "it ends after 12h, 30d", NULL, FLAG_INTO(expires_ms)},
};

static const struct flag token_kinds[] = {
    {"personal", 0, NULL, "of personal tokens", NULL, FLAG_INTO(personal)},
    {"integration", 0, NULL, "of integration tokens (default)", NULL, FLAG_INTO(integration)},
};

static const struct flag entries[] = {
    {"run", 0, "ID", "only of this run", NULL, FLAG_INTO(run)},
    {"limit", 'l', "N", "how many at most; default 100", NULL, FLAG_INTO(limit)},
    {"all", 0, NULL, "all of them, however many", NULL, FLAG_INTO(all)},
};

static const struct flag verifying[] = {
    {"head", 0, "HASH", "of an earlier verify: it must be in the chain still", NULL, FLAG_INTO(head)},
};

static const struct flag delivery_filter[] = {
    {"status", 's', "STATUS", "only deliveries with this one", NULL, FLAG_INTO(status)},
};

static const struct flag context_values[] = {
    {"ca-file", 0, "FILE", "PEM certificates to trust instead of the system's", NULL, FLAG_INTO(ca_file)},
    {"github-url", 0, "URL", "what OWNER/NAME is relative to; default $GITHUB_SERVER_URL or https://github.com", NULL, FLAG_INTO(github_url)},
    {"kube-context", 0, "NAME", "instead of --server: for kubectl-dispatch in this context of the kubeconfig", NULL, FLAG_INTO(kube_context)},
    {"token-stdin", 0, NULL, "read the credential from standard input and keep it in the file", NULL, FLAG_INTO(token_stdin)},
};

#define LISTS(...) {__VA_ARGS__}, sizeof((struct flag_list[]){__VA_ARGS__}) / sizeof(struct flag_list)
#define NO_LISTS {{NULL, 0}}, 0

static const char submit_more[] =
    "The credential decides the way in. An integration token (vgvbot_...) names its repository\n"
    "and only hands over a prompt, --model and --agent: there is no --repo and nothing to wait\n"
    "for. With any other credential the run is a task, or, as soon as one of --agent,\n"
    "--model, --provider, --mode, --no-pr, --blank and --webhook-url is given or --repo is not,\n"
    "an agent run. --ticket-id, --ticket-summary and --test-command are for tasks only.\n";

const struct command commands[] = {
    {"submit", "[PROMPT]", 0, 1, "queue a run", submit_more,
     LISTS(FLAG_LIST(request), FLAG_LIST(submitting)), command_submit},
    {"explain", "[PROMPT]", 0, 1, "show what a submit would launch, and launch nothing", submit_more,
     LISTS(FLAG_LIST(request)), command_explain},
    {"get", "ID", 1, 1, "show one run", NULL, NO_LISTS, command_get},
    {"list", "", 0, 0, "list runs, newest first", NULL, LISTS(FLAG_LIST(listing)), command_list},
    {"watch", "[ID]", 0, 1, "show what happens, in one run until its end or in all",
     "With an ID the exit code is that of submit --wait.\n", LISTS(FLAG_LIST(watching)), command_watch},
    {"logs", "ID", 1, 1, "show a run's log", NULL, LISTS(FLAG_LIST(following)), command_logs},
    {"stop", "ID", 1, 1, "end a run", NULL, NO_LISTS, command_stop},
    {"retry", "ID", 1, 1, "try a failed or stopped run again, as a new one", NULL,
     LISTS(FLAG_LIST(waiting)), command_retry},
    {"token create", "", 0, 0, "make a token and print it, once", NULL,
     LISTS(FLAG_LIST(token_wishes)), command_token_create},
    {"token list", "", 0, 0, "list tokens", NULL, LISTS(FLAG_LIST(token_kinds)), command_token_list},
    {"token revoke", "ID", 1, 1, "end a token, by its id or prefix", NULL,
     LISTS(FLAG_LIST(token_kinds)), command_token_revoke},
    {"audit list", "", 0, 0, "list who did what, newest first", NULL, LISTS(FLAG_LIST(entries)),
     command_audit_list},
    {"audit verify", "", 0, 0, "fetch the audit log and check its chain of hashes here",
     "Needs a credential that sees all entries. Exit code 1: an entry was changed or is missing.\n",
     LISTS(FLAG_LIST(verifying)), command_audit_verify},
    {"deliveries list", "", 0, 0, "list webhook deliveries, newest first", NULL,
     LISTS(FLAG_LIST(entries), FLAG_LIST(delivery_filter)), command_deliveries_list},
    {"deliveries redeliver", "ID", 1, 1, "send a delivery again", NULL, NO_LISTS,
     command_deliveries_redeliver},
    {"config get-contexts", "", 0, 0, "list the contexts of the configuration file", NULL, NO_LISTS,
     command_get_contexts},
    {"config use-context", "NAME", 1, 1, "make a context the current one", NULL, NO_LISTS,
     command_use_context},
    {"config set-context", "NAME", 1, 1, "make or change a context",
     "--server and --token-file are what it keeps. The file is written anew, without its comments.\n",
     LISTS(FLAG_LIST(context_values)), command_set_context},
    {"config view", "", 0, 0, "show the configuration file, without its secrets", NULL, NO_LISTS,
     command_config_view},
    {"completion", "bash|zsh|fish", 1, 1, "print what makes a shell complete this command",
     "    . <(dispatchctl completion bash)\n"
     "    dispatchctl completion zsh > ~/.zfunc/_dispatchctl\n"
     "    dispatchctl completion fish > ~/.config/fish/completions/dispatchctl.fish\n",
     NO_LISTS, command_completion},
    {"version", "", 0, 0, "print the version", NULL, NO_LISTS, command_version},
    {"help", "[COMMAND]", 0, 2, "explain a command, or list them all", NULL, NO_LISTS, command_help},
};
/* clang-format on */
const size_t n_commands = ARRAY_SIZE(commands);

/* How many of argv's words are the command's name; 0: it isn't that. */
static size_t words_of_name(const char *name, const char *const *argv)
{
    const char *space = strchr(name, ' ');
    size_t length = space ? (size_t)(space - name) : strlen(name);

    if (!argv[0] || strlen(argv[0]) != length || memcmp(argv[0], name, length) != 0)
        return 0;
    if (!space)
        return 1;
    return argv[1] && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

const struct command *command_find(const char *const *argv, size_t *out_words)
{
    for (size_t i = 0; i < n_commands; i++) {
        *out_words = words_of_name(commands[i].name, argv);
        if (*out_words)
            return &commands[i];
    }
    return NULL;
}
