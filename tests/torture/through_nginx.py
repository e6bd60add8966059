# SPDX-License-Identifier: Apache-2.0
"""What clients rely on, through nginx as it ships."""
import concurrent.futures
import http.client
import json
import ssl
import threading
import time

from parts import Failed, wait_for
from raw import read_to_end, statuses
from smuggled import CHUNK, TE, request

# Told behind each case: where the case was one request, this is the next, and the last.
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

# One address asks until so many were refused; 200 at once and 50 a second aren't.
REFUSED, ASKED_MAX, AT_ONCE = 50, 6000, 8
STREAMS_A_CREDENTIAL = 10
HEAD_S, MARGIN_S = 10, 30  # without that it would be a minute
ROUTES_CLOSED = ("/metrics", "/%6detrics", "/./metrics", "/api/../metrics", "/metrics?x=1",
                 "//metrics", "/metrics/", "/%2e/metrics", "/api/%2e%2e/metrics")


def expect(condition, sentence):
    if not condition:
        raise Failed(f"through nginx: {sentence}")


class Client:
    """One connection of an address."""

    def __init__(self, nginx, source="127.0.0.2", credential=None):
        self.http = http.client.HTTPSConnection("localhost", nginx.port, timeout=60)
        self.http.sock = nginx.connect(source)
        self.http.auto_open = False  # it would come from another address
        self.headers = {"Authorization": f"Bearer {credential}"} if credential else {}

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.http.close()

    def open(self, method, path, body=None, **headers):
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.http.request(method, path, body, {**self.headers, **headers})
        return self.http.getresponse()

    def ask(self, method, path, body=None, **headers):
        """(status, document or text, headers)"""
        answer = self.open(method, path, body, **headers)
        raw = answer.read()
        try:
            return answer.status, json.loads(raw), answer.headers
        except ValueError:
            return answer.status, raw.decode(), answer.headers


class Slow:
    """Heads that never end, from the beginning on: told when they were cut."""

    def __init__(self, nginx):
        self.took_s, self.connections = [], []
        self.over = False
        for number in range(20):
            connection = nginx.connect(f"127.0.2.{number + 1}")
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ")
            self.connections.append(connection)
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=work, args=(connection,), daemon=True)
                        for connection in self.connections
                        for work in (self._crawl, self._listen)]
        for thread in self.threads:
            thread.start()

    def _crawl(self, connection):
        try:
            while not self.over:
                connection.sendall(b"a")
                time.sleep(0.5)
        except (OSError, ValueError):
            pass

    def _listen(self, connection):
        read_to_end(connection, HEAD_S + MARGIN_S)
        self.took_s.append(time.monotonic() - self.began)

    def cut_after_s(self):
        wait_for("slow heads are cut", lambda: len(self.took_s) == len(self.connections))
        self.over = True
        longest_s = max(self.took_s)
        expect(longest_s < HEAD_S + MARGIN_S, f"a slow head lived for {longest_s:.1f} s")
        for connection in self.connections:
            connection.close()
        return longest_s


def errors(dispatchd, nginx):
    """dispatchd's own answers, with what a client needs of them."""
    with Client(nginx) as client:
        status, answer, headers = client.ask("GET", "/api/tasks", **{"X-Request-Id": "mine.1"})
        expect((status, headers["X-Request-Id"]) == (401, "mine.1") and "code" in answer,
               f"{status} {answer} {headers}")
    with Client(nginx, credential=dispatchd.api_key) as client:
        status, answer, _ = client.ask("GET", "/api/tasks/00000000000000000000/status")
        expect(status == 404 and answer["code"], f"{status} {answer}")
        status, _, headers = client.ask("DELETE", "/api/tasks")
        expect(status == 405 and headers["Allow"], f"{status} {headers}")
    with Client(nginx, credential=dispatchd.api_key) as client:
        status, answer, _ = client.ask("POST", "/api/tasks", b"{" + b" " * (1 << 20))
        expect(status == 413 and answer["code"] == "too_large", f"a large body: {status} {answer}")
    with Client(nginx, credential=dispatchd.api_key) as client:
        status, _, _ = client.ask("GET", "/api/tasks", **{"X-Long": "x" * 9000})
        expect(status == 400, f"a large head: {status}")
    with Client(nginx) as client:
        for path in ROUTES_CLOSED:
            status, answer, _ = client.ask("GET", path)
            expect(status == 404 and "dispatch_" not in str(answer), f"{path}: {status}")


