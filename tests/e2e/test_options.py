#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client may ask of a run beside its prompt, through the faces that take it: a base
branch, tests, a ticket, a plan, a blank workspace, no pull request; and what a runner does when it
is taken away, its branch is taken, or its machine is short of something."""
import os
import signal
import subprocess
import sys

from parts import (API_KEY, GITHUB_TOKEN, Dispatchd, Failed, Place, Standin, agent_script, call,
                   signal_runners, wait_for)

AGENT = r"""
prompt=$(cat)
case $prompt in
    *question*) echo "the answer is 42"; ls -A > "$(dirname "$0")/seen"; exit 0 ;;
    *plan*) echo "first this, then that" ;;
    *slowly*) echo half > half.txt; touch "$(dirname "$0")/slow-agent-works"; sleep 300 ;;
    *quietly*) sleep 300 ;;
esac
printf '%s\n' "$prompt" > change.txt
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Client:
    def __init__(self, dispatchd, standin):
        self.dispatchd = dispatchd
        self.standin = standin

    def post(self, path, body):
        return call(f"{self.dispatchd.url}{path}", "POST", body,
                    {"Authorization": f"Bearer {API_KEY}"})

    def submit(self, description, **fields):
        status, answer = self.post("/api/tasks/submit", {
            "repository_url": f"{self.standin.url}/octo/hello.git", "description": description,
            **fields})
        check(status == 202, f"{status} {answer}")
        return answer["task_id"]

    def agent_run(self, **fields):
        status, answer = self.post("/api/v1/agents", fields)
        check(status == 201, f"{status} {answer}")
        return answer["id"]

    def ended(self, run_id):
        return self.dispatchd.wait_ended(run_id)

    def pull(self, task):
        number = task["result"]["pr_url"].rsplit("/", 1)[1]
        return next(pull for pull in self.standin.pulls() if str(pull["number"]) == number)

    def branches(self):
        repository = os.path.join(self.dispatchd.place, "github", "octo", "hello.git")
        out = subprocess.run(["git", "-C", repository, "for-each-ref", "--format=%(refname:short)"],
                             check=True, capture_output=True, text=True).stdout
        return out.split()


def ticket_and_base(client):
    repository = os.path.join(client.dispatchd.place, "github", "octo", "hello.git")
    subprocess.run(["git", "-C", repository, "branch", "release", "main"], check=True)
    task = client.ended(client.submit("Add dark mode", ticket_id="FEAT-123", base_branch="release",
                                      ticket_summary="add-dark-mode"))
    check(task["status"] == "completed", f"{task}")
    pull = client.pull(task)
    check(pull["base"] == "release", f"{pull}")
    check(pull["title"] == "FEAT-123: add-dark-mode", f"{pull['title']}")
    check(task["result"]["branch_name"].endswith("/feat-123-add-dark-mode"), f"{task}")
    return pull["title"]


def missing_base(client):
    task = client.ended(client.submit("x", base_branch="nowhere"))
    check(task["status"] == "failed" and task["error_code"] == "clone_failed", f"{task}")
    return task["error"]


def passing_tests(client):
    task = client.ended(client.submit("work", test_command="test -s change.txt && echo fine"))
    check(task["status"] == "completed" and not client.pull(task)["draft"], f"{task}")
    return "an ordinary pull request"


def failing_tests(client):
    task = client.ended(client.submit(
        "work", test_command="echo early; echo 'not ok 7 - the @octocat test'; exit 3"))
    check(task["status"] == "failed" and task["error_code"] == "tests_failed", f"{task}")
    pull = client.pull(task)
    check(pull["draft"], "not a draft")
    check(pull["body"].startswith("> [!WARNING]"), pull["body"][:200])
    check("exit code 3" in pull["body"] and "> not ok 7 - the @octocat test" in pull["body"],
          pull["body"][:500])
    return task["error"]


def endless_tests(client):
    place = os.path.join(client.dispatchd.place, "hasty")
    os.makedirs(place)
    with Dispatchd(place, client.standin, client.dispatchd.environment["DISPATCH_AGENT_COMMAND"],
                   DISPATCH_RUN_TIMEOUT="10") as hasty:
        hasty.start()
        impatient = Client(hasty, client.standin)
        task = impatient.ended(impatient.submit("work", test_command="sleep 300"))
        check(task["status"] == "failed" and task["error_code"] == "tests_failed", f"{task}")
        check(client.pull(task)["draft"], "not a draft")
    return task["error"]


