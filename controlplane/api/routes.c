/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app.h"

/* clang-format off */
const struct route public_routes[] = {
    {HTTP_POST, "/dispatchTask", SCOPE_DISPATCH, ROUTE_INLINE, dispatch_task, "Queue a run against the token's repository"},

    {HTTP_POST, "/api/tasks/submit", SCOPE_TASKS, 0, submit_task, "Queue a run against a repository"},
    {HTTP_POST, "/api/tasks", SCOPE_TASKS, 0, submit_task, "The same"},
    {HTTP_GET, "/api/tasks", SCOPE_READ, 0, list_tasks, "Runs, newest first"},
    {HTTP_GET, "/api/tasks/history", SCOPE_READ, 0, list_history, "Ended runs, newest first"},
    {HTTP_GET, "/api/tasks/{task_id}/status", SCOPE_READ, 0, show_task, "Where one run stands"},
    {HTTP_POST, "/api/tasks/{task_id}/stop", SCOPE_TASKS, ROUTE_NO_BODY, stop_task, "End a run"},
    {HTTP_POST, "/api/tasks/{task_id}/retry", SCOPE_TASKS, ROUTE_NO_BODY, retry_task, "Try a failed run again"},

    {HTTP_GET, "/api/tasks/{task_id}/events", SCOPE_READ, 0, stream_task, "What happens in one run, live"},
    {HTTP_GET, "/api/tasks/{task_id}/logs", SCOPE_READ, 0, stream_task_log, "A run's log as text"},
    {HTTP_GET, "/api/events", SCOPE_READ, 0, stream_all, "What happens in all runs, live"},

    {HTTP_POST, "/api/v1/agents", SCOPE_TASKS, ROUTE_V1_ERRORS, create_agent, "Queue an agent run"},
    {HTTP_GET, "/api/v1/agents", SCOPE_READ, ROUTE_V1_ERRORS, list_agents, "Agent runs, newest first"},
    {HTTP_GET, "/api/v1/agents/{id}", SCOPE_READ, ROUTE_V1_ERRORS, show_agent, "One agent run"},
    {HTTP_GET, "/api/v1/agents/{id}/events", SCOPE_READ, ROUTE_V1_ERRORS, stream_agent, "What happens in one agent run, live"},
    {HTTP_POST, "/api/v1/agents/{id}/stop", SCOPE_TASKS, ROUTE_V1_ERRORS | ROUTE_NO_BODY, stop_agent_run, "End an agent run"},

    {HTTP_POST, "/api/tokens/integration", SCOPE_OPERATOR, 0, create_integration_token, "Mint an integration token"},
    {HTTP_GET, "/api/tokens/integration", SCOPE_OPERATOR, 0, list_integration_tokens, "All integration tokens"},
    {HTTP_DELETE, "/api/tokens/integration/{which}", SCOPE_OPERATOR, 0, revoke_integration_token, "Revoke one, by prefix or id"},
    {HTTP_POST, "/api/tokens/personal", SCOPE_OPERATOR, 0, create_personal_token, "Mint a personal token"},
    {HTTP_GET, "/api/tokens/personal", SCOPE_OPERATOR, 0, list_personal_tokens, "All personal tokens"},
    {HTTP_DELETE, "/api/tokens/personal/{which}", SCOPE_OPERATOR, 0, revoke_personal_token, "Revoke one, by prefix or id"},

    {HTTP_GET, "/api/deliveries", SCOPE_READ, 0, list_deliveries, "What receivers were told, newest first"},
    {HTTP_GET, "/api/deliveries/{delivery_id}", SCOPE_READ, 0, show_delivery, "One delivery, with its payload"},
    {HTTP_POST, "/api/deliveries/{delivery_id}/redeliver", SCOPE_TASKS, ROUTE_NO_BODY, redeliver, "Make a delivery again"},
    {HTTP_GET, "/api/audit", SCOPE_READ, 0, list_audit, "Who did what"},

    {HTTP_POST, "/runner/v1/claim", SCOPE_RUNNER, 0, claim_run, "A runner takes its run"},
    {HTTP_POST, "/runner/v1/git-token", SCOPE_RUNNER, ROUTE_NO_BODY, give_git_token, "A token for the run's repository"},
    {HTTP_POST, "/runner/v1/tool-headers", SCOPE_RUNNER, ROUTE_NO_BODY, give_tool_headers, "The headers that the run's tools are called with"},
    {HTTP_POST, "/runner/v1/events", SCOPE_RUNNER, 0, add_events, "What happened in the run"},
    {HTTP_POST, "/runner/v1/heartbeat", SCOPE_RUNNER, ROUTE_NO_BODY, heartbeat, "The runner lives; should it stop?"},
    {HTTP_POST, "/api/callbacks/complete", SCOPE_RUNNER, 0, complete_run, "A runner reports the end"},

    {HTTP_GET, "/health", ANYONE, 0, show_health, "Is the server well, how long are its queues?"},
    {HTTP_GET, "/livez", ANYONE, ROUTE_INLINE, show_live, "Is the process alive?"},
    {HTTP_GET, "/readyz", ANYONE, 0, show_ready, "Can it take requests?"},
    {HTTP_GET, "/metrics", ANYONE, 0, show_metrics, "Prometheus text"},
    {HTTP_GET, "/api/startup/check", ANYONE, 0, check_startup, "Each required setting and the store: well or why not"},
    {HTTP_GET, "/api/rate-limit", SCOPE_READ, 0, show_rate_limit, "How far GitHub lets us go"},
    {HTTP_GET, "/openapi.yaml", ANYONE, ROUTE_INLINE, show_openapi, "This API's description"},
};
const size_t n_public_routes = ARRAY_SIZE(public_routes);

const struct route admin_routes[] = {
    {HTTP_GET, "/admin/v1/audit/verify", SCOPE_ADMIN, 0, verify_audit, "Is the audit log as it was written?"},
    {HTTP_POST, "/admin/v1/tokens", SCOPE_ADMIN, 0, create_integration_token, "Mint an integration token"},
    {HTTP_GET, "/admin/v1/tokens", SCOPE_ADMIN, 0, list_integration_tokens, "All integration tokens"},
    {HTTP_DELETE, "/admin/v1/tokens/{which}", SCOPE_ADMIN, 0, revoke_integration_token, "Revoke one, by prefix or id"},
    {HTTP_POST, "/admin/v1/personal-tokens", SCOPE_ADMIN, 0, create_personal_token, "Mint a personal token"},
    {HTTP_GET, "/admin/v1/personal-tokens", SCOPE_ADMIN, 0, list_personal_tokens, "All personal tokens"},
    {HTTP_DELETE, "/admin/v1/personal-tokens/{which}", SCOPE_ADMIN, 0, revoke_personal_token, "Revoke one, by prefix or id"},
};
const size_t n_admin_routes = ARRAY_SIZE(admin_routes);
/* clang-format on */
