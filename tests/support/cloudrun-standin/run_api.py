# SPDX-License-Identifier: Apache-2.0
"""Cloud Run Admin API v2: Jobs, their Executions and Tasks, and long-running operations."""
import copy
import os
import secrets
import threading
import time
import uuid

from execution import Life
from schema import check
from status import Refused
from times import now_text

PAGE = 100
TYPE = "type.googleapis.com/google.cloud.run.v2."
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
DEFAULT_ACCOUNT = "1234-compute@developer.gserviceaccount.com"


def without_zeros(document, names):
    """Zeros are left out of JSON, but for those that can tell unset from zero."""
    return {key: value for key, value in document.items() if value or key not in names}


COUNTS = ("runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount",
          "reconciling")


class RunApi:
    def __init__(self, cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.jobs, self.executions, self.lives, self.operations = {}, {}, {}, {}
        self.hidden_until = {}  # name -> not listed before
        self.made = 0
        self.parent = f"projects/{cloud.project}/locations/{cloud.region}"

    def close(self):
        with self.lock:
            lives = list(self.lives.values())
        for life in lives:
            life.kill()

    # --- Operations ---

    def operation(self, kind, document, about=None):
        name = f"{self.parent}/operations/{uuid.uuid4()}"
        with self.lock:
            self.operations[name] = {"kind": kind, "about": about, "document": document,
                                     "done": False}
        return self.show_operation(name)

    def show_operation(self, name):
        with self.lock:
            if name not in self.operations:
                raise Refused("NOT_FOUND", f"Operation {name} not found.")
            known = self.operations[name]
            document, done = known["document"], known["done"]
            known["done"] = not known["about"]  # a Job is ready by the second look
            if known["about"]:
                document = self.executions.get(known["about"], document)
                done = bool(document.get("completionTime"))
                document = self.shown(document)
        typed = {"@type": TYPE + known["kind"], **copy.deepcopy(document)}
        answer = {"name": name, "metadata": typed}
        if done:
            answer.update(done=True, response=typed)
        return answer

    # --- Jobs ---

    def job_name(self, job_id):
        return f"{self.parent}/jobs/{job_id}"

    def job(self, job_id):
        name = self.job_name(job_id)
        if name not in self.jobs:
            raise Refused("NOT_FOUND", f"Resource '{job_id}' of kind 'JOB' in region "
                                       f"'{self.cloud.region}' does not exist.")
        return self.jobs[name]

    @staticmethod
    def fill(job):
        template = job.setdefault("template", {})
        template.setdefault("taskCount", 1)
        task = template.setdefault("template", {})
        task.setdefault("maxRetries", 3)
        task.setdefault("timeout", "600s")
        task.setdefault("serviceAccount", DEFAULT_ACCOUNT)
        task.setdefault("executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2")
        if len(task.get("containers") or []) != 1 or not task["containers"][0].get("image"):
            raise Refused("INVALID_ARGUMENT", "template.template.containers[0].image: required")
        for container in task["containers"]:
            container.setdefault("resources", {}).setdefault(
                "limits", {"cpu": "1000m", "memory": "512Mi"})

    def put_job(self, job_id, body, before):
        check("Job", body, "job")
        job = copy.deepcopy(body)
        self.fill(job)
        now = now_text()
        condition = {"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": now}
        job.update(name=self.job_name(job_id), uid=(before or {}).get("uid", str(uuid.uuid4())),
                   generation=str(int((before or {}).get("generation", "0")) + 1),
                   createTime=(before or {}).get("createTime", now), updateTime=now,
                   launchStage="GA", terminalCondition=condition, etag=f'"{uuid.uuid4().hex}"')
        self.jobs[job["name"]] = job
        return self.operation("Job", job)

    def create_job(self, job_id, body):
        with self.lock:
            if self.job_name(job_id) in self.jobs:
                raise Refused("ALREADY_EXISTS", f"Resource '{job_id}' already exists.")
            return self.put_job(job_id, body, None)

    def update_job(self, job_id, body):
        with self.lock:
            before = self.job(job_id)
            if body.get("etag", before["etag"]) != before["etag"]:
                raise Refused("ABORTED", "Conflict for resource: version mismatch")
            return self.put_job(job_id, body, before)

    def delete_job(self, job_id):
        with self.lock:
            job = self.job(job_id)
            del self.jobs[job["name"]]
            return self.operation("Job", job)

    # --- Executions ---

    def overridden(self, job, overrides):
        task = copy.deepcopy(job["template"]["template"])
        container = task["containers"][0]
        for override in overrides.get("containerOverrides", []):
            if override.get("name", container.get("name")) != container.get("name"):
                raise Refused("INVALID_ARGUMENT",
                              f"Container {override['name']} does not exist in the job.")
            known = {env["name"]: env for env in container.get("env", [])}
            known.update({env["name"]: env for env in override.get("env", [])})
            container["env"] = list(known.values())
            if override.get("args") or override.get("clearArgs"):
                container["args"] = override.get("args", [])
        if "timeout" in overrides:
            task["timeout"] = overrides["timeout"]
        return task

    def run_job(self, job_id, body):
        check("RunJobRequest", body, "")
        overrides = body.get("overrides", {})
        with self.lock:
            job = self.job(job_id)
            task = self.overridden(job, overrides)
            suffix = "".join(secrets.choice(LETTERS) for _ in range(5))
            name = f"{job['name']}/executions/{job_id}-{suffix}"
            now = now_text()
            execution = {
                "name": name, "uid": str(uuid.uuid4()), "creator": "test@example.com",
                "generation": "1", "labels": {}, "createTime": now, "updateTime": now,
                "launchStage": "GA", "job": job_id, "parallelism": 1,
                "taskCount": overrides.get("taskCount", job["template"]["taskCount"]),
                "template": task, "reconciling": True, "observedGeneration": "1",
                "conditions": [{"type": "Completed", "state": "CONDITION_RECONCILING",
                                "lastTransitionTime": now}],
                "logUri": "https://console.cloud.google.com/logs", "etag": '"1"'}
            self.executions[name] = execution
            self.made += 1
            self.hidden_until[name] = time.monotonic() + self.cloud.faults.hide_ms / 1000
            life = self.lives[name] = Life(self.cloud, self, execution)
        operation = self.operation("Execution", execution, about=name)
        life.start()
        return operation

    def change(self, name, **fields):
        with self.lock:
            if name in self.executions:
                self.executions[name] = {**self.executions[name], **fields,
                                         "updateTime": now_text()}

    @staticmethod
    def shown(execution):
        return without_zeros(execution, COUNTS)

    def execution(self, job_id, execution_id):
        name = f"{self.job_name(job_id)}/executions/{execution_id}"
        with self.lock:
            if name not in self.executions:
                raise Refused("NOT_FOUND", f"Resource '{execution_id}' of kind 'EXECUTION' in "
                                           f"region '{self.cloud.region}' does not exist.")
            return self.executions[name]

    def list_executions(self, job_id, query):
        start = int(query.get("pageToken") or 0)
        size = min(int(query.get("pageSize") or PAGE), PAGE)
        now = time.monotonic()
        with self.lock:
            parent = self.job_name(job_id) + "/"
            found = [execution for name, execution in self.executions.items()
                     if name.startswith(parent) and self.hidden_until[name] <= now]
        found.reverse()  # the newest first
        page = {}
        if found[start:start + size]:
            page["executions"] = [self.shown(one) for one in found[start:start + size]]
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return page

    def cancel(self, job_id, execution_id, body):
        check("CancelExecutionRequest", body, "")
        execution = self.execution(job_id, execution_id)
        if execution.get("completionTime"):
            raise Refused("FAILED_PRECONDITION",
                          f"Execution {execution_id} is already in a terminal state.")
        self.lives[execution["name"]].cancel()
        return self.operation("Execution", execution, about=execution["name"])

    def delete_execution(self, job_id, execution_id):
        execution = self.execution(job_id, execution_id)
        if not execution.get("completionTime"):
            raise Refused("FAILED_PRECONDITION", f"Execution {execution_id} is still running.")
        with self.lock:
            self.executions.pop(execution["name"], None)
            self.lives.pop(execution["name"], None)
        return self.operation("Execution", self.shown(execution))

    def tasks(self, job_id, execution_id):
        execution = self.execution(job_id, execution_id)
        life = self.lives[execution["name"]]
        task = {"name": f"{execution['name']}/tasks/{execution_id}-task0",
                "uid": str(uuid.uuid4()), "job": job_id, "execution": execution_id,
                "createTime": execution["createTime"],
                "containers": execution["template"]["containers"],
                "timeout": execution["template"]["timeout"], "conditions": []}
        if life.result:
            task["lastAttemptResult"] = life.result
        return {"tasks": [task]}

    def work_dir(self, execution_id):
        path = os.path.join(self.cloud.root, execution_id)
        os.makedirs(path, exist_ok=True)
        return path