def address(dispatchd, nginx, token):
    """A client can't say that it is somebody else."""
    admin = dispatchd.command("token", "create", "--personal", "--user", "root", "--scope",
                              "admin")
    with Client(nginx, "127.0.0.7", token) as client, \
            Client(nginx, "127.0.0.3", admin) as auditor:
        for forged in ("198.51.100.9", "127.0.0.1", "198.51.100.9, 127.0.0.1"):
            status, answer, _ = client.ask("POST", "/dispatchTask", {"prompt": "run_ms=1"},
                                           **{"X-Forwarded-For": forged, "X-Real-IP": forged,
                                              "Forwarded": f"for={forged}"})
            expect(status == 200, f"{status} {answer}")
            status, page, _ = auditor.ask("GET", f"/api/audit?run={answer['runId']}&order=asc")
            expect(status == 200, f"{status} {page}")
            found = {entry.get("address") for entry in page["entries"]
                     if entry["action"] == "run.queue"}
            expect(found == {"127.0.0.7"}, f"{forged}: the audit log has {found}")


def idempotent(nginx, token):
    """One run a key, however often; the second body is refused."""
    def once(number):
        with Client(nginx, f"127.0.3.{number % 8 + 1}", token) as client:
            return client.ask("POST", "/dispatchTask", {"prompt": "run_ms=1"},
                              **{"Idempotency-Key": "behind-nginx"})[:2]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(once, range(64)))
    expect({status for status, _ in answers} == {200}, f"{answers[:3]}")
    expect(len({answer["runId"] for _, answer in answers}) == 1, "two runs of one key")
    with Client(nginx, credential=token) as client:
        status, _, _ = client.ask("POST", "/dispatchTask", {"prompt": "another"},
                                  **{"Idempotency-Key": "behind-nginx"})
        expect(status == 409, f"another body: {status}")
    return len(answers)


class SilentLog:
    """Of a run that says nothing, followed for as long as all else takes."""

    def __init__(self, dispatchd, nginx, token):
        self.client = Client(nginx, "127.0.0.10", dispatchd.api_key)
        self.client.http.sock.settimeout(None)  # its thread waits for as long as it takes
        with Client(nginx, "127.0.0.10", token) as other:
            _, answer, _ = other.ask("POST", "/dispatchTask", {"prompt": "run_ms=600000"})
        self.run_id = answer["runId"]
        self.log = self.client.open("GET", f"/api/tasks/{self.run_id}/logs?follow=1")
        expect(self.log.status == 200, f"a log: {self.log.status}")
        self.nginx, self.whole, self.failed = nginx, None, None
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self):
        try:
            self.whole = self.log.read()
        except (OSError, http.client.HTTPException) as failed:
            self.failed = failed

    def end(self):
        """It ends with its run, and not before."""
        expect(self.reading.is_alive(),
               f"a followed log ended before its run: {self.whole!r} {self.failed!r}")
        with Client(self.nginx, "127.0.0.10", self.client.headers["Authorization"][7:]) as other:
            status, answer, _ = other.ask("POST", f"/api/tasks/{self.run_id}/stop")
        expect(status == 202, f"{status} {answer}")
        self.reading.join(60)
        expect(self.failed is None, f"a followed log was cut: {self.failed!r}")
        self.client.http.close()


