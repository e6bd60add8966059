# SPDX-License-Identifier: Apache-2.0
"""What the parts of `make bench` share: programs that listen, a client, figures and targets."""
import json
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD", "build")).resolve()
START_S = 120  # for a program to listen
STOP_S = 60  # for it to end when asked
ANSWER_S = 120
API_KEY = "bench-api-key"


class Failure(Exception):
    pass


def setting(name, default):
    text = os.environ.get(name, str(default))
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise Failure(f"{name}: expected a whole number from 1 to 9999")
    return int(text)


def program(name):
    path = BUILD / name
    if not path.exists():
        raise Failure(f"{path} is missing: make bench builds it")
    return str(path)


def clean_environment(**more):
    """Nothing of the caller's settings reaches a program that is measured."""
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "TMPDIR", "LANG") if k in os.environ}
    return {**kept, **more}


def tell(text):
    """What is going on, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def wait_for(what, condition, limit_s=120.0, every_s=0.005):
    """What condition() returns once it is true."""
    until = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > until:
            raise Failure(f"not within {limit_s:g} s: {what}")
        time.sleep(every_s)
    return value


# --- Figures ---


@dataclass
class Figure:
    """One row of the results: what was measured, and what it has to be."""

    part: str
    what: str
    values: list  # one a round, or one alone
    unit: str
    target: float = None
    at_least: bool = False  # the target is the least, not the most
    how: str = ""

    @property
    def value(self):
        return statistics.median(self.values)

    @property
    def met(self):
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def document(self):
        return {"part": self.part, "what": self.what, "value": round(self.value, 4),
                "least": round(min(self.values), 4), "most": round(max(self.values), 4),
                "count": len(self.values), "unit": self.unit, "target": self.target,
                "at_least": self.at_least, "met": self.met, "how": self.how}


# --- Programs that listen ---


class Server:
    """A program that listens, in a directory of its own. Ends with the `with` block."""

    def __init__(self, argv, env, directory, port_pattern, ends_at_term=False):
        self.directory = directory
        self.ends_at_term = ends_at_term
        self.log = open(directory / "stderr.log", "wb")
        self.process = subprocess.Popen(argv, env=env, cwd=directory, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log)
        try:
            self.port = self.wait_for_port(re.compile(port_pattern, re.M))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        ended = self.stop()
        if kind is None and ended:
            raise Failure(f"{self.process.args[0]} ended with {ended}: {self.last_words()}")

    def wait_for_port(self, pattern):
        text = ""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                piece = os.read(self.process.stdout.fileno(), 4096).decode(errors="replace")
                text += piece
                found = pattern.search(text)
                if found:
                    return int(found.group(1))
                if not piece:
                    break
        raise Failure(f"{self.process.args[0]} doesn't listen: {self.last_words()}")

    def last_words(self):
        lines = (self.directory / "stderr.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def memory_mib(self):
        """The most it ever had in memory."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found.group(1)) / 1024 if found else None

    def rss_mib(self):
        """What it has in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024

    def cpu_s(self):
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """The floor ends with its standard input, dispatchd at SIGTERM. Returns the exit code."""
        self.process.stdin.close()
        if self.ends_at_term and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
        return self.process.returncode


def dispatchd_environment(directory, **more):
    """Of a dispatchd that keeps everything in this directory."""
    return clean_environment(**{
        "DISPATCH_DATABASE": str(directory / "dispatch.db"),
        "DISPATCH_WORK_DIR": str(directory / "work"),
        "DISPATCH_MAX_CONNECTIONS_PER_ADDRESS": "4096",
        "CODEBOT_API_KEYS": API_KEY,
        "CODEBOT_MAX_QUEUE_SIZE": "100000000",
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_SERVER_URL": "http://127.0.0.1:9",
        "GITHUB_TOKEN": "none",
        **more})


def make_token(directory, env):
    made = subprocess.run([program("dispatchd"), "token", "create", "--repo", "bench/bench"],
                          env=env, cwd=directory, stdout=subprocess.PIPE, check=True, text=True)
    return made.stdout.strip()


def start_dispatchd(directory, env):
    return Server([program("dispatchd"), "serve", "--port", "0"], env, directory,
                  r"on port (\d+)\.", ends_at_term=True)


# --- A client ---


class Client:
    """One keep-alive connection to 127.0.0.1, for whoever times requests."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, path, bearer=API_KEY, body=None, **headers):
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost",
                 f"Authorization: Bearer {bearer}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if method == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode() + data)

    def receive(self):
        """(status, body) of an answer with a Content-Length."""
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        size = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
        while len(self.rest) < size:
            self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return int(head.split(b" ", 2)[1]), body

    def more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise Failure("dispatchd closed a connection in the middle of an answer")
        self.rest += piece

    def call(self, method, path, bearer=API_KEY, body=None, **headers):
        self.send(method, path, bearer, body, **headers)
        status, answer = self.receive()
        if status != 200:
            raise Failure(f"{method} {path}: {status} {answer[:300]}")
        return answer

    def dispatch(self, token, prompt):
        return json.loads(self.call("POST", "/dispatchTask", token, {"prompt": prompt}))["runId"]

    def metric(self, name):
        text = self.call("GET", "/metrics").decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        if not found:
            raise Failure(f"/metrics has no {name}")
        return float(found.group(1))
