# SPDX-License-Identifier: Apache-2.0
"""The real programs that end-to-end tests put together: a GitHub stand-in and a dispatchd.

Both are started in a fresh directory, on free ports of 127.0.0.1, and ended by pid."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TREE, os.environ.get("BUILD", "build"))
COVERED = "DISPATCH_COVERAGE" in os.environ
# Who is confined can't write down which lines it ran, and isn't to say so in its log.
FOR_COUNTING = {"DISPATCH_CONFINE": "off", "GCOV_ERROR_FILE": "/dev/null"} if COVERED else {}
STANDIN = os.path.join(TREE, "tests/support/github-standin/github-standin")
API_KEY = "e2e-api-key-canary-8c1f"
GITHUB_TOKEN = "ghp_canaryE2E0123456789abcdef"
# What takes a moment may take a minute on a machine that does thirty other things.
PATIENCE_S = 120


class Failed(Exception):
    pass


def wait_for(what, condition, limit_s=PATIENCE_S, every_s=0.02):
    """What condition() returns once it is true; Failed after limit_s."""
    until = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f"not within {limit_s:g} s: {what}")
        time.sleep(every_s)


def call(url, method="GET", body=None, headers=None, timeout_s=60):
    """(status, parsed or raw body); connection errors are raised as OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    if data is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            status, raw = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, raw = refused.code, refused.read()
    except urllib.error.URLError as failed:
        raise OSError(str(failed.reason)) from failed
    except http.client.HTTPException as cut:  # half an answer, of one that was killed
        raise OSError(repr(cut)) from cut
    try:
        return status, json.loads(raw)
    except ValueError:
        return status, raw.decode("utf-8", "replace")


class Place:
    """A fresh directory that goes away at the end."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="dispatch-e2e-")
        return self.path

    def __exit__(self, *ignored):
        shutil.rmtree(self.path, ignore_errors=True)


class HeldPort:
    """A port of 127.0.0.1 that nobody else is given, not for a connection either, before the
    program that is told of it listens there, and between two of its starts. Whoever sets
    SO_REUSEADDR may listen on it all the same."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.number = self.socket.getsockname()[1]


def end(process, limit_s=60):
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Standin:
    """The GitHub stand-in with one repository, octo/hello."""

    def __init__(self, place):
        self.log = os.path.join(place, "github.log")
        port_file = os.path.join(place, "github.port")
        fixture = os.path.join(place, "fixture")
        os.makedirs(fixture)
        with open(os.path.join(fixture, "README.md"), "w", encoding="utf-8") as out:
            out.write("# hello\n")
        self.process = subprocess.Popen(
            [STANDIN, "--dir", os.path.join(place, "github"), "--port-file", port_file,
             "--log", self.log, "--token", GITHUB_TOKEN, "--repo", f"octo/hello={fixture}",
             "--exit-with-parent"])
        wait_for("the GitHub stand-in listens",
                 lambda: os.path.exists(port_file) or self.process.poll() is not None)
        with open(port_file, encoding="utf-8") as text:
            self.url = f"http://127.0.0.1:{int(text.read())}"

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)

    def pulls(self):
        answer = call(f"{self.url}/_standin/pulls")[1]
        return answer if isinstance(answer, list) else answer["pulls"]


