# SPDX-License-Identifier: Apache-2.0
"""A home for one runner: the runner is started by hand, claims the assignment that the test
wrote, and its report is what comes back. For what no public face asks of an agent, and for
what a whole dispatchd would only be in the way of."""
import json
import os
import subprocess

from answering import Answering
from parts import BUILD, GITHUB_TOKEN, PATIENCE_S, Failed, end, wait_for

RUN_ID = "0123456789abcdefghij"
TASK_TOKEN = f"vgvtask_{RUN_ID}_canary-of-the-task"
FAR = "2099-01-01T00:00:00Z"


class Home:
    """`git_tokens`: (token, its end) of each time that it is asked for; the last one stays."""

    def __init__(self, assignment, tool_headers, git_tokens=((GITHUB_TOKEN, FAR),)):
        self.events, self.report = [], None
        self.git_tokens, self.given_tokens = list(git_tokens), 0
        self.assignment, self.tool_headers = assignment, tool_headers
        self.server = Answering(self.answer)
        self.url = self.server.url

    def answer(self, path, _, body):
        if path == "/runner/v1/claim":
            return self.assignment
        if path == "/runner/v1/git-token":
            return self.git_token()
        if path == "/runner/v1/tool-headers":
            return {"tools": self.tool_headers}
        if path == "/runner/v1/heartbeat":
            return {"stop": False}
        if path == "/api/callbacks/complete":
            self.report = json.loads(body)
        elif path == "/runner/v1/events":
            events = json.loads(body)["events"]
            self.events += events
            return {"stored": len(events)}
        return {}

    def git_token(self):
        token, until = self.git_tokens[min(self.given_tokens, len(self.git_tokens) - 1)]
        self.given_tokens += 1
        return {"token": token, "expires_at": until}

    def told(self, kind):
        """The events of this type."""
        return [event for event in self.events if event["type"] == kind]


class DirectRun:
    """A runner and its home. `runner`: its command line."""

    def __init__(self, place, github, assignment, runner=None, settings=None, tool_headers=None,
                 **home):
        self.work = os.path.join(place, "direct-" + os.urandom(3).hex())
        os.makedirs(self.work)
        os.chmod(self.work, 0o777)
        complete = {
            "run_id": RUN_ID, "attempt": 1, "repo": "octo/hello",
            "clone_url": f"{github.url}/octo/hello.git", "github_api_url": github.url,
            "mode": "execute", "flags": {"auto_create_pr": True, "blank_workspace": False},
            "tools": [], "agents": [], "limits": {"timeout_s": 120, "heartbeat_s": 10},
            "policy": {"sandbox": "auto", "honour_repository_agent_config": False,
                       "workflow_changes": "refuse", "credentials_in_diff": "refuse",
                       "allow_private_urls": ["127.0.0.0/8"]},
            "bot": {"name": "dispatch[bot]", "email": "bot@example.com"}, **assignment}
        self.home = Home(complete, tool_headers or {}, **home)
        self.log = os.path.join(self.work, "runner.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                runner or [os.path.join(BUILD, "dispatch-runner")], cwd=self.work, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": self.work, "DISPATCH_URL": self.home.url,
                     "DISPATCH_RUN_ID": RUN_ID, "DISPATCH_ATTEMPT": "1",
                     "DISPATCH_TASK_TOKEN": TASK_TOKEN, "DISPATCH_WORK_DIR": self.work,
                     **(settings or {})})

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)
        self.home.server.close()

    def reported(self, limit_s=PATIENCE_S):
        """What it told home of its end, once it has."""
        wait_for("the runner reports", lambda: self.home.report or self.process.poll() is not None,
                 limit_s)
        if not self.home.report:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise Failed(f"the runner reported nothing: {log.read()[-2000:]}")
        return self.home.report

    def ended(self, limit_s=PATIENCE_S):
        """The same, and it has ended."""
        report = self.reported(limit_s)
        wait_for("the runner ends", lambda: self.process.poll() is not None, limit_s)
        return report
