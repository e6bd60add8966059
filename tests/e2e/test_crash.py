#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of dispatchd at random moments while runs are dispatched and executed (process
launcher). Every acknowledged run must end exactly once, completed, with one pull request, and
the database must be sound.

    test_crash.py [--dispatches 500] [--kills 100] [--workers 4] [--seed N]
"""
import argparse
import random
import sqlite3
import sys
import threading
import time

from parts import Dispatchd, Failed, Place, Standin, agent_script, wait_for

AGENT = "cat > prompt.txt\n"
CLIENTS = 8


class Client(threading.Thread):
    """Dispatches its prompts; asks again with the same key until it is told a run id."""

    def __init__(self, dispatchd, token, numbers, pace_s, before=""):
        super().__init__(daemon=True)
        self.dispatchd, self.token, self.numbers, self.pace_s = dispatchd, token, numbers, pace_s
        self.before = before  # every prompt
        self.acknowledged = {}

    def run(self):
        for number in self.numbers:
            self.acknowledged[number] = self.dispatch(number)
            time.sleep(self.pace_s)

    def dispatch(self, number):
        while True:
            try:
                status, answer = self.dispatchd.dispatch(self.token, f"{self.before}change {number}",
                                                         f"key-{number}")
                if status == 200:
                    return answer["runId"]
            except OSError:
                pass
            time.sleep(0.05)


def clients(dispatchd, token, options):
    # Spread the intake over the killing, so that kills meet every stage.
    pace_s = options.kills * 0.35 / max(1, options.dispatches / CLIENTS)
    return [Client(dispatchd, token, range(first, options.dispatches, CLIENTS), pace_s)
            for first in range(CLIENTS)]


def kill_at_random(dispatchd, options):
    back_s = []
    for _ in range(options.kills):
        time.sleep(random.uniform(0.0, 0.6))
        dispatchd.kill()
        back_s.append(dispatchd.start())
    return back_s


def all_ended(dispatchd, expected):
    counts = {}
    for task in dispatchd.tasks(""):
        counts[task["status"]] = counts.get(task["status"], 0) + 1
    open_ = counts.get("pending", 0) + counts.get("running", 0)
    return counts if open_ == 0 and sum(counts.values()) >= expected else None


def judge(dispatchd, standin, acknowledged):
    """What is wrong, as sentences."""
    tasks = {task["task_id"]: task for task in dispatchd.tasks("")}
    complaints = [f"{len(set(acknowledged.values()))} runs for {len(acknowledged)} keys"] \
        if len(set(acknowledged.values())) != len(acknowledged) else []
    complaints += [f"acknowledged and gone: {run}" for run in acknowledged.values()
                   if run not in tasks]
    complaints += [f"never acknowledged: {run}" for run in tasks
                   if run not in acknowledged.values()]
    complaints += [f"{run}: {task['status']}: {task.get('error')}" for run, task in tasks.items()
                   if task["status"] != "completed"]
    bodies = [pull["body"] for pull in standin.pulls()]
    for run in tasks:
        count = sum(f"Dispatch-Run: {run}" in body for body in bodies)
        if count != 1:
            complaints.append(f"{run}: {count} pull requests")
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    sound = database.execute("PRAGMA integrity_check").fetchone()[0]
    database.close()
    if sound != "ok":
        complaints.append(f"integrity_check: {sound}")
    return complaints


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dispatches", type=int, default=500)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"  {options.dispatches} dispatches, {options.kills} kills, seed {options.seed}",
          flush=True)
    with Place() as place, Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", AGENT),
            CODEBOT_MAX_WORKERS=str(options.workers), CODEBOT_MAX_QUEUE_SIZE="100000",
            ) as dispatchd:
        dispatchd.start()
        token = dispatchd.token()
        working = clients(dispatchd, token, options)
        for client in working:
            client.start()
        back_s = kill_at_random(dispatchd, options)
        for client in working:
            client.join()
        acknowledged = {k: v for client in working for k, v in client.acknowledged.items()}
        try:
            counts = wait_for("every run ends", lambda: all_ended(dispatchd, len(acknowledged)),
                              limit_s=240 + options.dispatches * 2, every_s=0.5)
            complaints = judge(dispatchd, standin, acknowledged)
        except Failed as failed:
            counts, complaints = {}, [str(failed), dispatchd.tail()]
    for complaint in complaints[:20]:
        print(f"  FAIL  {complaint}")
    print(f"  acknowledged {len(acknowledged)}, ended {counts}, back in "
          f"{max(back_s):.2f} s at most (median {sorted(back_s)[len(back_s) // 2]:.2f} s)")
    print(f"{0 if complaints else 1} passed, {1 if complaints else 0} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
