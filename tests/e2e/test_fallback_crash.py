#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of dispatchd while runs move on from a launcher that refuses them (fake) to the next one
(process). Every acknowledged run must end, completed, by exactly one job: with one pull request
when the runner made it, with none when the fake one did.

    test_fallback_crash.py [--dispatches 60] [--kills 12] [--seed N]
"""
import argparse
import random
import sqlite3
import sys

from parts import Dispatchd, Failed, Place, Standin, agent_script, wait_for
from test_crash import AGENT, Client, all_ended, kill_at_random

# Away for a few questions, then back: one that was under way at a kill is settled there.
PROMPT = "start_away=3 run_ms=1 "


def ends(dispatchd):
    """(launcher, status, code, sentence) of each run."""
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    rows = database.execute("SELECT launcher, status, error_code, error FROM run").fetchall()
    database.close()
    return rows


def is_well(launcher, status, code):
    # The fake launcher's runners end with it.
    return status == "completed" or (launcher == "fake" and code == "lost")


def judge(dispatchd, standin, acknowledged):
    """What is wrong, as sentences; and how many runs moved on."""
    complaints = []
    tasks = {task["task_id"]: task for task in dispatchd.tasks("")}
    if set(tasks) != set(acknowledged.values()):
        complaints.append(f"{len(tasks)} runs for {len(acknowledged)} that were acknowledged")
    bodies = [pull["body"] for pull in standin.pulls()]
    made = {run: sum(f"Dispatch-Run: {run}" in body for body in bodies) for run in tasks}
    complaints += [f"{run}: {count} pull requests" for run, count in made.items() if count > 1]
    rows = ends(dispatchd)
    complaints += [f"{launcher}: {status}: {code}: {why}" for launcher, status, code, why in rows
                   if not is_well(launcher, status, code)]
    moved = sum(launcher == "process" for launcher, *_ in rows)
    if sum(made.values()) != moved:
        complaints.append(f"{moved} runs were by process, {sum(made.values())} pull requests")
    return complaints, moved


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dispatches", type=int, default=60)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"  {options.dispatches} dispatches, {options.kills} kills, seed {options.seed}",
          flush=True)
    with Place() as place, Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", AGENT), CODEBOT_MAX_WORKERS="4",
            CODEBOT_MAX_QUEUE_SIZE="100000", DISPATCH_LAUNCHER="fake",
            DISPATCH_LAUNCHER_FALLBACK="process",
            DISPATCH_LAUNCHER_FALLBACK_AFTER="0") as dispatchd:
        dispatchd.start()
        token = dispatchd.token()
        clients = [Client(dispatchd, token, range(first, options.dispatches, 4),
                          options.kills * 0.35 / (options.dispatches / 4), PROMPT)
                   for first in range(4)]
        for client in clients:
            client.start()
        kill_at_random(dispatchd, options)
        for client in clients:
            client.join()
        acknowledged = {k: v for client in clients for k, v in client.acknowledged.items()}
        moved = 0
        try:
            wait_for("every run ends", lambda: all_ended(dispatchd, len(acknowledged)),
                     limit_s=240 + options.dispatches * 2, every_s=0.5)
            complaints, moved = judge(dispatchd, standin, acknowledged)
        except Failed as failed:
            complaints = [str(failed), dispatchd.tail()]
    if not moved and not complaints:
        complaints.append("no run moved on: nothing was tried")
    for complaint in complaints[:20]:
        print(f"  FAIL  {complaint}")
    print(f"  acknowledged {len(acknowledged)}, {moved} moved on to the next launcher")
    print(f"{0 if complaints else 1} passed, {1 if complaints else 0} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
