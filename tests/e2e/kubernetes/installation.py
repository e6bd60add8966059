# SPDX-License-Identifier: Apache-2.0
"""Dispatch in a cluster, as the overlays install it, and the ways to look at it."""
import os
import uuid

from client import Client, Unreachable
from kubectl import OUTSIDE, RUNS, SYSTEM, Failed, attempt, find, get, kubectl
from parts import API_KEY, TREE, wait_for

DEV = os.path.join(TREE, "manifests/overlays/dev")
PRODUCTION = os.path.join(TREE, "manifests/overlays/production")
OVERLAY = os.path.join(TREE, "tests/e2e/kubernetes/overlay")
HOME = "http://dispatchd.dispatch.svc"
GITHUB = "http://github.dispatch-e2e.svc"
ENDS = ("completed", "failed", "stopped")

# Processes called `sleep` in a runner's pod: while the agent has one, it works.
SLEEPERS = """for p in /proc/[0-9]*; do
    [ "$(cat $p/comm 2>/dev/null)" = sleep ] && echo ${p#/proc/}; done; true"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Installation:
    def __init__(self):
        self.client = Client()
        self.token = None

    # --- Applying -------------------------------------------------------------------------

    def apply(self, overlay, **replaced):
        """An overlay, with texts in it replaced: an operator's edit. Waits until it stands."""
        text = kubectl("kustomize", overlay)
        for old, new in replaced.get("changes", {}).items():
            check(old in text, f"{overlay} has no {old}")
            text = text.replace(old, new)
        kubectl("apply", "-f", "-", text=text)
        self.wait_ready()

    @staticmethod
    def wait_ready(limit_s=180):
        done = attempt("-n", SYSTEM, "rollout", "status", "deployment/dispatchd",
                       f"--timeout={limit_s}s", timeout_s=limit_s + 30)
        if done.code:
            pods = kubectl("-n", SYSTEM, "describe", "pods")
            raise Failed(f"dispatchd isn't ready: {done.err}\n{pods[-3000:]}\n{logs(40)}")

    def ready_github(self):
        kubectl("-n", OUTSIDE, "rollout", "status", "deployment/github", "--timeout=180s",
                timeout_s=200)
        wait_for("the client reaches the Service",
                 lambda: self.client.call(f"{HOME}/readyz")[0] == 200, every_s=0.5)

    def make_token(self):
        self.token = kubectl("-n", SYSTEM, "exec", "deploy/dispatchd", "--", "dispatchd", "token",
                             "create", "--repo", "octo/hello", "--name", "e2e").strip()
        check(self.token.startswith("vgvbot_"), f"token create printed {self.token[:7]}...")

    # --- Runs -----------------------------------------------------------------------------

    def dispatch(self, *prompts):
        """The runs' ids; each prompt has a key, so that asking again launches nothing new."""
        wanted = [("POST", f"{HOME}/dispatchTask",
                   {"Authorization": f"Bearer {self.token}",
                    "Idempotency-Key": str(uuid.uuid4())}, {"prompt": prompt})
                  for prompt in prompts]

        def taken():
            found = answers(lambda: self.client.calls(wanted))
            for status, answer in found or []:
                check(status == 200, f"dispatch: {status} {answer}")
            return found

        return [answer["runId"] for _, answer in wait_for("runs are taken in", taken, every_s=1)]

    def run(self, prompt):
        return self.dispatch(prompt)[0]

    def tasks(self, run_ids):
        head = {"Authorization": f"Bearer {API_KEY}"}
        found = self.client.calls([("GET", f"{HOME}/api/tasks/{run_id}/status", head, None)
                                   for run_id in run_ids])
        for status, task in found:
            if status == 0:
                raise Unreachable(f"status: {task}")
            check(status == 200, f"status: {status} {task}")
        return [task for _, task in found]

    def task(self, run_id):
        return wait_for("dispatchd answers", lambda: answers(lambda: self.tasks([run_id])),
                        every_s=1)[0]

    def stop(self, run_id):
        status, answer = self.client.call(f"{HOME}/api/tasks/{run_id}/stop", "POST",
                                          headers={"Authorization": f"Bearer {API_KEY}"})
        check(status == 202, f"stop: {status} {answer}")

    def wait_ended(self, run_ids, limit_s=240):
        """Their tasks, once all have ended."""
        last = []

        def ended():
            last[:] = answers(lambda: self.tasks(run_ids)) or last
            return last and all(task["status"] in ENDS for task in last)

        try:
            wait_for(f"{len(run_ids)} runs end", ended, limit_s, 0.5)
        except Failed as late:
            open_ones = [task for task in last if task["status"] not in ENDS]
            raise Failed(f"{late}: {len(open_ones)} are open, the first {open_ones[:1]}") from late
        return last

    def end(self, run_id, limit_s=240):
        return self.wait_ended([run_id], limit_s)[0]

    def wait_status(self, run_id, status, limit_s=240):
        def reached():
            task = self.task(run_id)
            check(task["status"] not in ENDS or task["status"] == status, f"{task}")
            return task["status"] == status

        wait_for(f"run {run_id} is {status}", reached, limit_s, 0.3)

    def completed(self, run_id, limit_s=240):
        """Its task, when it completed with a pull request that GitHub has."""
        task = self.end(run_id, limit_s)
        check(task["status"] == "completed" and task["result"].get("pr_url"), f"{task}")
        check(pull_of(self.pulls(), task), f"no pull request of {task}")
        return task

    def failed(self, run_id, code, limit_s=240):
        task = self.end(run_id, limit_s)
        check(task["status"] == "failed" and task["error_code"] == code,
              f"expected {code}: {task}")
        return task["error"]

    def pulls(self):
        wanted = [("GET", f"{GITHUB}/_standin/pulls", {}, None)]
        return wait_for("GitHub answers", lambda: answers(lambda: self.client.calls(wanted)),
                        every_s=1)[0][1]

    # --- What the cluster has of a run ----------------------------------------------------

    @staticmethod
    def job(run_id, attempt_number=1):
        return find("job", f"run-{run_id}-{attempt_number}", namespace=RUNS)

    @staticmethod
    def pods(run_id):
        return get("pods", "-l", f"dispatch.dev/run-id={run_id}", namespace=RUNS)

    def held(self, run_id, limit_s=180):
        """The name of the run's pod, once its agent works; `release` lets it go on."""
        def sleeping():
            for pod in self.pods(run_id):
                name = pod["metadata"]["name"]
                if attempt("-n", RUNS, "exec", name, "--", "sh", "-c", SLEEPERS).out.strip():
                    return name
            task = self.task(run_id)
            check(task["status"] not in ENDS, f"it ended before its agent worked: {task}")
            return None

        return wait_for(f"the agent of {run_id} works", sleeping, limit_s, 0.3)

    @staticmethod
    def release(pod):
        kubectl("-n", RUNS, "exec", pod, "--", "sh", "-c", f"kill $({SLEEPERS})")


def answers(ask):
    """What it returns, or None when somebody couldn't be reached."""
    try:
        found = ask()
    except Unreachable:
        return None
    return None if any(each[0] == 0 for each in found if isinstance(each, tuple)) else found


def pull_of(pulls, task):
    number = task["result"]["pr_url"].rsplit("/", 1)[1]
    return next((pull for pull in pulls if str(pull["number"]) == number), None)


def logs(lines):
    """The end of what dispatchd wrote, this one and the one before it; not the probes."""
    written = ""
    for which in ("--previous", "--previous=false"):
        text = attempt("-n", SYSTEM, "logs", "deploy/dispatchd", "--tail=2000", which).out
        kept = [line for line in text.splitlines() if 'z","status":200' not in line]
        written += "\n".join(["---", *kept[-lines:], ""]) if kept else ""
    return written
