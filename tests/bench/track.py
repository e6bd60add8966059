# SPDX-License-Identifier: Apache-2.0
"""What many runs in flight cost when nothing changes, and how soon a client sees a change."""
import base64
import os
import random
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from launch import KubernetesStandin, kubernetes_environment
from measuring import (API_KEY, Client, Failure, Figure, dispatchd_environment, make_token,
                       setting, start_dispatchd, tell, wait_for)

TARGET_MIB, TARGET_CPU, TARGET_CHANGE_MS = 64, 5, 50
LAUNCH_S = 300
SETTLE_S = 6  # a look at every run goes by
QUIET_S = 10
HEARTBEAT_EVERY_S = 10  # of each runner, as the answer to a claim says by default
RUN_ID = "dispatch.dev/run-id"

# Leaves its token where it is looked for, and stays until it is killed.
RUNNER = """#!/bin/sh
umask 077
cat "$DISPATCH_TASK_TOKEN_FILE" >"{place}/$DISPATCH_RUN_ID.new"
echo $$ >"{place}/$DISPATCH_RUN_ID.pid"
mv "{place}/$DISPATCH_RUN_ID.new" "{place}/$DISPATCH_RUN_ID.token"
exec sleep 600
"""


# --- Many in flight ---


class Runner:
    def __init__(self, run_id, token):
        self.run_id, self.token = run_id, token

    def claim(self, client):
        client.call("POST", "/runner/v1/claim", self.token, {"runner_id": f"bench-{self.run_id}"},
                    X_Dispatch_Attempt=1)

    def heartbeat(self, client):
        client.call("POST", "/runner/v1/heartbeat", self.token, None, X_Dispatch_Attempt=1)

    def complete(self, client):
        client.call("POST", "/api/callbacks/complete", self.token,
                    {"task_id": self.run_id, "status": "completed"}, X_Dispatch_Attempt=1)


def runners_of(standin):
    """By the Secrets of the Jobs."""
    for secret in standin.objects("secrets"):
        yield Runner(secret["metadata"]["labels"][RUN_ID],
                     base64.b64decode(secret["data"]["token"]).decode())


def cpu_percent(server, seconds, meanwhile=time.sleep):
    """Of one core."""
    before, began = server.cpu_s(), time.monotonic()
    meanwhile(seconds)
    return (server.cpu_s() - before) / (time.monotonic() - began) * 100


def heartbeats(port, runners):
    """One of each runner in turn, evenly, as many as would come."""
    def beat(seconds):
        began = time.monotonic()
        with Client(port) as client:
            for number in range(int(seconds / HEARTBEAT_EVERY_S * len(runners))):
                runners[number % len(runners)].heartbeat(client)
                due = began + number * HEARTBEAT_EVERY_S / len(runners) - time.monotonic()
                if due > 0:
                    time.sleep(due)
    return beat


def launch_and_claim(standin, server, token, count):
    with Client(server.port) as client:
        for _ in range(count):
            client.dispatch(token, "find out why the retry counter starts again at zero")
        tell(f"track, launching {count}")
        wait_for(f"{count} Jobs are launched", lambda: client.metric(
            "dispatch_jobs_launched_total") >= count, LAUNCH_S, 0.1)
    runners = list(runners_of(standin))
    if len(runners) != count:
        raise Failure(f"{len(runners)} Secrets of {count} Jobs")
    tell(f"track, claiming {count}")
    with Client(server.port) as client:
        for runner in runners:
            runner.claim(client)
    wait_for("each Job has its pod", lambda: len(standin.objects("pods")) == count, LAUNCH_S, 0.5)
    return runners


def many(scratch, count):
    directory = Path(tempfile.mkdtemp(dir=scratch))
    with KubernetesStandin(directory, "--no-kubelet") as standin:
        env = kubernetes_environment(directory, standin.kubeconfig, DISPATCH_LOST_AFTER="86400")
        token = make_token(directory, env)
        with start_dispatchd(directory, env) as server:
            runners = launch_and_claim(standin, server, token, count)
            wait_for("dispatchd is at rest", lambda: cpu_percent(server, 1) < 50, LAUNCH_S)
            tell("track, nothing changes")
            time.sleep(SETTLE_S)
            quiet = cpu_percent(server, QUIET_S)
            rss = server.rss_mib()
            tell("track, heartbeats")
            beating = cpu_percent(server, QUIET_S, heartbeats(server.port, runners))
            with Client(server.port) as client:
                if client.metric("dispatch_runs_active") != count:
                    raise Failure("not every run is still in flight")
    shutil.rmtree(directory)
    return rss, quiet, beating


