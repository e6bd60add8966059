#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of dispatchd at random moments while runs are dispatched to Kubernetes. Every
acknowledged run must have exactly one Job, with the Secret that its runner needs, and there must
be no Job, and no Secret, that no run owns.

    test_kubernetes_crash.py [--runs 2000] [--kills 200] [--kubeconfig F] [--seed N]

Without --kubeconfig against the stand-in. Pods never run: no node is needed.
"""
import argparse
import base64
import collections
import hashlib
import random
import sqlite3
import sys
import threading
import time

from kubernetes_api import KubernetesStandin, api_of
from parts import Dispatchd, Failed, Place, agent_script, wait_for
from test_crash import Client

CLIENTS = 8
PAUSE_MAX_S = 0.6
EARLY_KILL_SHARE = 0.15  # killed while it starts
RUN_ID, NAME = "dispatch.dev/run-id", "app.kubernetes.io/name"


class NoGitHub:
    url = "http://127.0.0.1:9"  # no runner lives long enough to ask


class Witness(threading.Thread):
    """Watches the Jobs from the first to the last: their uids by name, deleted ones too."""

    def __init__(self, api, path):
        super().__init__(daemon=True)
        self.api, self.path = api, path
        self.version = api.expect(200, "GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
        self.uids = collections.defaultdict(set)
        self.deleted = set()

    def run(self):
        while True:
            self.api.watch(self.path, self.version, self.see)
            time.sleep(0.1)

    def see(self, what, obj):
        if what == "ERROR":
            raise Failed(f"the tests' own watch of Jobs: {obj}")
        self.version = obj["metadata"]["resourceVersion"]
        if what == "BOOKMARK":
            return
        self.uids[obj["metadata"]["name"]].add(obj["metadata"]["uid"])
        if what == "DELETED":
            self.deleted.add(obj["metadata"]["name"])


class Cluster:
    """A namespace of our own in a real cluster, or the stand-in."""

    def __init__(self, place, kubeconfig):
        self.namespace = f"dispatch-crash-{random.SystemRandom().randrange(1 << 32):08x}"
        self.standin = None if kubeconfig else KubernetesStandin(place, "--no-kubelet")
        self.kubeconfig = kubeconfig or self.standin.kubeconfig
        self.api = api_of(kubeconfig, place) if kubeconfig else self.standin.api
        self.jobs_path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def __enter__(self):
        if not self.standin:
            self.api.expect(201, "POST", "/api/v1/namespaces", {
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": self.namespace}})
            self.wait_for_account()
        return self

    def wait_for_account(self):
        """Pods can't be made before the namespace has its default service account."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        wait_for("the namespace is ready", lambda: self.api.call("GET", path)[0] == 200)

    def __exit__(self, *ignored):
        if self.standin:
            self.standin.__exit__()
        else:
            self.api.call("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def jobs(self):
        return self.api.list(self.jobs_path)

    def secrets(self):
        if self.standin:
            return self.standin.objects("secrets")
        return self.api.list(f"/api/v1/namespaces/{self.namespace}/secrets")


def kill_at_random(dispatchd, options):
    back_s = []
    for _ in range(options.kills):
        time.sleep(random.uniform(0.0, PAUSE_MAX_S))
        dispatchd.kill()
        while random.random() < EARLY_KILL_SHARE:
            dispatchd.spawn()
            time.sleep(random.uniform(0.0, 0.15))
            dispatchd.kill()
        back_s.append(dispatchd.start())
    return back_s


def stored_runs(dispatchd):
    """{id: (status, attempt, job, token hash)}"""
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    try:
        rows = database.execute(
            "SELECT key, tail, status, attempt, job_ref, task_token_hash FROM run").fetchall()
    finally:
        database.close()
    return {id_text(key, tail): tuple(rest) for key, tail, *rest in rows}


def id_text(key, tail):
    """base/id.h: eight characters for the millisecond, twelve for the random part."""
    return base36(key >> 21, 8) + base36(tail, 12)


def base36(number, width):
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text


def all_launched(dispatchd):
    return all(status == "launching" and job for status, _, job, _ in
               stored_runs(dispatchd).values())


def judge_jobs(runs, jobs, witness):
    by_run = collections.Counter(job["metadata"]["labels"][RUN_ID] for job in jobs)
    names = {job["metadata"]["name"] for job in jobs}
    for run, (status, attempt, ref, _) in runs.items():
        if status != "launching":
            yield f"{run}: {status}"
        if by_run[run] != 1:
            yield f"{run}: {by_run[run]} Jobs"
        if ref != f"run-{run}-{attempt}" or ref not in names:
            yield f"{run}: its Job should be {ref}, attempt {attempt}"
        for earlier in range(1, attempt):
            if f"run-{run}-{earlier}" in witness.uids:
                yield f"{run}: attempt {earlier} had a Job, and {attempt} has one"
    yield from (f"a Job of no run: {run}" for run in by_run if run not in runs)
    yield from (f"{name}: made {len(uids)} times" for name, uids in witness.uids.items()
                if len(uids) != 1)
    yield from (f"{name}: deleted" for name in witness.deleted)


def judge_secrets(runs, jobs, secrets):
    owners = {job["metadata"]["uid"]: job["metadata"] for job in jobs}
    owned = collections.Counter()
    for secret in secrets:
        meta = secret["metadata"]
        refs = meta.get("ownerReferences", [])
        if len(refs) != 1 or refs[0]["uid"] not in owners:
            yield f"a Secret of no Job: {meta['name']}"
            continue
        job = owners[refs[0]["uid"]]
        owned[job["name"]] += 1
        token = base64.b64decode(secret["data"]["token"])
        run = job["labels"][RUN_ID]
        if run in runs and hashlib.sha256(token).digest() != runs[run][3]:
            yield f"{meta['name']}: not the token that dispatchd knows"
    yield from (f"{job['name']}: {owned[job['name']]} Secrets" for job in owners.values()
                if owned[job["name"]] != 1)


def judge(cluster, dispatchd, acknowledged, witness):
    """What is wrong, as sentences."""
    runs, jobs = stored_runs(dispatchd), cluster.jobs()
    if len(set(acknowledged)) != len(acknowledged):
        yield f"{len(set(acknowledged))} runs for {len(acknowledged)} keys"
    yield from (f"acknowledged and gone: {run}" for run in acknowledged if run not in runs)
    yield from (f"never acknowledged: {run}" for run in runs if run not in set(acknowledged))
    yield from judge_jobs(runs, jobs, witness)
    yield from judge_secrets(runs, jobs, cluster.secrets())


def run_clients(dispatchd, options):
    token = dispatchd.token()
    # Spread the intake over the killing, so that kills meet every stage.
    pace_s = options.kills * PAUSE_MAX_S * 0.6 / max(1, options.runs / CLIENTS)
    clients = [Client(dispatchd, token, range(first, options.runs, CLIENTS), pace_s)
               for first in range(CLIENTS)]
    for client in clients:
        client.start()
    return clients


def settings(cluster):
    return {"DISPATCH_LAUNCHER": "kubernetes",
            "DISPATCH_KUBERNETES_KUBECONFIG": cluster.kubeconfig,
            "DISPATCH_KUBERNETES_NAMESPACE": cluster.namespace,
            "DISPATCH_KUBERNETES_IMAGE": "registry.invalid/dispatch-runner:none",
            "DISPATCH_KUBERNETES_SCHEDULE_TIMEOUT": "86400",
            "DISPATCH_PUBLIC_URL": "http://dispatchd.invalid:5000",
            "CODEBOT_MAX_WORKERS": "0", "CODEBOT_MAX_QUEUE_SIZE": "100000"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kubeconfig", help="of a real cluster")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"  {options.runs} runs, {options.kills} kills, seed {options.seed}, "
          f"{options.kubeconfig or 'stand-in'}", flush=True)
    with Place() as place, Cluster(place, options.kubeconfig) as cluster, Dispatchd(
            place, NoGitHub, agent_script(place, "agent", "exit 0\n"),
            **settings(cluster)) as dispatchd:
        witness = Witness(cluster.api, cluster.jobs_path)
        witness.start()
        dispatchd.start()
        clients = run_clients(dispatchd, options)
        back_s = kill_at_random(dispatchd, options)
        for client in clients:
            client.join()
        acknowledged = [run for client in clients for run in client.acknowledged.values()]
        try:
            wait_for("every run has its Job", lambda: all_launched(dispatchd),
                     limit_s=240 + options.runs, every_s=0.5)
            wait_for("the tests' own watch has caught up",
                     lambda: len(witness.uids) >= len(acknowledged))
            complaints = list(judge(cluster, dispatchd, acknowledged, witness))
        except Failed as failed:
            complaints = [str(failed), dispatchd.tail()]
        attempts = collections.Counter(run[1] for run in stored_runs(dispatchd).values())
    for complaint in complaints[:20]:
        print(f"  FAIL  {complaint}")
    print(f"  acknowledged {len(acknowledged)}, Jobs ever {len(witness.uids)}, runs by attempt "
          f"{dict(attempts)}, back in {max(back_s):.2f} s at most "
          f"(median {sorted(back_s)[len(back_s) // 2]:.2f} s)")
    print(f"{0 if complaints else 1} passed, {1 if complaints else 0} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
