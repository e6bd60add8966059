# SPDX-License-Identifier: Apache-2.0
"""A home for one runner, for what no public face asks of an agent: the runner is started by
hand, claims the assignment that the test wrote, and its report is what comes back."""
import http.server
import json
import os
import subprocess
import threading

from parts import GITHUB_TOKEN, Failed

RUN_ID = "0123456789abcdefghij"
TASK_TOKEN = f"vgvtask_{RUN_ID}_canary-of-the-task"


class Home:
    def __init__(self, assignment, tool_headers):
        self.events, self.report = [], None
        home = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = json.dumps(home.answer(self.path, body, assignment,
                                                tool_headers)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *ignored):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, body, assignment, tool_headers):
        if path == "/runner/v1/claim":
            return assignment
        if path == "/runner/v1/git-token":
            return {"token": GITHUB_TOKEN, "expires_at": "2099-01-01T00:00:00Z"}
        if path == "/runner/v1/tool-headers":
            return {"tools": tool_headers}
        if path == "/runner/v1/heartbeat":
            return {"stop": False}
        if path == "/api/callbacks/complete":
            self.report = json.loads(body)
        elif path == "/runner/v1/events":
            events = json.loads(body)["events"]
            self.events += events
            return {"stored": len(events)}
        return {}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def run_directly(runner, place, github, settings, assignment, tool_headers, limit_s):
    """(report, events) of a runner that was given this; `runner`: its command line."""
    work = os.path.join(place, "direct-" + os.urandom(3).hex())
    os.makedirs(work)
    os.chmod(work, 0o777)
    complete = {
        "run_id": RUN_ID, "attempt": 1, "repo": "octo/hello",
        "clone_url": f"{github.url}/octo/hello.git", "github_api_url": github.url,
        "mode": "execute", "flags": {"auto_create_pr": True, "blank_workspace": False},
        "tools": [], "agents": [], "limits": {"timeout_s": limit_s, "heartbeat_s": 10},
        "policy": {"sandbox": "auto", "honour_repository_agent_config": False,
                   "workflow_changes": "refuse", "credentials_in_diff": "refuse",
                   "allow_private_urls": ["127.0.0.0/8"]},
        "bot": {"name": "dispatch[bot]", "email": "bot@example.com"}, **assignment}
    home = Home(complete, tool_headers)
    try:
        done = subprocess.run(
            runner, check=False, timeout=limit_s + 60, capture_output=True, text=True, cwd=work,
            env={"PATH": os.environ["PATH"], "HOME": work, "DISPATCH_URL": home.url,
                 "DISPATCH_RUN_ID": RUN_ID, "DISPATCH_ATTEMPT": "1",
                 "DISPATCH_TASK_TOKEN": TASK_TOKEN, "DISPATCH_WORK_DIR": work, **settings})
    finally:
        home.close()
    if not home.report:
        raise Failed(f"the runner reported nothing: {done.stderr[-2000:]}")
    return home.report, home.events
