#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_dispatchd.py MODULES: lints controlplane/api/openapi.yaml with redocly, and holds a
running dispatchd to it.

A prism proxy stands in front of each dispatchd here and compares what passes with the document.
An answer that differs from it is a failure, as is a good request that it finds fault with, or a
bad one that it lets pass where the document could know. Bad requests have to reach dispatchd:
prism runs without --errors (with it, it answers them itself), and its findings are read from
the sl-violations header, and from its log for what others sent. The good requests of all routes
are made once more through a prism that does run with --errors."""
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TREE, "tests/e2e"))
# pylint: disable=wrong-import-position
from oidc_issuer import Issuer  # noqa: E402
from parts import (API_KEY, Dispatchd, Failed, HeldPort, Place, Standin,  # noqa: E402
                   agent_script, end, keeping_runner, task_token, wait_for)

DOCUMENT = os.path.join(TREE, "controlplane/api/openapi.yaml")
MODULES = os.path.realpath(sys.argv[1])
NO_RUN = "0" * 20
EVENT = {"seq": 1, "at": "2026-03-14T09:26:54Z", "type": "log", "text": "x"}
# All answers of the document must be seen, save those that nothing here brings about, and those
# that any route gives to a request as malformed or large as prism wouldn't pass on.
UNSEEN = {"500", "503", "413", "400"}


# --- The document -----------------------------------------------------------------------------

def tool(name):
    return os.path.join(MODULES, "node_modules/.bin", name)


def redocly(*words):
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off",
                   "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "true"}
    done = subprocess.run([tool("redocly"), *words], env=environment, check=False,
                          capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failed(f"redocly {words[0]}:\n{done.stdout}{done.stderr}")


def close_objects(value):
    """Clients let new members of an answer pass. Here one that isn't described is a fault."""
    if isinstance(value, list):
        for member in value:
            close_objects(member)
    elif isinstance(value, dict):
        if isinstance(value.get("properties"), dict) and "type" in value:
            value.setdefault("additionalProperties", False)
        for member in value.values():
            close_objects(member)


def strict_document(place):
    path = os.path.join(place, "openapi.json")
    redocly("bundle", DOCUMENT, "-o", path, "--ext", "json")
    with open(path, encoding="utf-8") as text:
        document = json.load(text)
    close_objects(document["components"]["schemas"])
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out)
    return path, document


# --- What is put together ---------------------------------------------------------------------

class Prism:
    """The proxy; a dispatchd can be told its address before either runs."""

    def __init__(self, place, document, flags=()):
        self.document = document
        self.flags = flags
        self.log = os.path.join(place, f"prism-{os.path.basename(place)}.log")
        self.held = HeldPort()
        self.port = self.held.number
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        if self.process:
            end(self.process)
        self.held.socket.close()

    def start(self, upstream):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [tool("prism"), "proxy", "--host", "127.0.0.1", "--port", str(self.port),
                 *self.flags, self.document, upstream], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for("prism listens", self._listens)

    def _listens(self):
        if self.process.poll() is not None:
            raise Failed(f"prism ended:\n{self.text()}")
        return "Prism is listening" in self.text()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def violations(self):
        return [line.split("Violation: ")[1] for line in self.text().splitlines()
                if "Violation: " in line]


class Caller:
    """Makes requests and counts those whose answer, or the document's view of them, is not as
    expected."""

    def __init__(self, document):
        self.document = document
        self.flags = ()  # of prism
        self.seen = set()
        self.passed = self.failed = 0

    def call(self, base, method, path, expect, *, bearer=None, body=None, headers=None,
             good=None):
        """`good`: does the document find no fault with the request? None: it can't know."""
        if self.flags and not good:
            return {}  # prism would answer it
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(base + path, data=data, method=method,
                                         headers=headers or {})
        if bearer:
            request.add_header("Authorization", f"Bearer {bearer}")
        if data is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, said, raw = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            status, said, raw = refused.code, refused.headers, refused.read()
        self._judge(f"{method} {path}", expect, status, good, raw,
                    json.loads(said.get("sl-violations", "[]")))
        self._remember(method, path, status)
        try:
            return json.loads(raw)
        except ValueError:
            return raw.decode()

    def _judge(self, name, expect, status, good, raw, violations):
        problems = []
        if status != expect:
            problems.append(f"{status}, not {expect}: {raw[:300]!r}")
        of_request = [v for v in violations if v["location"][0] == "request"]
        problems += [f"{'.'.join(v['location'])}: {v['message']}" for v in violations
                     if v["location"][0] != "request" or good]
        if good is False and not of_request:
            problems.append("the document finds no fault with this request")
        self.count(f"{name} {status}", problems)

    def count(self, name, problems):
        self.failed += bool(problems)
        self.passed += not problems
        for problem in problems:
            print(f"  FAIL  {name}: {problem}", flush=True)

    def _remember(self, method, path, status):
        parts = path.split("?")[0].split("/")
        for route in self.document["paths"]:
            names = route.split("/")
            if len(names) == len(parts) and all(
                    n == p or n.startswith("{") for n, p in zip(names, parts)):
                self.seen.add((route, method.lower(), str(status)))

    def unseen(self):
        """Answers that the document has and no call here has got."""
        for route, item in self.document["paths"].items():
            for method, operation in item.items():
                for status in operation["responses"] if method != "parameters" else ():
                    if status not in UNSEEN and (route, method, status) not in self.seen:
                        yield f"{method.upper()} {route} {status}"


