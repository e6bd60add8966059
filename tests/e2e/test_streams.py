#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many open streams while runs go by (fake launcher), with a kill -9 of dispatchd in the middle.
Each stream must see each of its events once and in order, across the restart too, by coming back
with Last-Event-ID; a stream may cost 32 KiB of memory; SIGTERM ends dispatchd with all of them
open.

    test_streams.py [--streams 2000] [--runs 1000] [--workers 8]
"""
import argparse
import hashlib
import json
import os
import resource
import selectors
import signal
import socket
import sqlite3
import sys
import time

from parts import Dispatchd, Failed, Place, call, is_instrumented

PER_KEY = 10  # streams that a credential may have open
BYTES_PER_STREAM_MAX = 32 * 1024
SHARED_EVERY = 50  # each so-manieth run is dispatched with an integration token: all see it
STOP_S_MAX = 25
SCRIPT = "claim_ms=1 run_ms=20"
COME_BACK_S = 0.1
AGAIN = (429, 503)  # the last connection isn't gone yet, or dispatchd has just come


class Nowhere:
    """The fake launcher's runs have no use for GitHub."""
    url = "http://127.0.0.1:9"


class Stream:
    """A client of one stream of events, which comes back when its connection ends."""

    def __init__(self, client, key, path, last_id=None):
        self.client, self.key, self.path, self.last_id = client, key, path, last_id
        self.numbers = []
        self.ends = 0  # whole answers
        self.opened = 0
        self.over = False  # told not to come back
        self.socket = None
        self.connect()

    def connect(self):
        resume = "" if self.last_id is None else f"Last-Event-ID: {self.last_id}\r\n"
        connection = None
        try:
            connection = socket.create_connection(("127.0.0.1", self.client.port()), 60)
            connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: x\r\n"
                               f"Authorization: Bearer {self.key}\r\n{resume}\r\n".encode())
        except OSError:
            if connection:
                connection.close()
            self.client.later(self)
            return
        self.socket = connection
        self.socket.setblocking(False)
        self.raw, self.body, self.status = b"", b"", None
        self.client.selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self):
        if self.socket:
            self.client.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def gone(self):
        self.close()
        if not self.over:
            self.client.later(self)

    def readable(self):
        try:
            piece = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self.raw += piece
        self.parse_head()
        if self.status == 200:
            self.parse_chunks()
        if not piece or (self.status and self.status != 200):
            self.gone()

    def parse_head(self):
        if self.status is not None or b"\r\n\r\n" not in self.raw:
            return
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        if self.status == 204:
            self.over = True
        elif self.status == 200:
            self.opened += 1
        elif self.status not in AGAIN:
            raise Failed(f"{self.path}: {head.decode()}")

    def parse_chunks(self):
        at = 0
        while True:
            end = self.raw.find(b"\r\n", at)
            if end < 0:
                break
            size = int(self.raw[at:end], 16)
            if len(self.raw) < end + 2 + size + 2:
                break
            self.body += self.raw[end + 2:end + 2 + size]
            at = end + 2 + size + 2
            if size == 0:
                self.ends += 1
                self.raw = b""
                self.parse_events()
                self.gone()
                return
        self.raw = self.raw[at:]
        self.parse_events()

    def parse_events(self):
        """Only whole events count: what was cut off comes again."""
        *events, self.body = self.body.split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if b": " in line)
            if b"id" not in fields:
                continue
            json.loads(fields[b"data"])
            self.last_id = int(fields[b"id"])
            self.numbers.append(self.last_id)