def in_two_pieces(nginx, tap, token):
    """A body that comes slowly, and in chunks, is with nginx until it is whole."""
    told = len(tap.requests())
    with nginx.connect("127.0.0.11") as connection:
        connection.sendall(request(token, TE, CHUNK))
        time.sleep(0.5)
        expect(len(tap.requests()) == told, "dispatchd was told of half a body")
        connection.sendall(b"0\r\n\r\n" + LAST)
        came, _ = read_to_end(connection)
    expect(statuses(came) == [200, 200], f"{came!r}")


def streams(dispatchd, nginx, token):
    """An event comes when it happens, not when a buffer is full."""
    with Client(nginx, "127.0.0.4", dispatchd.api_key) as client, \
            Client(nginx, "127.0.0.4", token) as other:
        stream = client.open("GET", "/api/events")
        expect(stream.status == 200 and stream.headers["Content-Type"] == "text/event-stream",
               f"{stream.status} {stream.headers}")
        _, answer, _ = other.ask("POST", "/dispatchTask", {"prompt": "run_ms=1"})
        run_id = answer["runId"]
        client.http.sock.settimeout(60)
        while run_id not in stream.readline().decode():
            pass
        stream.close()


def too_many_streams(dispatchd, nginx):
    """dispatchd's own 429 stays its own."""
    key = dispatchd.command("token", "create", "--personal", "--user", "watcher", "--scope",
                            "read")
    clients = [Client(nginx, "127.0.0.5", key) for _ in range(STREAMS_A_CREDENTIAL + 1)]
    answers = [client.open("GET", "/api/events") for client in clients]
    last = answers[-1]
    expect([answer.status for answer in answers[:-1]] == [200] * STREAMS_A_CREDENTIAL
           and last.status == 429 and last.headers["Retry-After"]
           and json.loads(last.read())["code"] == "too_many_streams", f"{last.status}")
    for client in clients:
        client.http.close()


def one_address(nginx, tap):
    """What is beyond its share is refused here, and others are served."""
    told = len(tap.requests())
    seen = []  # of each answer its status

    def ask(_):
        """As many at once as it takes to ask faster than 50 a second on a busy machine."""
        with Client(nginx, "127.0.0.6") as client:
            while seen.count(429) < REFUSED and len(seen) < ASKED_MAX:
                status, answer, headers = client.ask("GET", "/livez")
                seen.append(status)
                if status == 429:
                    expect(answer["code"] == "rate_limited" and headers["Retry-After"] == "1",
                           f"{answer} {headers}")

    with Client(nginx, "127.0.0.8") as other, \
            concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, range(AT_ONCE)))
        expect(other.ask("GET", "/livez")[0] == 200, "another address isn't served")
    asked, refused = len(seen), seen.count(429)
    expect(refused, f"{asked} requests, none refused")
    expect(set(seen) == {200, 429}, f"answers {set(seen)}")
    expect(len(tap.requests()) - told == asked - refused + 1, "dispatchd was told of refused ones")
    return asked, refused


def another_name(nginx):
    try:
        nginx.connect(name="elsewhere.example.com").close()
    except ssl.SSLCertVerificationError:
        raise Failed("through nginx: another name got a certificate") from None
    except ssl.SSLError:
        return
    raise Failed("through nginx: another name was served")


def check(dispatchd, nginx, tap, token):
    errors(dispatchd, nginx)
    address(dispatchd, nginx, token)
    repeated = idempotent(nginx, token)
    in_two_pieces(nginx, tap, token.encode())
    streams(dispatchd, nginx, token)
    too_many_streams(dispatchd, nginx)
    another_name(nginx)
    asked, refused = one_address(nginx, tap)
    return (f"{repeated} repeats of a key one run, streams live, {refused} of {asked} from one"
            " address refused")


def without_dispatchd(dispatchd, nginx):
    """Starting again: its clients are told to come back."""
    dispatchd.kill()
    with Client(nginx, "127.0.0.9") as client:
        status, answer, headers = client.ask("GET", "/health")
        expect(status == 503 and headers["Retry-After"] and answer["code"] == "unavailable",
               f"without dispatchd: {status} {answer}")
