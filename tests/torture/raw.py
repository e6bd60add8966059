# SPDX-License-Identifier: Apache-2.0
"""HTTP as bytes on a socket, for what no client library would send."""
import http.client
import multiprocessing
import os
import socket
import time

from parts import Dispatchd, Failed


class NoGitHub:
    """In place of a stand-in, where no run gets as far."""
    url = "http://127.0.0.1:9"


def connect(dispatchd, source="127.0.0.1", timeout_s=60):
    return socket.create_connection(("127.0.0.1", dispatchd.port), timeout_s, (source, 0))


def read_to_end(connection, limit_s=60.0):
    """(all that came, whether the other side closed within limit_s)."""
    came, until = b"", time.monotonic() + limit_s
    while True:
        connection.settimeout(max(0.01, until - time.monotonic()))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            return came, False
        except OSError:  # reset: closed as well
            return came, True
        if not piece:
            return came, True
        came += piece


def statuses(came):
    """Of the answers, one after the other, as far as they are whole."""
    found = []
    while came.startswith(b"HTTP/1."):
        head, _, rest = came.partition(b"\r\n\r\n")
        found.append(int(head.split(b" ", 2)[1]))
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        came = rest[length:]
    return found


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rss_kib(pid):
    """Resident memory now, and at most so far."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0])


class OtherClient:
    """Dispatches at a steady pace from an address of its own, in a process of its own, each time
    over a new connection; `end` says how long that took it."""

    def __init__(self, dispatchd, token, source, every_s=0.02):
        self.over = multiprocessing.Event()
        self.began = multiprocessing.Event()
        self.told, tell = multiprocessing.Pipe(False)
        self.process = multiprocessing.Process(
            target=self._work, args=(dispatchd.port, token, source, every_s, tell), daemon=True)
        self.process.start()
        tell.close()
        self.began.wait()

    def _work(self, port, token, source, every_s, tell):
        took_ms, bad = [], []
        while not self.over.is_set():
            began = time.monotonic()
            try:
                status = dispatch_from(source, port, token)
            except (OSError, http.client.HTTPException) as failed:
                status = repr(failed)
            took_ms.append((time.monotonic() - began) * 1000)
            if status != 200:
                bad.append(status)
            self.began.set()
            time.sleep(every_s)
        tell.send((took_ms, bad))

    def p99_ms(self):
        return percentile(self.end(), 0.99)

    def end(self):
        """The milliseconds of each; Failed where one wasn't served."""
        self.over.set()
        took_ms, bad = self.told.recv()
        self.process.join()
        if bad:
            raise Failed(f"another client: {len(bad)} of {len(took_ms)} not served: {bad[:3]}")
        return took_ms


class Unhurt:
    """Another dispatchd, which nobody attacks, and its client: what that has to wait for is the
    machine's doing."""
    TIMES = 4  # what an attacked one's may wait beyond its limit

    def __init__(self, place):
        self.place = os.path.join(place, "unhurt")
        os.makedirs(self.place)
        self.dispatchd = Dispatchd(self.place, NoGitHub, "true", DISPATCH_LAUNCHER="fake",
                                   CODEBOT_MAX_QUEUE_SIZE="100000")
        self.client = None

    def __enter__(self):
        self.dispatchd.start()
        self.client = OtherClient(self.dispatchd, self.dispatchd.token(), "127.0.0.1")
        return self

    def __exit__(self, *ignored):
        self.dispatchd.__exit__()

    def may_wait_ms(self, limit_ms):
        """Asked once, in the end."""
        return limit_ms + self.TIMES * self.client.p99_ms()


def dispatch_from(source, port, token):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60,
                                            source_address=(source, 0))
    try:
        connection.request("POST", "/dispatchTask", '{"prompt":"run_ms=1"}',
                           {"Authorization": f"Bearer {token}",
                            "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