def launched(place, dispatchd, token):
    """A run that was launched and isn't claimed: its id and its task token."""
    run_id = dispatchd.dispatch(token, "x")[1]["runId"]
    return run_id, task_token(place, run_id)


# --- The calls --------------------------------------------------------------------------------

def call_operations(caller, base):
    for path in ("/health", "/livez", "/readyz", "/metrics", "/api/startup/check",
                 "/openapi.yaml"):
        caller.call(base, "GET", path, 200, good=True)
        caller.call(base, "POST", path, 405)
        caller.call(base, "GET", path + "/none", 404)
    caller.call(base, "GET", "/health", 200, headers={"X-Request-Id": "mine-1"}, good=True)


def call_dispatch(caller, base, token):
    def dispatch(expect, body, good, **more):
        return caller.call(base, "POST", "/dispatchTask", expect, bearer=token, body=body,
                           good=good, **more)

    dispatch(200, {"prompt": "x"}, True)
    dispatch(200, {"prompt": "\u00e4" * 32768, "model": "a/b:c-1", "codingAgent": None}, True)
    for agent in ("claude-code", "gemini-code", "opencode", "command"):
        dispatch(200, {"prompt": " x\n", "codingAgent": agent, "model": None}, True)
    for body in ({}, [], {"prompt": ""}, {"prompt": " \t\n"}, {"prompt": 3}, {"prompt": None},
                 {"prompt": "x", "promt": "y"}, {"prompt": "x", "owner": "evil"},
                 {"prompt": "x", "codingAgent": "hal"}, {"prompt": "x", "model": ""},
                 {"prompt": "x", "model": "-m"}, {"prompt": "x", "model": "a b"},
                 {"prompt": "x", "model": "m" * 129}, {"prompt": "x" * 65537}):
        dispatch(400, body, False)
    dispatch(400, {"prompt": "\u00e4" * 32769}, None)
    dispatch(415, b"prompt=x", False, headers={"Content-Type": "text/plain"})
    dispatch(413, {"prompt": "x" * (1024 * 1024)}, False)
    key = {"Idempotency-Key": "k-1"}
    first = dispatch(200, {"prompt": "once"}, True, headers=key)
    caller.count("the same run", [] if dispatch(200, {"prompt": "once"}, True, headers=key)
                 == first else ["a repeat made another run"])
    dispatch(409, {"prompt": "other"}, True, headers=key)
    dispatch(400, {"prompt": "x"}, False, headers={"Idempotency-Key": "a b"})
    dispatch(400, {"prompt": "x"}, False, headers={"Idempotency-Key": "k" * 256})
    for bearer in (None, API_KEY, "vgvbot_" + "0" * 43):
        caller.call(base, "POST", "/dispatchTask", 401, bearer=bearer, body={"prompt": "x"})
    caller.call(base, "GET", "/dispatchTask", 405, bearer=token)


def call_tasks(caller, base, run_id):
    def ask(path, expect, good, method="GET"):
        return caller.call(base, method, path, expect, bearer=API_KEY, good=good)

    page = ask("/api/tasks?limit=2", 200, True)
    ask(f"/api/tasks?limit=1000&cursor={page['next_cursor']}", 200, True)
    for status in ("pending", "running", "completed", "failed", "stopped"):
        ask(f"/api/tasks?status={status}", 200, True)
    for query in ("status=queued", "limit=0", "limit=1001", "limit=x", "cursor=x"):
        ask(f"/api/tasks?{query}", 400, False)
    for query in ("status=", "stat=running", "limit=1&limit=2"):
        ask(f"/api/tasks?{query}", 400, None)
    ask(f"/api/tasks/{run_id}/status", 200, True)
    ask(f"/api/tasks/{NO_RUN}/status", 404, True)
    ask("/api/tasks/x/status", 404, False)
    ask(f"/api/tasks/{NO_RUN}/stop", 404, True, "POST")
    ask(f"/api/tasks/{run_id}/stop", 405, None)
    for method, path in (("GET", "/api/tasks"), ("GET", f"/api/tasks/{run_id}/status"),
                         ("POST", f"/api/tasks/{run_id}/stop")):
        caller.call(base, method, path, 401, good=False)
        caller.call(base, method, path, 401, bearer="wrong")


