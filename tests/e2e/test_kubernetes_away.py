#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API server is away while runs are dispatched, and then back; and it answers now and then
with what a busy one says. No run fails, none gets a second attempt, intake goes on, and what has
piled up is launched without a stampede. Against the stand-in.

    test_kubernetes_away.py [--runs 120] [--seconds 6]
"""
import argparse
import collections
import sys
import time

from kubernetes_api import KubernetesStandin
from parts import Dispatchd, Failed, Place, agent_script, wait_for
from test_kubernetes_crash import NoGitHub, stored_runs

NAMESPACE = "runs"
CONNECTIONS = 8
STREAMS = 2  # the watches
TROUBLE = [
    {"action": "status", "status": 429, "method": "POST"},
    {"action": "status", "status": 503, "method": "POST"},
    {"action": "status_after", "status": 500, "method": "POST"},
    {"action": "status_after", "status": 504, "reason": "Timeout", "method": "POST"},
    {"action": "reset_before", "method": "POST"},
    {"action": "reset_after", "method": "POST"},
    {"action": "cut_after", "method": "POST"},
    {"action": "delay_after", "ms": 300, "method": "POST"},
]


def settings(standin):
    return {"DISPATCH_LAUNCHER": "kubernetes",
            "DISPATCH_KUBERNETES_KUBECONFIG": standin.kubeconfig,
            "DISPATCH_KUBERNETES_NAMESPACE": NAMESPACE,
            "DISPATCH_KUBERNETES_IMAGE": "registry.invalid/dispatch-runner:none",
            "DISPATCH_KUBERNETES_CONNECTIONS": str(CONNECTIONS),
            "DISPATCH_KUBERNETES_SCHEDULE_TIMEOUT": "86400",
            "DISPATCH_CLAIM_TIMEOUT": "2",
            "DISPATCH_PUBLIC_URL": "http://dispatchd.invalid:5000",
            "CODEBOT_MAX_WORKERS": "0", "CODEBOT_MAX_QUEUE_SIZE": "100000"}


def dispatch(dispatchd, token, count):
    runs = []
    for _ in range(count):
        status, answer = dispatchd.dispatch(token, "change")
        if status != 200:
            raise Failed(f"dispatch: {status} {answer}")
        runs.append(answer["runId"])
    return runs


def is_launched(dispatchd, runs):
    stored = stored_runs(dispatchd)
    return all(stored[run][0] == "launching" and stored[run][2] for run in runs)


def judge(standin, dispatchd, runs):
    stored = stored_runs(dispatchd)
    for run in runs:
        status, attempt, _, _ = stored[run]
        if (status, attempt) != ("launching", 1):
            yield f"{run}: {status}, attempt {attempt}"
    for kind in ("jobs", "secrets"):
        made = collections.Counter()
        for _, name, times in standin.api.expect(200, "GET", f"/standin/made?kind={kind}"):
            made[name] += times
        for run in runs:
            if made[f"run-{run}-1"] != 1:
                yield f"{run}: {made[f'run-{run}-1']} {kind}"
        if sum(made.values()) != len(runs):
            yield f"{sum(made.values())} {kind} for {len(runs)} runs"


def says_why(dispatchd, run):
    task = dispatchd.task(run)
    return task["status"] == "pending" and "does not answer" in task.get("reason", "")


def be_away(standin, dispatchd, token, options):
    runs = []
    for times in (1, 5, 25):  # on a slow machine it may be back before a run can say anything
        seconds = options.seconds * times
        standin.api.expect(201, "POST", "/standin/faults",
                           {"action": "down", "ms": seconds * 1000})
        time.sleep(0.3)
        runs += dispatch(dispatchd, token, options.runs)
        said_why = wait_for("a waiting run says why, or all are launched", lambda: (
            says_why(dispatchd, runs[-1]) or is_launched(dispatchd, runs) and "launched"),
            240 + seconds)
        if said_why != "launched":
            break
    else:
        raise Failed("no run said why it waits")
    wait_for("all are launched once it is back", lambda: is_launched(dispatchd, runs),
             240 + seconds, 0.1)
    counts = standin.api.expect(200, "GET", "/standin/counts")
    if counts["most_under_way"] > CONNECTIONS + STREAMS:
        raise Failed(f"{counts['most_under_way']} requests at once")
    return runs


def be_in_trouble(standin, dispatchd, token, options):
    for fault in TROUBLE:
        standin.api.expect(201, "POST", "/standin/faults", {**fault, "times": 0, "chance": 0.04})
    runs = dispatch(dispatchd, token, options.runs)
    wait_for("all are launched in spite of it", lambda: is_launched(dispatchd, runs), 240, 0.1)
    standin.api.expect(200, "DELETE", "/standin/faults")
    return runs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=120)
    parser.add_argument("--seconds", type=int, default=6)
    options = parser.parse_args()
    with Place() as place, KubernetesStandin(place, "--no-kubelet") as standin, Dispatchd(
            place, NoGitHub, agent_script(place, "agent", "exit 0\n"),
            **settings(standin)) as dispatchd:
        dispatchd.start()
        token = dispatchd.token()
        complaints, passed = [], 0
        runs = []
        for part in (be_away, be_in_trouble):
            try:
                runs += part(standin, dispatchd, token, options)
                found = list(judge(standin, dispatchd, runs))
            except Failed as failed:
                found = [str(failed), dispatchd.tail()]
            complaints += found
            passed += not found
    for complaint in complaints[:20]:
        print(f"  FAIL  {complaint}")
    print(f"{passed} passed, {2 - passed} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
