#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that the documented faces promise to their users, typed as their texts have them:
only the host, the credential and what stands there as "..." are put in. bash, curl and jq run
them against a dispatchd that was started as the text says; its jobs are of the launcher `fake`.
"""
import json
import os
import re
import subprocess
import sys

from parts import BUILD, Dispatchd, Failed, Place, end, wait_for

API_KEY = "your-api-key"
ID = re.compile(r"[0-9a-z]{20}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

DISPATCH = """
curl -X POST https://<region>-<project>.cloudfunctions.net/dispatchTask \\
-H "Authorization: Bearer vgvbot_<rest-of-token>" \\
-H "Content-Type: application/json" \\
-d '{
"prompt": "Add a button to the home page that opens the settings drawer."
}'
"""
SUBMIT = """
curl -X POST http://localhost:5000/api/tasks/submit \\
-H "Authorization: Bearer your-api-key" \\
-H "Content-Type: application/json" \\
-d '{
"repository_url": "https://github.com/user/repo.git",
"description": "Add dark mode support to the application",
"ticket_id": "FEAT-123",
"ticket_summary": "add-dark-mode"
}'
"""
STATUS = """
curl http://localhost:5000/api/tasks/550e8400-e29b-41d4-a716-446655440000/status \\
-H "Authorization: Bearer your-api-key"
"""
LIST = """
curl "http://localhost:5000/api/tasks?status=completed&limit=10" \\
-H "Authorization: Bearer your-api-key"
"""
POLL = """
# Submit task
TASK_ID=$(curl -X POST http://localhost:5000/api/tasks/submit \\
-H "Authorization: Bearer your-api-key" \\
-H "Content-Type: application/json" \\
-d '{"repository_url": "...", "description": "..."}' \\
| jq -r '.task_id')
# Poll for completion
while true; do
STATUS=$(curl -s http://localhost:5000/api/tasks/$TASK_ID/status \\
-H "Authorization: Bearer your-api-key" \\
| jq -r '.status')
if [ "$STATUS" = "completed" ] || [ "$STATUS" = "failed" ]; then
break
fi
echo "Status: $STATUS"
sleep 5
done
echo "Final status: $STATUS"
"""
HEALTH = "curl http://localhost:5000/health"
# The example of each field, together.
AGENT = {
    "repo": "username/repo-name",
    "prompt": "Add a new endpoint to handle user authentication",
    "model": "claude-opus-4.5",
    "provider": "anthropic",
    "branch": "main",
    "webhook_url": "https://example.com/webhooks/agent-complete",
    "mode": "execute",
    "auto_create_pr": True,
    "agent_provider": "opencode",
    "tools": [{
        "name": "search_inventory",
        "description": "Search product inventory",
        "parameters": {"properties": {"query": {"type": "string", "description": "Search query"},
                                      "limit": {"type": "number",
                                                "description": "Max results"}}},
        "endpoint": {"url": "https://api.example.com/search", "method": "POST",
                     "headers": {"Authorization": "Bearer token-abc"}},
    }],
}


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Shell:
    """bash, with the texts' hosts put right."""

    def __init__(self, dispatchd, token):
        self.dispatchd = dispatchd
        self.token = token

    def run(self, text, **words):
        for old, new in {"http://localhost:5000": self.dispatchd.url,
                         "https://<region>-<project>.cloudfunctions.net": self.dispatchd.url,
                         "vgvbot_<rest-of-token>": self.token, **words}.items():
            text = text.replace(old, new)
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=120,
                              check=False, env={"PATH": os.environ["PATH"], "no_proxy": "*"})
        check(done.returncode == 0, f"{text}: {done.returncode} {done.stderr}")
        return done.stdout

    def json(self, text, **words):
        return json.loads(self.run(text, **words))

    def agents(self, body):
        return self.json(f"""curl -X POST http://localhost:5000/api/v1/agents \\
-H "Authorization: Bearer {API_KEY}" -H "Content-Type: application/json" \\
-d '{json.dumps(body)}'""")


def dispatch_api(shell):
    answer = shell.json(DISPATCH)
    check(list(answer) == ["runId"] and ID.fullmatch(answer["runId"]), f"dispatchTask: {answer}")
    return "dispatchTask: " + json.dumps(answer)


def task_api(shell):
    answer = shell.json(SUBMIT)
    check({**answer, "task_id": ""} == {"task_id": "", "status": "pending",
                                        "message": "Task queued successfully"}, f"{answer}")
    task = answer["task_id"]
    shell.dispatchd.wait_ended(task)
    status = shell.json(STATUS, **{"550e8400-e29b-41d4-a716-446655440000": task})
    check(status["task_id"] == task and status["status"] == "completed", f"status: {status}")
    check(all(TIME.fullmatch(status[name])
              for name in ("submitted_at", "started_at", "completed_at")), f"times: {status}")
    check(isinstance(status["result"], dict), f"result: {status}")
    page = shell.json(LIST)
    mine = [one for one in page["tasks"] if one["task_id"] == task]
    check(page["count"] == len(page["tasks"]) and len(mine) == 1, f"list: {page}")
    check(mine[0]["repository_url"] == "https://github.com/user/repo.git"
          and mine[0]["description"] == "Add dark mode support to the application", f"{mine}")
    return f"submit, status, list: {task} {status['status']}"