TASK = {"repository_url": "https://github.com/octo/hello.git", "description": "x"}
TOOL = {"name": "search", "description": "d",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}},
                       "required": ["q"]},
        "endpoint": {"url": "https://api.example.com/search", "method": "POST",
                     "headers": {"Authorization": "Bearer abc"}}}
SUBAGENT = {"name": "reviewer", "description": "d", "mode": "subagent", "prompt": "p",
            "tools": {"read": True}}


def call_submit(caller, base, server):
    """The task surface's ways in; `server` is where repositories are."""
    def post(expect, body, good, path="/api/tasks/submit", **more):
        return caller.call(base, "POST", path, expect, bearer=API_KEY, body=body, good=good,
                           **more)

    task = {**TASK, "repository_url": f"{server}/octo/hello.git"}
    post(202, task, True)
    for path in ("/api/tasks/submit", "/api/tasks"):
        last = post(202, {**task, "ticket_id": "T-1", "ticket_summary": "s",
                          "test_command": "true", "base_branch": "a/b"}, True, path)
        post(400, {}, False, path)
        post(415, b"x", False, path, headers={"Content-Type": "text/plain"})
        caller.call(base, "POST", path, 401, body=task, good=False)
        caller.call(base, "POST", path, 401, body=task, bearer="wrong")
    for change in ({"repository_url": ""}, {"repository_url": 1}, {"description": " "},
                   {"description": "x" * 65537}, {"ticket": "x"}, {"ticket_id": ""},
                   {"ticket_id": "x" * 129}, {"ticket_summary": "a\nb"}, {"test_command": []},
                   {"test_command": "x" * 4097}, {"base_branch": "-x"}, {"base_branch": "a b"},
                   {"base_branch": "x" * 245}):
        post(400, {**task, **change}, False)
    for change in ({"repository_url": "https://elsewhere.example/octo/hello"},
                   {"repository_url": f"{server}/octo"}, {"base_branch": "a..b"}):
        post(400, {**task, **change}, None)
    return last["task_id"]


def call_explain(caller, base, server, token):
    """What would become of a request, on each way in; and what GitHub says of its limits."""
    task = {**TASK, "repository_url": f"{server}/octo/hello.git", "priority": 501}
    for path, bearer, body in (("/dispatchTask", token, {"prompt": "x"}),
                               ("/api/tasks", API_KEY, task), ("/api/tasks/submit", API_KEY, task),
                               ("/api/v1/agents", API_KEY,
                                {"repo": "octo/hello", "prompt": "x", "tools": [TOOL]})):
        def ask(query, expect, good, sent=body, way=path, key=bearer):
            return caller.call(base, "POST", f"{way}?{query}", expect, bearer=key, body=sent,
                               good=good)

        told = ask("dryRun=All", 200, True)
        caller.count(f"{path} tells", [] if told["dryRun"] == "All" else [str(told)])
        ask("dryRun=None", 400, False)
        ask("dryRun=All&x=1", 400, None)
        if bearer == API_KEY:
            ask("dryRun=All", 400, False, {**body, "priority": 1001})
            ask("dryRun=All", 400, False, {**body, "priority": -1})
    caller.call(base, "GET", "/api/rate-limit", 200, bearer=API_KEY, good=True)
    caller.call(base, "GET", "/api/rate-limit?repo=octo/hello", 200, bearer=API_KEY, good=True)
    caller.call(base, "GET", "/api/rate-limit?repo=octo", 400, bearer=API_KEY, good=False)
    caller.call(base, "GET", "/api/rate-limit", 401, bearer="wrong")


