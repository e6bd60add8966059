# SPDX-License-Identifier: Apache-2.0
"""Runs whose runner only keeps to its protocol (brief_runner.c), clients that dispatch them until
they are answered, and what became of all of it."""
import collections
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import threading
import time

from parts import BUILD, TREE, Failed, agent_script, end, wait_for


def brief_runner(place, until_over=False):
    """The program that DISPATCH_RUNNER, a container or a task runs; see notes and let_end."""
    over = os.path.join(place, "over") if until_over else ""
    return agent_script(place, "brief-runner",
                        f"exec {os.path.abspath(BUILD)}/torture/brief_runner {place}/notes"
                        f" {over}\n")


def let_end(place):
    with open(os.path.join(place, "over"), "wb"):
        pass


def notes(place):
    """{what: Counter of the runs}: how many runners started, claimed, reported, were refused."""
    found = collections.defaultdict(collections.Counter)
    try:
        with open(os.path.join(place, "notes"), encoding="ascii") as text:
            for line in text:
                what, run, _ = line.split()
                found[what][run] += 1
    except FileNotFoundError:
        pass
    return found


class Clients:
    """Dispatch while `go` is set. Each prompt has a key and is asked for until it is answered,
    whatever happens to dispatchd."""

    def __init__(self, dispatchd, token, prompt, count=3, pause_s=0.01):
        self.dispatchd, self.token, self.prompt = dispatchd, token, prompt
        self.pause_s = pause_s
        self.go, self.over = threading.Event(), False
        self.lock, self.next = threading.Lock(), 0
        self.acknowledged, self.asked_again, self.odd = {}, 0, []
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _work(self):
        while self.go.wait() and not self.over:
            with self.lock:
                self.next += 1
                key = f"key-{self.next}"
            run = self._dispatch(key)
            with self.lock:
                self.acknowledged[key] = run
            time.sleep(self.pause_s)

    def _dispatch(self, key):
        while True:
            try:
                status, answer = self.dispatchd.dispatch(self.token, f"{self.prompt} {key}", key)
                if status == 200:
                    return answer["runId"]
                self.odd.append((status, answer))
            except (OSError, ValueError):
                pass
            except Exception as cut:  # http.client's own: half an answer
                self.odd.append((0, repr(cut)))
            with self.lock:
                self.asked_again += 1
            time.sleep(0.02)

    def end(self):
        """What was acknowledged, by key."""
        self.over = True
        self.go.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged


def all_ended(dispatchd):
    return not dispatchd.tasks("status=pending") and not dispatchd.tasks("status=running")


def ends_of(dispatchd):
    """How often each run ended, as the audit log has it; the database has to be sound."""
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    try:
        sound = database.execute("PRAGMA integrity_check").fetchone()[0]
        if sound != "ok":
            raise Failed(f"integrity_check: {sound}")
        return collections.Counter(target.removeprefix("run:") for target, in database.execute(
            "SELECT target FROM audit WHERE action = 'run.end'"))
    finally:
        database.close()


def judge(dispatchd, acknowledged, ways=(("completed", None),)):
    """Every acknowledged run and no other is there and has ended once, in one of the ways."""
    tasks = {task["task_id"]: task for task in dispatchd.tasks("")}
    runs = set(acknowledged.values())
    if len(runs) != len(acknowledged):
        raise Failed(f"{len(acknowledged)} keys were answered with {len(runs)} runs")
    if runs != set(tasks):
        raise Failed(f"lost {list(runs - set(tasks))[:3]}, made up {list(set(tasks) - runs)[:3]}")
    ends = ends_of(dispatchd)
    wrong = [run for run in runs if ends[run] != 1]
    if wrong:
        raise Failed(f"{len(wrong)} runs didn't end once: {ends[wrong[0]]} {tasks[wrong[0]]}")
    odd = [task for task in tasks.values()
           if (task["status"], task.get("error_code")) not in ways]
    if odd:
        raise Failed(f"{len(odd)} of {len(tasks)} ended oddly: {odd[0]}")


def judge_jobs(place, acknowledged):
    """One runner claimed each run, and one was started for each of its attempts: a runner that
    ended before it claimed is followed by another. That the report was taken is what the run
    says; the runner may still be asking again for the answer. Returns how many followed."""
    seen = notes(place)
    told = collections.defaultdict(list)
    with open(os.path.join(place, "notes"), encoding="ascii") as text:
        for line in text:
            what, run, attempt = line.split()
            told[run].append((what, attempt))
    followed = 0
    for run in acknowledged.values():
        attempts = [attempt for what, attempt in told[run] if what == "started"]
        if (not attempts or len(set(attempts)) != len(attempts) or seen["claimed"][run] != 1
                or seen["reported"][run] > 1):
            raise Failed(f"{run}: {told[run]} ({sum(seen['started'].values())} runners for"
                         f" {len(acknowledged)} runs)")
        followed += len(attempts) - 1
    return followed


class Engine:
    """The stand-in of a Docker Engine, whose containers are brief runners."""

    def __init__(self, place):
        self.socket = os.path.join(place, "engine")
        self.process = subprocess.Popen(
            [os.path.join(TREE, "tests/support/engine-standin/engine-standin"), "--socket",
             self.socket, "--run-command", brief_runner(place), "--image", "*",
             "--exit-with-parent"], stdout=subprocess.DEVNULL)
        wait_for("the engine listens", self._listens)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)

    def _listens(self):
        """The socket is there a moment before that."""
        if self.process.poll() is not None:
            raise Failed(f"the engine ended with {self.process.returncode}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def call(self, method, path, body=None):
        """Of the stand-in's own entrance."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"the engine: {path}: {answer.status} {document}")
        return document
