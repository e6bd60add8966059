# SPDX-License-Identifier: Apache-2.0
"""How soon a run that was acknowledged is launched, and how many short ones a second."""
import contextlib
import multiprocessing
import random
import selectors
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

from measuring import (HERE, Client, Failure, Figure, dispatchd_environment, make_token, program,
                       setting, start_dispatchd, tell, wait_for)

sys.path.insert(0, str(HERE.parent / "e2e"))
from kubernetes_api import KubernetesStandin  # noqa: E402

TARGET_CREATE_MS, TARGET_SHORT_PER_S = 5, 100
LAUNCH_S = 120
SHORT_RUNS_S = 600
SHORT_ROUNDS = 3
WARM_UP = 5
WORKERS = 8
PIECE = 1 << 18


# --- From the answer to the Job's create ---


def relay(listener, to_port, moments):
    """A process of its own between dispatchd and the API server: sends through `moments` when
    each Job's create arrived."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        ready = selector.select()
        at = time.perf_counter()
        for key, _ in ready:
            if key.fileobj is listener:
                near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", to_port))
                for end, other in ((near, far), (far, near)):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(end, selectors.EVENT_READ, other)
            elif key.fileobj.fileno() >= 0:  # else its other end has just gone
                pass_on(selector, key.fileobj, key.data, moments, at)


def pass_on(selector, end, other, moments, at):
    with contextlib.suppress(OSError):
        piece = end.recv(PIECE)
        if piece.startswith(b"POST ") and piece.split(b" ", 2)[1].split(b"?")[0].endswith(b"/jobs"):
            moments.send(at)
        if piece:
            other.sendall(piece)
            return
    for one in (end, other):
        selector.unregister(one)
        one.close()


@contextlib.contextmanager
def relayed(to_port):
    """(its port, the moments): perf_counter() is the same clock in all processes."""
    heard, said = multiprocessing.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        process = multiprocessing.get_context("fork").Process(
            target=relay, args=(listener, to_port, said), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            process.kill()
            process.join()


def kubernetes_environment(directory, kubeconfig, **more):
    return dispatchd_environment(directory, **{
        "DISPATCH_LAUNCHER": "kubernetes",
        "DISPATCH_KUBERNETES_KUBECONFIG": str(kubeconfig),
        "DISPATCH_KUBERNETES_NAMESPACE": "bench",
        "DISPATCH_KUBERNETES_IMAGE": "registry.invalid/dispatch-runner:none",
        "DISPATCH_KUBERNETES_QPS": "10000",
        "DISPATCH_KUBERNETES_BURST": "100000",
        "DISPATCH_KUBERNETES_SCHEDULE_TIMEOUT": "86400",
        "DISPATCH_CLAIM_TIMEOUT": "86400",
        "DISPATCH_PUBLIC_URL": "http://dispatchd.invalid:5000",
        "CODEBOT_MAX_WORKERS": "0",
        **more})


def until_create_ms(client, token, moments):
    client.send("POST", "/dispatchTask", token, {"prompt": "find out why"})
    status, answer = client.receive()
    answered = time.perf_counter()
    if status != 200:
        raise Failure(f"a dispatch was answered {status} {answer}")
    if not moments.poll(LAUNCH_S):
        raise Failure(f"no Job within {LAUNCH_S} s of a dispatch")
    return (moments.recv() - answered) * 1000


def creates_ms(scratch, count):
    """dispatchd has nothing else to do whenever a run comes."""
    directory = Path(tempfile.mkdtemp(dir=scratch))
    took = []
    with KubernetesStandin(directory, "--no-controllers") as standin, \
            relayed(int(standin.url.rsplit(":", 1)[1])) as (port, moments):
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(kubeconfig.read_text().replace(
            standin.url, f"http://127.0.0.1:{port}"))
        env = kubernetes_environment(directory, kubeconfig)
        token = make_token(directory, env)
        with start_dispatchd(directory, env) as server, Client(server.port) as client:
            for number in range(WARM_UP + count):  # the first open connections
                tell(f"launch, {number + 1} of {WARM_UP + count}")
                took.append(until_create_ms(client, token, moments))
                wait_for("the launch is over", lambda done=number + 1:
                         client.metric("dispatch_jobs_launched_total") >= done)
                time.sleep(random.uniform(0.02, 0.05))  # so that no two follow a beat
    shutil.rmtree(directory)
    return took[WARM_UP:]


# --- Short runs ---


def short_runs_per_s(scratch, runs):
    """From the first dispatch to the end of the last run."""
    directory = Path(tempfile.mkdtemp(dir=scratch))
    env = dispatchd_environment(directory, DISPATCH_LAUNCHER="process",
                                DISPATCH_RUNNER=program("bench/short_runner"),
                                CODEBOT_MAX_WORKERS=str(WORKERS))
    token = make_token(directory, env)
    with start_dispatchd(directory, env) as server, Client(server.port) as client:
        began = time.perf_counter()
        for _ in range(runs):
            client.dispatch(token, "be short")
        wait_for(f"{runs} short runs end", lambda: client.metric(
            'dispatch_runs_ended_total{status="completed"}') >= runs, SHORT_RUNS_S, 0.02)
        took_s = time.perf_counter() - began
    shutil.rmtree(directory)
    return runs / took_s


def measure(scratch):
    launches = setting("BENCH_LAUNCHES", 100)
    runs = setting("BENCH_SHORT_RUNS", 500)
    took = creates_ms(scratch, launches)
    rates = []
    for number in range(SHORT_ROUNDS):
        tell(f"launch, short runs, round {number + 1} of {SHORT_ROUNDS}")
        rates.append(short_runs_per_s(scratch, runs))
    tell("")
    return [
        Figure("launch", "from the 200 to the Job's create", took, "ms", TARGET_CREATE_MS,
               how="idle, one run at a time, at the Kubernetes stand-in's door"),
        Figure("launch", "short runs, `process`", rates, "/s", TARGET_SHORT_PER_S, True,
               how=f"{WORKERS} workers; the runner is a small C program that claims, reports"
               " its end and exits: no agent, no git"),
    ], {"launches": launches, "short_runs": runs, "workers": WORKERS}