def raw_stream(dispatchd, path):
    """A stream past prism, which waits for an answer's end: its first line and its socket."""
    host, port = dispatchd.url.split("//")[1].split(":")
    client = socket.create_connection((host, int(port)), 60)
    client.sendall(f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {API_KEY}\r\n\r\n".encode())
    return client.recv(4096).split(b"\r\n")[0].decode(), client


def call_streams(caller, base, dispatchd, run_id):
    """With a run that has ended."""
    def ask(path, expect, good=True, **more):
        return caller.call(base, "GET", path, expect, bearer=API_KEY, good=good, **more)

    task, agent = f"/api/tasks/{run_id}", f"/api/v1/agents/{run_id}"
    for path in (f"{task}/events", f"{agent}/events", f"{task}/logs", f"{task}/logs?follow=1"):
        said = ask(path, 200)
        caller.count(f"{path} tells", [] if "status" in said else [said])
    for path in (f"{task}/events", f"{agent}/events"):
        ask(path, 204, headers={"Last-Event-ID": "999999"})
        ask(path, 400, False, headers={"Last-Event-ID": "x"})
    ask("/api/events", 400, False, headers={"Last-Event-ID": "-1"})
    for query in ("follow=2", "source=nowhere"):
        ask(f"{task}/logs?{query}", 400, False)
    ask(f"{task}/logs?source=job&follow=1", 400, None)
    for path in (f"/api/tasks/{NO_RUN}/events", f"/api/tasks/{NO_RUN}/logs",
                 f"/api/v1/agents/{NO_RUN}/events"):
        ask(path, 404)
    for path in (f"{task}/events", f"{agent}/events", f"{task}/logs", "/api/events"):
        caller.call(base, "GET", path, 401, bearer="wrong")
    opened = [raw_stream(dispatchd, "/api/events") for _ in range(10)]
    caller.count("GET /api/events", [head for head, _ in opened if " 200 " not in head])
    caller._remember("GET", "/api/events", 200)  # pylint: disable=protected-access
    for path in (f"{task}/events", f"{agent}/events", f"{task}/logs?follow=1", "/api/events"):
        ask(path, 429)
    for _, client in opened:
        client.close()


def call_retry(caller, base, run_id):
    """With a run that waits."""
    def ask(path, expect, good=True, method="POST"):
        return caller.call(base, method, path, expect, bearer=API_KEY, good=good)

    ask(f"/api/tasks/{run_id}/retry", 409)
    ask(f"/api/tasks/{run_id}/stop", 202)
    answer = ask(f"/api/tasks/{run_id}/retry", 202)
    caller.count("retry_of", [] if answer["retry_of"] == run_id else [str(answer)])
    ask(f"/api/tasks/{answer['task_id']}/status", 200, method="GET")
    ask(f"/api/tasks/{NO_RUN}/retry", 404)
    ask("/api/tasks/x/retry", 404, False)
    caller.call(base, "POST", f"/api/tasks/{run_id}/retry", 401, bearer="wrong")
    ask("/api/tasks/history?limit=1", 200, method="GET")
    ask("/api/tasks/history?status=stopped", 200, method="GET")
    for query in ("status=running", "limit=0", "cursor=x"):
        ask(f"/api/tasks/history?{query}", 400, False, "GET")
    caller.call(base, "GET", "/api/tasks/history", 401, bearer="wrong")


def call_agents(caller, base):
    def ask(method, path, expect, good=True, body=None, **more):
        return caller.call(base, method, "/api/v1/agents" + path, expect, bearer=API_KEY,
                           good=good, body=body, **more)

    run = {"repo": "octo/hello", "prompt": "x"}
    ask("POST", "", 201, body=run)
    whole = ask("POST", "", 201, body={
        **run, "model": "m", "provider": "p", "branch": "b", "mode": "plan",
        "webhook_url": "https://example.com/hook", "auto_create_pr": False,
        "agent_provider": "claude-code", "tools": [TOOL], "agents": [SUBAGENT]})["id"]
    ask("POST", "", 201, body={"prompt": "x", "blank_workspace": True, "tools": None,
                               "agents": [{**SUBAGENT, "max_turns": 3}]})
    for body in ({}, [], {**run, "repo": "hello"}, {**run, "prompt": ""}, {**run, "more": 1},
                 {**run, "model": "-m"}, {**run, "provider": "a b"}, {**run, "branch": ""},
                 {**run, "webhook_url": "ftp://example.com"}, {**run, "mode": "dream"},
                 {**run, "agent_provider": "command"}, {**run, "auto_create_pr": 1},
                 {**run, "tools": {}}, {**run, "tools": [TOOL] * 33},
                 {**run, "agents": [SUBAGENT] * 17}):
        ask("POST", "", 400, False, body)
    for change in ({"name": "a b"}, {"description": ""}, {"parameters": {}}, {"x": 1},
                   {"parameters": {"properties": {"a": 1}}},
                   {"parameters": {"properties": {}, "required": [1]}},
                   {"endpoint": {"url": "https://example.com"}},
                   {"endpoint": {"url": "example.com", "method": "GET"}},
                   {"endpoint": {"url": "https://example.com", "method": "HEAD"}},
                   {"endpoint": {**TOOL["endpoint"], "headers": {"a b": "c"}}},
                   {"endpoint": {**TOOL["endpoint"], "headers": {"a": "b\nc"}}}):
        ask("POST", "", 400, False, {**run, "tools": [{**TOOL, **change}]})
    for change in ({"mode": "primary"}, {"tools": []}, {"tools": {"a": 1}}, {"prompt": ""},
                   {"max_turns": 0}, {"x": 1}):
        ask("POST", "", 400, False, {**run, "agents": [{**SUBAGENT, **change}]})
    for url in ("http://localhost/", "http://0x7f.1/", "http://user@example.com/"):
        ask("POST", "", 400, None, {**run, "webhook_url": url})
    ask("POST", "", 400, None, {"prompt": "no repository"})
    ask("POST", "", 415, False, b"x", headers={"Content-Type": "text/plain"})
    for query in ("", "?status=queued&limit=1", "?status=stopped"):
        ask("GET", query, 200)
    for query in ("?status=pending", "?limit=0", "?cursor=x"):
        ask("GET", query, 400, False)
    ask("GET", f"/{whole}", 200)
    ask("POST", f"/{whole}/stop", 202)
    ask("POST", f"/{whole}/stop", 409)
    ask("GET", f"/{whole}", 200)
    ask("DELETE", f"/{whole}", 405, None)
    for method, path in (("GET", ""), ("POST", "/stop")):
        ask(method, f"/{NO_RUN}{path}", 404)
        ask(method, f"/x{path}", 404, False)
        caller.call(base, method, f"/api/v1/agents/{whole}{path}", 401, bearer="wrong")
    for method in ("GET", "POST"):
        caller.call(base, method, "/api/v1/agents", 401, bearer="wrong")


def call_deliveries(caller, base):
    """After an agent run with a webhook_url has ended."""
    def ask(method, path, expect, good=True):
        return caller.call(base, method, f"/api/deliveries{path}", expect, bearer=API_KEY,
                           good=good)

    delivery = ask("GET", "?limit=1", 200)["deliveries"][0]
    one = f"/{delivery['id']}"
    for query in ("", "?status=pending", "?status=delivered&limit=1", "?status=failed",
                  f"?run={delivery['run_id']}", f"?cursor={delivery['id']}"):
        ask("GET", query, 200)
    for query in ("?status=sent", "?run=x", "?limit=0", "?limit=1001", "?cursor=x"):
        ask("GET", query, 400, False)
    ask("GET", "?colour=red", 400, None)
    ask("GET", one, 200)
    ask("POST", f"{one}/redeliver", 202)
    ask("GET", f"{one}/redeliver", 405, None)
    for method, path in (("GET", ""), ("POST", "/redeliver")):
        ask(method, f"/{NO_RUN}{path}", 404)
        ask(method, f"/x{path}", 404, False)
        caller.call(base, method, f"/api/deliveries{one}{path}", 401, bearer="wrong")
    caller.call(base, "GET", "/api/deliveries", 401, bearer="wrong")


def call_audit(caller, base):
    def ask(query, expect, good):
        return caller.call(base, "GET", f"/api/audit?{query}", expect, bearer=API_KEY, good=good)

    page = ask("limit=2", 200, True)
    ask(f"limit=1000&cursor={page['next_cursor']}", 200, True)
    ask("order=asc", 200, True)
    ask(f"order=desc&run={page['entries'][0]['target']}", 200, True)
    for query in ("order=up", "limit=0", "limit=1001", "cursor=0", "cursor=x", "run=x"):
        ask(query, 400, False)
    ask("actor=me", 400, None)
    caller.call(base, "GET", "/api/audit", 401, bearer="wrong")


def call_tokens(caller, base, admin):
    """Tokens of both kinds, with a personal token of scope admin."""
    def ask(method, path, expect, good=True, body=None, **more):
        return caller.call(base, method, "/api/tokens" + path, expect, bearer=admin, good=good,
                           body=body, **more)

    later = "2030-01-02T03:04:05Z"
    kinds = (
        ("/integration", {"repo": "octo/hello"},
         {"name": "n", "installation_id": 7, "rate_per_minute": 30, "priority": 0,
          "expires_at": later},
         ({"repo": "hello"}, {"repo": 1}, {"name": ""}, {"name": "n" * 101},
          {"installation_id": -1}, {"rate_per_minute": 0}, {"rate_per_minute": 1000001},
          {"priority": -1}, {"priority": 1001}, {"expires_at": "soon"}, {"more": 1},
          {"created_by": "me"})),
        ("/personal", {"user": "Ada Lovelace"},
         {"email": "ada@example.com", "name": "n", "scopes": ["read", "dispatch", "admin"],
          "expires_at": later},
         ({"user": ""}, {"user": "A <a@b>"}, {"email": "ada"}, {"name": 7}, {"scopes": []},
          {"scopes": ["root"]}, {"scopes": ["read", "read"]}, {"expires_at": "soon"},
          {"more": 1}, {"created_by": "me"})))
    for path, least, most, wrong in kinds:
        ask("POST", path, 201, body=least)
        made = ask("POST", path, 201, body={**least, **most})
        ask("POST", path, 400, False, {})
        for change in wrong:
            ask("POST", path, 400, False, {**least, **change})
        ask("POST", path, 400, None, {**least, "expires_at": "2001-01-01T00:00:00Z"})
        ask("POST", path, 415, False, b"x", headers={"Content-Type": "text/plain"})
        ask("GET", path, 200)
        ask("GET", path + "?x=1", 400, None)
        for _ in range(2):
            ask("DELETE", f"{path}/{made['id']}", 200)
        ask("DELETE", f"{path}/999", 404)
        for method, rest in (("POST", ""), ("GET", ""), ("DELETE", "/1")):
            body = least if method == "POST" else None
            caller.call(base, method, f"/api/tokens{path}{rest}", 401, body=body, good=False)
            caller.call(base, method, f"/api/tokens{path}{rest}", 401, body=body,
                        bearer="wrong")
    # a prefix of 12 characters has few of them that differ: some two of these begin alike
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for path, prefix, least in (("/integration", "vgvbot_", kinds[0][1]),
                                ("/personal", "dsp_live_", kinds[1][1])):
        firsts = [ask("POST", path, 201, body=least)["display_prefix"][:len(prefix) + 1]
                  for _ in range(len(letters) + 1)]
        twice = next(first for first in firsts if firsts.count(first) > 1)
        ask("DELETE", f"{path}/{twice}", 409)


def call_forbidden(caller, base, document, stranger):
    """Each route that may refuse a good credential, with one that is never let in."""
    for route, item in document["paths"].items():
        path = route.replace("{which}", "1").replace("{delivery_id}", "1")
        for name in ("{task_id}", "{id}"):
            path = path.replace(name, NO_RUN)
        for method, operation in item.items():
            if method != "parameters" and "403" in operation["responses"] \
                    and "taskToken" not in str(operation["security"]):
                caller.call(base, method.upper(), path, 403, bearer=stranger)


class Runner:
    """Calls with the task token of one run."""

    def __init__(self, caller, base, run_id, token):
        self.caller, self.base, self.run_id, self.token = caller, base, run_id, token

    def call(self, path, expect, body=None, good=True, attempt="1", **more):
        headers = {"X-Dispatch-Attempt": attempt} if attempt else {}
        headers.update(more.pop("headers", {}))
        return self.caller.call(self.base, "POST", path, expect, bearer=self.token, body=body,
                                good=good, headers=headers, **more)

    def report(self, expect, good=True, **fields):
        self.call("/api/callbacks/complete", expect, {"task_id": self.run_id, **fields}, good)


def call_runner(caller, base, runner):
    bodies = {"/runner/v1/claim": {"runner_id": "r"}, "/runner/v1/git-token": None,
              "/runner/v1/tool-headers": None, "/runner/v1/events": {"events": []}, "/runner/v1/heartbeat": None,
              "/api/callbacks/complete": {"task_id": runner.run_id, "status": "completed"}}

    for path, body in bodies.items():
        caller.call(base, "POST", path, 401, body=body, good=False)
        caller.call(base, "POST", path, 401, body=body, bearer=API_KEY,
                    headers={"X-Dispatch-Attempt": "1"})
        runner.call(path, 400, body, False, attempt=None)
        runner.call(path, 400, body, False, attempt="x")
        runner.call(path, 409, body, attempt="2")
        if body:
            runner.call(path, 415, b"x", False, headers={"Content-Type": "text/plain"})
            runner.call(path, 400, {**body, "more": 1}, False)
            runner.call(path, 400, {}, False)
    runner.call("/runner/v1/git-token", 409)
    runner.call("/runner/v1/tool-headers", 409)
    runner.call("/runner/v1/heartbeat", 409)
    for name in ("", "a b", "r" * 129, 3):
        runner.call("/runner/v1/claim", 400, {"runner_id": name}, False)
    runner.call("/runner/v1/claim", 200, {"runner_id": "me"})
    runner.call("/runner/v1/claim", 200, {"runner_id": "me"})
    runner.call("/runner/v1/claim", 409, {"runner_id": "another"})
    runner.call("/runner/v1/git-token", 200)
    runner.call("/runner/v1/tool-headers", 200)
    runner.call("/runner/v1/heartbeat", 200)
    call_events(runner)
    call_reports(runner)
    for path in ("/runner/v1/events", "/runner/v1/claim"):
        runner.call(path, 409, bodies[path])


def call_events(runner):
    def send(expect, events, good=True):
        runner.call("/runner/v1/events", expect, {"events": events}, good)

    send(200, [EVENT, {**EVENT, "seq": 2, "type": "usage", "tokens": {"in": 3}}])
    send(200, [EVENT])
    send(200, [])
    for change in ({"seq": 0}, {"seq": 1.5}, {"type": "odd"}, {"at": "yesterday"}, {"at": 3}):
        send(400, [{**EVENT, **change}], False)
    send(400, [{"seq": 3}], False)
    send(400, [{**EVENT, "seq": n + 10} for n in range(257)], False)
    send(400, [{**EVENT, "seq": 3, "text": "x" * 65536}], None)
    send(400, "none", False)


def call_reports(runner):
    for change in ({"status": "running"}, {"status": "completed", "error_code": "odd"},
                   {"status": "completed", "pr_url": "javascript:x"},
                   {"status": "completed", "usage": 3},
                   {"status": "completed", "draft": "yes"},
                   {"status": "completed", "result": "x" * 262145},
                   {"status": "failed", "error": "x" * 4097}):
        runner.report(400, False, **change)
    runner.call("/api/callbacks/complete", 400, {"task_id": NO_RUN, "status": "failed"}, None)
    runner.report(400, None, status="completed", error_code="tests_failed")
    last = {"status": "completed", "pr_url": "https://github.com/octo/hello/pull/7",
            "branch_name": "u/dispatch/x", "draft": True, "partial": True, "summary": "s",
            "result": "the plan", "error": None, "error_code": None, "usage": {"tokens": 3}}
    runner.report(200, **last)
    runner.report(200, **last)
    runner.report(409, status="failed", error="e", error_code="agent_failed", pr_url=None)


# --- The parts --------------------------------------------------------------------------------

def every_route(caller, place, document):
    """Each route with good and bad requests."""
    with Standin(place) as standin, Prism(place, document, caller.flags) as prism, Dispatchd(
            place, standin, "true", DISPATCH_RUNNER=keeping_runner(place),
            CODEBOT_MAX_WORKERS="2") as dispatchd:
        dispatchd.start()
        prism.start(dispatchd.url)
        token = dispatchd.token()
        run_id, task_token = launched(place, dispatchd, token)
        other_id, _ = launched(place, dispatchd, token)
        call_operations(caller, prism.url)
        call_dispatch(caller, prism.url, token)
        call_tasks(caller, prism.url, run_id)
        call_runner(caller, prism.url, Runner(caller, prism.url, run_id, task_token))
        call_streams(caller, prism.url, dispatchd, run_id)
        call_explain(caller, prism.url, standin.url, token)
        call_retry(caller, prism.url, call_submit(caller, prism.url, standin.url))
        call_agents(caller, prism.url)
        call_deliveries(caller, prism.url)
        call_audit(caller, prism.url)
        for path, expect in ((run_id, 409), (other_id, 202)):
            caller.call(prism.url, "POST", f"/api/tasks/{path}/stop", expect, bearer=API_KEY,
                        good=True)
        for path in (f"/{run_id}/status", ""):
            caller.call(prism.url, "GET", "/api/tasks" + path, 200, bearer=API_KEY, good=True)


def without_github(caller, place, document):
    """No credential for GitHub, no API key."""
    with Standin(place) as standin, Prism(place, document) as prism, Dispatchd(
            place, standin, "true", DISPATCH_RUNNER=keeping_runner(place)) as dispatchd:
        del dispatchd.environment["GITHUB_TOKEN"]
        del dispatchd.environment["CODEBOT_API_KEYS"]
        dispatchd.start()
        prism.start(dispatchd.url)
        runner = Runner(caller, prism.url, *launched(place, dispatchd, dispatchd.token()))
        runner.call("/runner/v1/claim", 200, {"runner_id": "me"})
        runner.call("/runner/v1/git-token", 403)
        check = caller.call(prism.url, "GET", "/api/startup/check", 200, good=True)
        caller.count("startup check", ["it is content"] if check["ok"] else [])
        runner.report(200, status="failed", error_code="auth_expired", error="e")


def fake_runners(caller, place, document):
    """What the fake launcher's runners say, and a queue that is full."""
    with Standin(place) as standin, Prism(place, document) as prism, Dispatchd(
            place, standin, "true", DISPATCH_LAUNCHER="fake", DISPATCH_PUBLIC_URL=prism.url,
            CODEBOT_MAX_WORKERS="1", CODEBOT_MAX_QUEUE_SIZE="1") as dispatchd:
        dispatchd.start()
        prism.start(dispatchd.url)
        token = dispatchd.token()
        for prompt in ("pr=https://github.com/octo/hello/pull/1", "end=failed", "end=stopped"):
            dispatchd.wait_ended(dispatchd.dispatch(token, prompt)[1]["runId"])
        caller.call(prism.url, "GET", "/api/tasks", 200, bearer=API_KEY, good=True)
        active = dispatchd.dispatch(token, "frozen")[1]["runId"]
        wait_for("it runs", lambda: dispatchd.task(active)["status"] == "running")
        for expect in (200, 429):
            caller.call(prism.url, "POST", "/dispatchTask", expect, bearer=token,
                        body={"prompt": "x"}, good=True)
        ended = dispatchd.tasks("status=failed")[0]["task_id"]
        task = {**TASK, "repository_url": f"{standin.url}/octo/hello.git"}
        for path, body in (("/api/tasks", task), ("/api/tasks/submit", task),
                           (f"/api/tasks/{ended}/retry", None),
                           ("/api/v1/agents", {"repo": "octo/hello", "prompt": "x"})):
            caller.call(prism.url, "POST", path, 429, bearer=API_KEY, body=body, good=True)
        check_others(caller, prism, ["claim", "events", "complete"])


def real_runner(caller, place, document):
    """What dispatch-runner says on the way to a pull request and to a failure."""
    agent = agent_script(place, "agent", "read -r word; echo \"$word\" >x; sleep 1; "
                                         "[ \"$word\" = good ]\n")
    with Standin(place) as standin, Prism(place, document) as prism, Dispatchd(
            place, standin, agent, DISPATCH_PUBLIC_URL=prism.url) as dispatchd:
        dispatchd.start()
        prism.start(dispatchd.url)
        token = dispatchd.token()
        for prompt, status in (("good", "completed"), ("bad", "failed")):
            task = dispatchd.wait_ended(dispatchd.dispatch(token, prompt)[1]["runId"])
            caller.count(f"a {prompt} agent", [] if task["status"] == status else [str(task)])
        caller.call(prism.url, "GET", "/api/tasks", 200, bearer=API_KEY, good=True)
        check_others(caller, prism, ["claim", "git-token", "events", "complete"])


def other_credentials(caller, place, document):
    """Tokens of people and of workflows."""
    with Issuer(place, "openapi") as issuer, Standin(place) as standin, Prism(
            place, document) as prism, Dispatchd(
                place, standin, "true", DISPATCH_LAUNCHER="fake",
                DISPATCH_OIDC_ISSUERS=issuer.url, DISPATCH_OIDC_AUDIENCE="openapi",
                DISPATCH_OIDC_REPOSITORIES="octo/*") as dispatchd:
        dispatchd.start()
        prism.start(dispatchd.url)
        admin = dispatchd.command("token", "create", "--personal", "--user", "Ada", "--scope",
                                  "admin")
        call_tokens(caller, prism.url, admin)
        call_forbidden(caller, prism.url, caller.document, issuer.token("stranger/things"))
        task = {**TASK, "repository_url": f"{standin.url}/octo/hello.git"}
        for bearer in (admin, issuer.token()):
            run_id = caller.call(prism.url, "POST", "/api/tasks", 202, bearer=bearer, body=task,
                                 good=True)["task_id"]
            caller.call(prism.url, "GET", f"/api/tasks/{run_id}/status", 200, bearer=bearer,
                        good=True)


def check_others(caller, prism, routes):
    """Prism's log: nothing but good requests and good answers, and these among them."""
    wait_for(f"somebody called {routes}",
             lambda: all(f"/{route} " in prism.text() for route in routes))
    caller.count("others' calls", prism.violations())


def main():
    if not shutil.which("node"):
        raise Failed("node is missing")
    redocly("lint", "--config", os.path.join(HERE, "redocly.yaml"), DOCUMENT)
    print("  ok    redocly finds nothing wrong with openapi.yaml", flush=True)
    with Place() as top:
        path, document = strict_document(top)
        caller = Caller(document)
        for part in (every_route, without_github, fake_runners, real_runner,
                     other_credentials):
            with Place() as place:
                before = caller.failed
                part(caller, place, path)
                print(f"  {'ok  ' if caller.failed == before else 'FAIL'}  {part.__name__}: "
                      f"{part.__doc__}", flush=True)
        with Place() as place:
            before = caller.failed, caller.passed
            caller.flags = ("--errors",)
            every_route(caller, place, path)
            print(f"  {'ok  ' if caller.failed == before[0] else 'FAIL'}  prism proxy --errors:"
                  f" {caller.passed - before[1]} good requests", flush=True)
        caller.count("every answer of the document was seen",
                     [f"{answer} was not" for answer in caller.unseen()])
    print(f"{caller.passed} passed, {caller.failed} failed")
    return 1 if caller.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        print(f"  FAIL  {failed}", flush=True)
        sys.exit(1)