def tests_hold_no_secret(client):
    """The tests are the agent's work: they run behind its wall."""
    task = client.ended(client.submit("work", test_command="env; cat /proc/$PPID/environ; exit 1"))
    body = client.pull(task)["body"]
    check("HOME=" in body, body[:300])
    for secret in (GITHUB_TOKEN, API_KEY, "vgvtask_"):
        check(secret not in body, f"{secret[:8]} in the quoted output")
    return "nothing in their environment"


def plan(client):
    before = client.branches()
    task = client.ended(client.agent_run(repo="octo/hello", prompt="plan it", mode="plan"))
    check(task["status"] == "completed", f"{task}")
    check("first this, then that" in task["result"]["text"], f"{task}")
    check("pr_url" not in task["result"] and client.branches() == before, "something was pushed")
    return "its plan is the result, nothing is pushed"


def blank(client):
    task = client.ended(client.agent_run(prompt="a question", blank_workspace=True))
    check(task["status"] == "completed", f"{task}")
    check(task["result"]["text"].strip() == "the answer is 42", f"{task}")
    with open(os.path.join(client.dispatchd.place, "seen"), encoding="utf-8") as seen:
        check(seen.read() == "", "the workspace wasn't blank")
    return "its answer is the result"


def no_pull_request(client):
    pulls = len(client.standin.pulls())
    task = client.ended(client.agent_run(repo="octo/hello", prompt="work", auto_create_pr=False))
    check(task["status"] == "completed" and "pr_url" not in task["result"], f"{task}")
    check(task["result"]["branch_name"] in client.branches(), "no branch")
    check(len(client.standin.pulls()) == pulls, "a pull request")
    return task["result"]["branch_name"]


def taken_away(client):
    """SIGTERM that nobody asked for, as when a node goes: what there is becomes a draft."""
    run_id = client.submit("slowly")
    wait_for("the agent works",
             lambda: os.path.exists(os.path.join(client.dispatchd.place, "slow-agent-works")))
    signal_runners(client.dispatchd.place, signal.SIGTERM)
    task = client.ended(run_id)
    check(task["status"] == "failed" and task["error_code"] == "evicted", f"{task}")
    pull = client.pull(task)
    check(pull["draft"] and "taken away" in pull["body"], f"{pull}")
    return "a draft of what there was"


def stopped(client):
    run_id = client.submit("quietly")
    wait_for("it runs", lambda: client.dispatchd.task(run_id)["status"] == "running")
    status, _ = client.post(f"/api/tasks/{run_id}/stop", {})
    check(status == 202, f"{status}")
    task = client.ended(run_id)
    check(task["status"] == "stopped" and not task.get("result", {}).get("pr_url"), f"{task}")
    return "no draft: a person's stop is a stop"


def retried(client):
    run_id = client.submit("x", base_branch="nowhere")
    client.ended(run_id)
    status, answer = client.post(f"/api/tasks/{run_id}/retry", {})
    check(status == 202 and answer["retry_of"] == run_id and answer["task_id"] != run_id, f"{answer}")
    task = client.ended(answer["task_id"])
    check(task["error_code"] == "clone_failed", f"{task}")
    return "asked for the same again"


def strict_wall(client):
    place = os.path.join(client.dispatchd.place, "strict")
    os.makedirs(place)
    with Dispatchd(place, client.standin, client.dispatchd.environment["DISPATCH_AGENT_COMMAND"],
                   DISPATCH_SANDBOX="strict") as strict:
        strict.start()
        careful = Client(strict, client.standin)
        task = careful.ended(careful.submit("work"))
    has_it = os.path.exists("/sys/kernel/security") or task["status"] == "completed"
    check(task["status"] == ("completed" if has_it else "failed"), f"{task}")
    return task["status"]


def main():
    cases = [ticket_and_base, missing_base, passing_tests, failing_tests, endless_tests,
             tests_hold_no_secret, plan, blank, no_pull_request, taken_away, stopped, retried,
             strict_wall]
    passed = 0
    with Place() as place, Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", AGENT),
            DISPATCH_DEFAULT_AGENT="command") as dispatchd:
        dispatchd.start()
        client = Client(dispatchd, standin)
        for case in cases:
            try:
                print(f"  ok    {case.__name__}: {case(client)}", flush=True)
                passed += 1
            except Failed as failed:
                print(f"  FAIL  {case.__name__}: {failed}\n{dispatchd.tail()}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
