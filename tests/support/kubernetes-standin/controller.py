# SPDX-License-Identifier: Apache-2.0
"""The Job controller: gives a Job its pod, counts pods that ended, writes the Job's status and
conditions in the order and words of the real one; deadlines, suspension, time to live."""
import datetime
import heapq
import random
import string
import threading
import time

from schema import default_container
from status import Refused
from store import TRACKING, drop_finalizer, now

CREATE_RETRY_S = 0.5
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


def condition_of(obj, kind):
    for condition in obj.get("status", {}).get("conditions", []):
        if condition["type"] == kind:
            return condition
    return None


def set_condition(obj, kind, value, reason, message):
    conditions = obj.setdefault("status", {}).setdefault("conditions", [])
    old = condition_of(obj, kind)
    new = {"type": kind, "status": value, "lastProbeTime": now(), "lastTransitionTime": now(),
           "reason": reason, "message": message}
    if old is None:
        conditions.append(new)
    elif (old["status"], old.get("reason")) != (value, reason):
        conditions[conditions.index(old)] = new


def is_finished(job):
    return bool(condition_of(job, "Complete") or condition_of(job, "Failed"))


def is_over(pod):
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(
        tzinfo=datetime.timezone.utc).timestamp()


class Controller(threading.Thread):
    def __init__(self, store, scripts):
        super().__init__(daemon=True)
        self.store, self.scripts = store, scripts
        self.wake = threading.Condition()
        self.queue = []  # heap of (when, key)
        self.deadlines = {}  # uid -> activeDeadlineSeconds that a timer is set for
        self.started = {}  # uid -> time.time() of the start, finer than startTime

    def see(self, kind, obj):
        """Something of a Job changed; called under the store's lock."""
        meta = obj["metadata"]
        if kind == "jobs":
            self.soon((meta["namespace"], meta["name"]))
        elif kind == "pods":
            for owner in meta.get("ownerReferences", []):
                self.soon((meta["namespace"], owner["name"]))

    def soon(self, key, in_s=0.0):
        with self.wake:
            heapq.heappush(self.queue, (time.monotonic() + in_s, key))
            self.wake.notify()

    def take(self):
        with self.wake:
            while not self.queue or self.queue[0][0] > time.monotonic():
                self.wake.wait(self.queue[0][0] - time.monotonic() if self.queue else None)
            key = heapq.heappop(self.queue)[1]
            while self.queue and self.queue[0][1] == key \
                    and self.queue[0][0] <= time.monotonic():
                heapq.heappop(self.queue)
            return key

    def run(self):
        while True:
            key = self.take()
            try:
                with self.store.lock:
                    self.sync(*key)
            except Refused:
                pass  # gone

    # --- One Job ---

    def sync(self, namespace, name):
        job = self.store.get("jobs", namespace, name)
        if "managedBy" in job["spec"]:
            return
        if "deletionTimestamp" in job["metadata"]:
            self.store.settle_foreground(job)
            return
        if is_finished(job):
            self.expire(job)
            return
        job = self.count(job, self.pods_of(job))
        living = [pod for pod in self.pods_of(job) if not is_over(pod)]
        if job["spec"]["suspend"]:
            self.suspend(job, living)
            return
        job = self.begin(job)
        job = self.judge(job)
        target = condition_of(job, "FailureTarget") or condition_of(job, "SuccessCriteriaMet")
        if target:
            self.end_pods(living)
            if not living:
                self.finish(job, target)
            else:
                self.write_status(job, self.pods_of(job))
            return
        if not living:
            self.make_pod(job)
        else:
            self.write_status(job, living)

    def pods_of(self, job):
        return [pod for kind, pod in self.store.owned_by(job["metadata"]) if kind == "pods"]

    def change(self, job, change):
        meta = job["metadata"]
        return self.store.update("jobs", meta["namespace"], meta["name"], change)

    def count(self, job, pods):
        """Pods that ended are counted once: then the controller lets go of them."""
        for pod in pods:
            if not is_over(pod) or TRACKING not in pod["metadata"].get("finalizers", []):
                continue
            field = "succeeded" if pod["status"]["phase"] == "Succeeded" else "failed"

            def add(after):
                after["status"][field] = after["status"].get(field, 0) + 1

            job = self.change(job, add)
            self.let_go(pod)
        return job

    def let_go(self, pod):
        self.store.update("pods", pod["metadata"]["namespace"], pod["metadata"]["name"],
                          lambda after: drop_finalizer(after, TRACKING))

    def suspend(self, job, living):
        """Its pods go, and aren't counted."""
        for pod in living:
            self.let_go(pod)
        self.end_pods(living)
        self.started.pop(job["metadata"]["uid"], None)
        self.deadlines.pop(job["metadata"]["uid"], None)

        def mark(after):
            set_condition(after, "Suspended", "True", "JobSuspended", "Job suspended")
            after["status"].pop("startTime", None)
            self.write_counts(after, self.pods_of(job))

        self.change(job, mark)

    def begin(self, job):
        uid = job["metadata"]["uid"]
        self.started.setdefault(uid, time.time())
        deadline_s = job["spec"].get("activeDeadlineSeconds")
        if self.deadlines.get(uid) != deadline_s:
            self.deadlines[uid] = deadline_s
            left_s = self.started[uid] + deadline_s - time.time()
            self.soon((job["metadata"]["namespace"], job["metadata"]["name"]), left_s + 0.01)

        def mark(after):
            after["status"].setdefault("startTime", now())
            if condition_of(after, "Suspended"):
                set_condition(after, "Suspended", "False", "JobResumed", "Job resumed")

        return self.change(job, mark)

    def judge(self, job):
        spec, counts = job["spec"], job["status"]
        age_s = time.time() - self.started[job["metadata"]["uid"]] + 0.001
        if condition_of(job, "FailureTarget"):
            return job
        if counts.get("succeeded", 0) >= spec["completions"]:
            verdict = ("SuccessCriteriaMet", *REACHED)
        elif counts.get("failed", 0) > spec["backoffLimit"]:
            verdict = ("FailureTarget", *BACKOFF)
        elif age_s >= spec.get("activeDeadlineSeconds", float("inf")):
            verdict = ("FailureTarget", *DEADLINE)
        else:
            return job
        return self.change(job, lambda after: set_condition(after, verdict[0], "True",
                                                            *verdict[1:]))

    def end_pods(self, living):
        for pod in living:
            if "deletionTimestamp" not in pod["metadata"]:
                self.store.delete("pods", pod["metadata"]["namespace"],
                                  pod["metadata"]["name"], {})

    def finish(self, job, target):
        def mark(after):
            failed = target["type"] == "FailureTarget"
            set_condition(after, "Failed" if failed else "Complete", "True", target["reason"],
                          target["message"])
            if not failed:
                after["status"]["completionTime"] = now()
            self.write_counts(after, [])

        job = self.change(job, mark)
        self.started.pop(job["metadata"]["uid"], None)
        self.deadlines.pop(job["metadata"]["uid"], None)
        self.tell(job, "Warning" if target["type"] == "FailureTarget" else "Normal",
                  target["reason"] if target["type"] == "FailureTarget" else "Completed",
                  target["message"] if target["type"] == "FailureTarget" else "Job completed")
        ttl_s = job["spec"].get("ttlSecondsAfterFinished")
        if ttl_s is not None:
            self.soon((job["metadata"]["namespace"], job["metadata"]["name"]), ttl_s + 0.01)

    def expire(self, job):
        done = condition_of(job, "Complete") or condition_of(job, "Failed")
        ttl_s = job["spec"].get("ttlSecondsAfterFinished")
        if ttl_s is not None and time.time() >= seconds(done["lastTransitionTime"]) + ttl_s:
            self.store.delete("jobs", job["metadata"]["namespace"], job["metadata"]["name"],
                              {"propagationPolicy": "Background",
                               "preconditions": {"uid": job["metadata"]["uid"]}})

    @staticmethod
    def write_counts(job, pods):
        living = [pod for pod in pods if not is_over(pod)]
        ending = [pod for pod in living if "deletionTimestamp" in pod["metadata"]]
        ready = [pod for pod in living if pod.get("status", {}).get("phase") == "Running"
                 and "deletionTimestamp" not in pod["metadata"]]
        counts = job["status"]
        counts.update(terminating=len(ending), ready=len(ready), uncountedTerminatedPods={})
        counts["active"] = len(living) - len(ending)
        if not counts["active"]:
            del counts["active"]

    def write_status(self, job, living):
        self.change(job, lambda after: self.write_counts(after, living))

    # --- Its pod ---

    def make_pod(self, job):
        meta = job["metadata"]
        refusal = self.scripts.of(job).get("create_fails")
        if refusal:
            self.tell(job, "Warning", "FailedCreate", f"Error creating: {refusal}")
            self.soon((meta["namespace"], meta["name"]), CREATE_RETRY_S)
            return
        suffix = "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        template = job["spec"]["template"]
        pod = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": f'{meta["name"][:58]}-{suffix}',
                "generateName": f'{meta["name"]}-',
                "labels": dict(template["metadata"]["labels"]),
                "annotations": dict(template["metadata"].get("annotations") or {}),
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": meta["name"],
                    "uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}],
                "finalizers": [TRACKING]},
            "spec": {**template["spec"]},
            "status": {"phase": "Pending", "qosClass": "Burstable"}}
        for container in pod["spec"]["containers"]:
            default_container(container)
        made = self.store.create("pods", meta["namespace"], pod)
        self.tell(job, "Normal", "SuccessfulCreate", f'Created pod: {made["metadata"]["name"]}')
        self.write_status(job, [made])

    def tell(self, job, kind, reason, message):
        tell(self.store, "Job", job, kind, reason, message, "job-controller")


def tell(store, kind, obj, severity, reason, message, by):
    """An Event as the real controllers write them; a repeat counts up."""
    meta = obj["metadata"]
    known = (meta["uid"], reason, message)
    if known in store.told:
        key = store.told[known]
        if key in store.objects["events"]:
            store.update("events", *key,
                         lambda after: after.update(count=after.get("count", 1) + 1,
                                                    lastTimestamp=now()))
            return
    name = f'{meta["name"]}.{"".join(random.choices(string.hexdigits.lower(), k=16))}'
    store.told[known] = (meta["namespace"], name)
    store.create("events", meta["namespace"], {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
        "involvedObject": {"apiVersion": obj["apiVersion"], "kind": kind, "name": meta["name"],
                           "namespace": meta["namespace"], "uid": meta["uid"],
                           "resourceVersion": meta["resourceVersion"]},
        "reason": reason, "message": message, "source": {"component": by}, "count": 1,
        "firstTimestamp": now(), "lastTimestamp": now(), "type": severity, "eventTime": None,
        "reportingComponent": by, "reportingInstance": ""})