# --- A change ---


class Stream:
    """The events of one run, as a client reads them."""

    def __init__(self, port, run_id):
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        self.socket.sendall(f"GET /api/tasks/{run_id}/events HTTP/1.1\r\nHost: localhost\r\n"
                            f"Authorization: Bearer {API_KEY}\r\n\r\n".encode())
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read_until(self, pattern):
        """The moment at which what fits was there."""
        while not re.search(pattern, self.text):
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise Failure(f"the stream ended before {pattern}: {self.text[-300:]}")
            self.text += piece
        return time.perf_counter()


def change_ms(directory, server, client, token, change):
    """From what `change` does to a running run until a stream shows its end."""
    run_id = client.dispatch(token, "wait")
    path = directory / f"{run_id}.token"
    wait_for("the runner has its token", path.exists)
    runner = Runner(run_id, path.read_text())
    runner.claim(client)
    with Stream(server.port, run_id) as stream:
        stream.read_until(rb'"status": ?"running"|event: status[^\n]*\n[^\n]*running')
        time.sleep(random.uniform(0.02, 0.12))  # at any moment of whatever beats there are
        end = change(runner, client, int((directory / f"{run_id}.pid").read_text()))
        began = time.perf_counter()
        end()
        return (stream.read_until(rb'"(completed|failed)"') - began) * 1000


def by_report(runner, client, pid):
    del pid
    return lambda: runner.complete(client)


def by_death(runner, client, pid):
    del runner, client
    return lambda: os.kill(pid, signal.SIGKILL)


def changes_ms(scratch, count):
    directory = Path(tempfile.mkdtemp(dir=scratch))
    program = directory / "runner"
    program.write_text(RUNNER.format(place=directory))
    program.chmod(0o755)
    env = dispatchd_environment(directory, DISPATCH_LAUNCHER="process",
                                DISPATCH_RUNNER=str(program), CODEBOT_MAX_WORKERS="0")
    token = make_token(directory, env)
    reported, died = [], []
    with start_dispatchd(directory, env) as server, Client(server.port) as client:
        try:
            for number in range(count):
                tell(f"track, change {number + 1} of {count}")
                reported.append(change_ms(directory, server, client, token, by_report))
                died.append(change_ms(directory, server, client, token, by_death))
        finally:
            end_runners(directory)
    shutil.rmtree(directory)
    return reported, died


def end_runners(directory):
    """Those that reported their end and stayed; by their pids, if those are still theirs."""
    for path in directory.glob("*.pid"):
        pid = int(path.read_text())
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(directory)):
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def measure(scratch):
    count, changes = setting("BENCH_TRACKED", 5000), setting("BENCH_CHANGES", 50)
    rss, quiet, beating = many(scratch, count)
    reported, died = changes_ms(scratch, changes)
    tell("")
    how = f"{count} claimed runs, each a Job and a pod at the Kubernetes stand-in"
    seen = "`process`, until an event stream shows it"
    return [
        Figure("track", f"{count:,} runs in flight, in memory", [rss], "MiB", TARGET_MIB,
               how=how),
        Figure("track", "CPU when nothing changes", [quiet], "% of a core", TARGET_CPU,
               how=f"utime and stime over {QUIET_S} s; {how}"),
        Figure("track", f"CPU with a heartbeat of each every {HEARTBEAT_EVERY_S} s", [beating],
               "% of a core"),
        Figure("track", "an end that was reported is seen", reported, "ms", TARGET_CHANGE_MS,
               how=f"from the runner's call; {seen}"),
        Figure("track", "a runner that dies is seen", died, "ms", TARGET_CHANGE_MS,
               how=f"from its SIGKILL; {seen}"),
    ], {"tracked": count, "changes": changes}