def polling(shell):
    said = shell.run(POLL, **{'"repository_url": "..."':
                              '"repository_url": "https://github.com/user/repo.git"',
                              '"description": "..."': '"description": "run_ms=8000 Poll me"'})
    check(re.fullmatch(r"(Status: (pending|running)\n)+Final status: completed\n", said), said)
    return "the script that polls: " + said.strip().replace("\n", ", ")


def failed_task(shell):
    answer = shell.json(SUBMIT, **{"Add dark mode support": "end=failed Add dark mode support"})
    shell.dispatchd.wait_ended(answer["task_id"])
    status = shell.json(STATUS, **{"550e8400-e29b-41d4-a716-446655440000": answer["task_id"]})
    check(status["status"] == "failed" and status["error"] and "result" not in status,
          f"a failed task: {status}")
    return f"a failed task says why: {status['error']}"


def health(shell):
    answer = shell.json(HEALTH)
    check(answer == {"status": "healthy", "review_queue_size": 0,
                     "task_queue_size": answer.get("task_queue_size")}, f"health: {answer}")
    return "health: " + json.dumps(answer)


def errors(shell):
    with_code = {"curl ": "curl -s -w ' %{http_code}' "}
    missing = shell.run(STATUS, **with_code)
    check(missing.endswith(" 404"), f"an unknown task: {missing}")
    wrong = shell.run(LIST, **with_code, **{"Bearer your-api-key": "Bearer another"})
    check(wrong.endswith(" 401"), f"a wrong key: {wrong}")
    bad = shell.run(LIST, **with_code, **{"limit=10": "limit=1001"})
    check(bad.endswith(" 400"), f"a bad query: {bad}")
    empty = shell.run(SUBMIT, **with_code, **{'"description"': '"descriptoin"'})
    check(empty.endswith(" 400"), f"a body without its description: {empty}")
    return "errors: 404, 401, 400, 400"


def agents_api(shell):
    answer = shell.agents(AGENT)
    check(sorted(answer) == ["id", "message", "status", "title"] and answer["status"] == "queued"
          and ID.fullmatch(answer["id"]), f"agents: {answer}")
    blank = shell.agents({"prompt": AGENT["prompt"], "blank_workspace": True, "mode": "plan"})
    check(blank["status"] == "queued", f"a blank workspace: {blank}")
    wrong = shell.agents({**AGENT, "repo": "no-owner"})
    check(wrong["error"] == "Validation Error"
          and wrong["message"] == "repo: repo must be in format: owner/repo", f"{wrong}")
    return f"agents: {answer['id']} \"{answer['title']}\"; {wrong['message']}"


def serve_as_written(place, environment):
    """codebot serve --port 5000 --workers 2, on a port that is free, and what it prints."""
    process = subprocess.Popen(
        [os.path.join(BUILD, "dispatchd"), "serve", "--port", "0", "--workers", "2",
         "--work-dir", os.path.join(place, "work"), "--debug"],
        env={**environment, "CODEBOT_API_KEYS": "secret-key-1,secret-key-2",
             "DISPATCH_DATABASE": os.path.join(place, "second.db")},
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        said = [process.stdout.readline() for _ in range(6)]
    finally:
        end(process)
    check(said[0] == "HTTP API enabled with 2 API key(s)\n"
          and re.fullmatch(r"Starting server on port \d+\.\.\.\n", said[1]), f"{said}")
    found = [re.fullmatch(r"(?:API endpoints:)? +http://[^/]+(/.*)\n", line) for line in said[2:]]
    check([one and one.group(1) for one in found]
          == ["/api/tasks/submit", "/api/tasks/{task_id}/status", "/api/tasks", "/dispatchTask"],
          f"{said}")
    wait_for("it has ended", lambda: process.poll() is not None)
    check(process.returncode == 0, f"its exit code is {process.returncode}")
    process.stdout.close()
    return "serve: " + said[0].strip()


class NoGitHub:
    """The addresses of GitHub itself: nothing here asks them, but repository_url names them."""
    url = "https://github.com"


def main():
    failed = 0
    with Place() as place, Dispatchd(place, NoGitHub, "true", CODEBOT_API_KEYS=API_KEY,
                                     DISPATCH_LAUNCHER="fake",
                                     DISPATCH_DEFAULT_AGENT="claude-code") as dispatchd:
        dispatchd.start()
        shell = Shell(dispatchd, dispatchd.token())
        cases = [lambda: dispatch_api(shell), lambda: task_api(shell), lambda: polling(shell),
                 lambda: failed_task(shell), lambda: health(shell), lambda: errors(shell),
                 lambda: agents_api(shell),
                 lambda: serve_as_written(place, dispatchd.environment)]
        for case in cases:
            try:
                print(f"  ok    {case()}", flush=True)
            except (Failed, KeyError, ValueError) as problem:
                failed += 1
                print(f"  FAIL  {problem!r}\n{dispatchd.tail()}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