def processes_in(place):
    """Processes whose working directory is in the test's work directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(os.path.join(place, "work")):
                found.append(int(pid))
        except OSError:
            pass
    return found


def is_runner(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            return comm.read().startswith("dispatch-runner")
    except OSError:
        return False


def signal_runners(place, which):
    """To every runner at work there; one that has ended meanwhile needs none."""
    for pid in filter(is_runner, processes_in(place)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, which)


class Dispatchd:
    """A dispatchd whose settings are these; it can be killed and started again."""

    def __init__(self, place, standin, agent, config=None, **settings):
        self.place = place
        self.flags = ["--config", config] if config else []
        self.log = os.path.join(place, "dispatchd.log")
        self.database = os.path.join(place, "var", "dispatch.db")
        self.held = HeldPort()
        self.port = self.held.number
        self.process = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "DISPATCH_DATABASE": self.database,
            "DISPATCH_WORK_DIR": os.path.join(place, "work"),
            "DISPATCH_DEFAULT_AGENT": "command",
            "DISPATCH_AGENT_COMMAND": agent,
            "CODEBOT_API_KEYS": API_KEY,
            "GITHUB_API_URL": standin.url,
            "GITHUB_SERVER_URL": standin.url,
            "GITHUB_TOKEN": GITHUB_TOKEN,
        }
        self.environment.update(FOR_COUNTING)
        self.environment.update(settings)
        self.api_key = self.environment["CODEBOT_API_KEYS"].split(",")[0]

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        if self.process:
            end(self.process)
        self.held.socket.close()
        for pid in processes_in(self.place):  # runners that still wait for it
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "dispatchd"), "serve", "--port", str(self.port),
                 *self.flags],
                env=self.environment, cwd=self.place, stdout=subprocess.PIPE, stderr=log)

    def start(self):
        """Starts it and waits until it is ready: the seconds that took."""
        began = time.monotonic()
        self.spawn()
        self._read_port()
        wait_for("dispatchd is ready", self._ready)
        return time.monotonic() - began

    def _read_port(self):
        for line in self.process.stdout:
            text = line.decode()
            if text.startswith("Starting server on port "):
                self.port = int(text.split()[-1].rstrip("."))
            if "/api/tasks" in text and "{task_id}" not in text:
                return
        raise Failed(f"dispatchd ended at its start, see {self.log}:\n{self.tail()}")

    def _ready(self):
        try:
            return call(f"{self.url}/readyz")[0] == 200
        except OSError:
            return False

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-20:])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def command(self, *words):
        done = subprocess.run([os.path.join(BUILD, "dispatchd"), *words], check=False,
                              env=self.environment, cwd=self.place, capture_output=True,
                              text=True, timeout=PATIENCE_S)
        if done.returncode:
            raise Failed(f"dispatchd {' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def token(self):
        return self.command("token", "create", "--repo", "octo/hello", "--name", "e2e")

    def dispatch(self, token, prompt, key=None):
        headers = {"Authorization": f"Bearer {token}"}
        if key:
            headers["Idempotency-Key"] = key
        return call(f"{self.url}/dispatchTask", "POST", {"prompt": prompt}, headers)

    def task(self, run_id):
        status, task = call(f"{self.url}/api/tasks/{run_id}/status",
                            headers={"Authorization": f"Bearer {self.api_key}"})
        if status != 200:
            raise Failed(f"status of {run_id}: {status} {task}")
        return task

    def tasks(self, query):
        found, cursor = [], ""
        while True:
            asked = "&".join(filter(None, ["limit=1000", query, cursor]))
            status, page = call(f"{self.url}/api/tasks?{asked}",
                                headers={"Authorization": f"Bearer {self.api_key}"})
            if status != 200:
                raise Failed(f"list: {status} {page}")
            found += page["tasks"]
            if "next_cursor" not in page:
                return found
            cursor = "cursor=" + page["next_cursor"]

    def wait_ended(self, run_id, limit_s=PATIENCE_S):
        ends = ("completed", "failed", "stopped")
        return wait_for(f"run {run_id} ends", lambda: (
            lambda task: task if task["status"] in ends else None)(self.task(run_id)), limit_s)


def is_instrumented(program):
    """Built with a sanitizer, whose own memory isn't the program's."""
    with open(os.path.join(BUILD, program), "rb") as binary:
        content = binary.read()
    return b"__asan_init" in content or b"__tsan_init" in content


def agent_script(place, name, text):
    """An executable agent in the test's directory."""
    path = os.path.join(place, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def keeping_runner(place):
    """A runner that leaves its task token where task_token finds it, and waits until let_go."""
    return agent_script(place, "runner", f"""
umask 077
if [ -n "$DISPATCH_TASK_TOKEN_FILE" ]; then token=$(cat "$DISPATCH_TASK_TOKEN_FILE")
else token=$DISPATCH_TASK_TOKEN; fi
printf %s "$token" >"{place}/$DISPATCH_RUN_ID.new"
mv "{place}/$DISPATCH_RUN_ID.new" "{place}/$DISPATCH_RUN_ID.token"
while [ ! -e "{place}/$DISPATCH_RUN_ID.over" ]; do sleep 0.1; done
""")


def task_token(place, run_id):
    path = os.path.join(place, run_id + ".token")
    wait_for("the runner has its token", lambda: os.path.exists(path))
    with open(path, encoding="ascii") as text:
        return text.read()


def let_go(place, run_id):
    """Ends that run's runner."""
    with open(os.path.join(place, run_id + ".over"), "wb"):
        pass