class Client:
    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.streams = []
        self.away = []
        self.came_back = 0

    def later(self, stream):
        self.away.append((time.monotonic() + COME_BACK_S, stream))

    def open(self, *wanted):
        self.streams.append(Stream(self, *wanted))

    def turn(self):
        for key, _ in self.selector.select(0.05):
            key.data.readable()
        now = time.monotonic()
        due = [stream for at, stream in self.away if at <= now]
        self.away = [(at, stream) for at, stream in self.away if at > now]
        for stream in due:
            self.came_back += 1
            stream.connect()

    def until(self, what, condition, limit_s):
        """Reads until the condition, which is looked at a few times a second, holds."""
        end, look = time.monotonic() + limit_s, 0
        while True:
            now = time.monotonic()
            if now >= look:
                if condition():
                    return
                look = time.monotonic() + 0.2
            if now > end:
                raise Failed(f"not within {limit_s:g} s: {what}")
            self.turn()

    def all_open(self):
        return all(stream.status == 200 for stream in self.streams)


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def query(dispatchd, sql, *values):
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    try:
        return database.execute(sql, values).fetchall()
    finally:
        database.close()


def count_ended(dispatchd):
    return query(dispatchd, "SELECT count(*) FROM run WHERE ended_ms IS NOT NULL")[0][0]


def submit(dispatchd, key, number, prompt):
    """A repository of its own for each, so that none waits for another."""
    status, answer = call(f"{dispatchd.url}/api/tasks", "POST",
                          {"repository_url": f"{Nowhere.url}/octo/r{number}",
                           "description": prompt}, {"Authorization": f"Bearer {key}"})
    if status != 202:
        raise Failed(f"submit: {status} {answer}")
    return answer["task_id"]


def stop(dispatchd, key, task):
    status, answer = call(f"{dispatchd.url}/api/tasks/{task}/stop", "POST",
                          headers={"Authorization": f"Bearer {key}"})
    if status != 202:
        raise Failed(f"stop: {status} {answer}")


def submit_all(dispatchd, keys, runs):
    """The last run of each key, which has one."""
    token = dispatchd.token()
    last = {}
    for number in range(runs):
        if number % SHARED_EVERY == SHARED_EVERY - 1:
            status, answer = dispatchd.dispatch(token, SCRIPT)
            if status != 200:
                raise Failed(f"dispatch: {status} {answer}")
        else:
            key = keys[number % len(keys)]
            last[key] = submit(dispatchd, key, number, SCRIPT)
    return last


def open_all(client, keys, streams, tasks):
    """Nine tenths watch all that their key may see, the rest one run each."""
    for number in range(streams):
        key = keys[number // PER_KEY]
        if number % PER_KEY == PER_KEY - 1 and key in tasks:
            client.open(key, f"/api/tasks/{tasks[key]}/events")
        else:
            client.open(key, "/api/events", 0)


def key_of(task):
    """The run's key in the database: common/base/id.h."""
    return int(task[:8], 36) << 21 | int(task[8:], 36) >> 41


class Expected:
    """What each stream has to have seen, from the journal itself."""

    def __init__(self, dispatchd):
        self.dispatchd = dispatchd
        self.owners = {name: owner for owner, name in
                       query(dispatchd, "SELECT id, name FROM credential")}
        self.numbers = {}
        rows = query(dispatchd, "SELECT number, owner, run FROM event ORDER BY number")
        self.by_owner, self.by_run = {}, {}
        for number, owner, run in rows:
            self.by_owner.setdefault(owner, []).append(number)
            self.by_run.setdefault(run, []).append(number)

    def of(self, stream):
        if stream.path != "/api/events":
            return self.by_run[key_of(stream.path.split("/")[3])]
        if stream.key not in self.numbers:
            name = "key:" + hashlib.sha256(stream.key.encode()).hexdigest()[:16]
            own = self.by_owner.get(self.owners.get(name), []) if name in self.owners else []
            self.numbers[stream.key] = sorted(own + self.by_owner.get(None, []))
        return self.numbers[stream.key]


def judge(client, expected):
    complaints = []
    for stream in client.streams:
        wanted = expected.of(stream)
        if stream.numbers != wanted:
            missing = sorted(set(wanted) - set(stream.numbers))
            repeated = len(stream.numbers) - len(set(stream.numbers))
            complaints.append(
                f"{stream.path}: {len(stream.numbers)} of {len(wanted)} events, missing "
                f"{missing[:5]}, {repeated} repeated, in order: "
                f"{stream.numbers == sorted(stream.numbers)}, opened {stream.opened} times")
        if stream.path != "/api/events" and not stream.over:
            complaints.append(f"{stream.path}: not told that it is over")
    return complaints


def end_with_streams_open(dispatchd):
    began = time.monotonic()
    dispatchd.process.send_signal(signal.SIGTERM)
    code = dispatchd.process.wait(STOP_S_MAX + 10)
    took = time.monotonic() - began
    if code != 0 or took > STOP_S_MAX:
        raise Failed(f"dispatchd ended with {code} after {took:.1f} s")
    return took


def exercise(dispatchd, options, keys):
    dispatchd.start()
    # They never claim, so that nothing is launched until all streams are open.
    blockers = [submit(dispatchd, keys[0], f"blocker{i}", "silent")
                for i in range(options.workers)]
    tasks = submit_all(dispatchd, keys, options.runs)
    before = rss_bytes(dispatchd.process.pid)
    client = Client(lambda: dispatchd.port)
    open_all(client, keys, options.streams, tasks)
    client.until("all streams are open", client.all_open, 300)
    each = (rss_bytes(dispatchd.process.pid) - before) / options.streams
    print(f"  {options.streams} streams open: {each / 1024:.1f} KiB each", flush=True)

    for task in blockers:
        stop(dispatchd, keys[0], task)
    total = options.runs + len(blockers)
    client.until("half of the runs end", lambda: count_ended(dispatchd) >= total // 2, 300)
    at_peak = (rss_bytes(dispatchd.process.pid) - before) / options.streams
    dispatchd.kill()
    dispatchd.start()
    client.until("all runs end", lambda: count_ended(dispatchd) >= total, 300)
    expected = None

    def have_seen_it_all():  # the journal as it is now: of an end there are events after it
        nonlocal expected
        expected = Expected(dispatchd)
        return all((stream.last_id or 0) >= expected.of(stream)[-1] for stream in client.streams)

    client.until("those of ended runs are told so",
                 lambda: all(stream.over for stream in client.streams
                             if stream.path != "/api/events"), 180)
    client.until("the streams have seen it all", have_seen_it_all, 180)
    complaints = judge(client, expected)
    if each > BYTES_PER_STREAM_MAX and not is_instrumented("dispatchd"):
        complaints.append(f"a stream costs {each / 1024:.1f} KiB")
    took = end_with_streams_open(dispatchd)
    events = sum(len(stream.numbers) for stream in client.streams)
    print(f"  {options.runs} runs, {events} events seen, {client.came_back} times come back; "
          f"{at_peak / 1024:.1f} KiB a stream with runs under way; stopped in {took:.1f} s")
    return complaints


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    files = options.streams + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))
    keys = [f"{number:04d}-{os.urandom(5).hex()}"
            for number in range((options.streams + PER_KEY - 1) // PER_KEY)]
    with Place() as place, Dispatchd(
            place, Nowhere, "/bin/true", DISPATCH_LAUNCHER="fake",
            CODEBOT_API_KEYS=",".join(keys), CODEBOT_MAX_WORKERS=str(options.workers),
            CODEBOT_MAX_QUEUE_SIZE="100000", DISPATCH_MAX_CONNECTIONS=str(files * 2),
            DISPATCH_MAX_CONNECTIONS_PER_ADDRESS=str(files * 2)) as dispatchd:
        try:
            complaints = exercise(dispatchd, options, keys)
        except Failed as failed:
            complaints = [str(failed), dispatchd.tail()]
    for complaint in complaints[:20]:
        print(f"  FAIL  {complaint}")
    print(f"{0 if complaints else 1} passed, {1 if complaints else 0} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
