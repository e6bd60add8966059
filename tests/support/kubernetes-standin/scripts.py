# SPDX-License-Identifier: Apache-2.0
"""How the pod of a Job is to fare. README.md has the words."""
import fnmatch
import json
import threading

WORDS = {"create_fails", "pending", "pending_ms", "start_ms", "run_ms", "exit", "end", "log",
         "message", "stubborn"}
PENDING = {"unschedulable", "creating", "image_pull", "image_name", "config_error",
           "run_error", "start_error"}
ENDS = {"oom", "evict", "drain", "preempt", "node_lost", "delete", "kill"}
ANNOTATION = "standin/script"
VARIABLE = "STANDIN_SCRIPT"


def checked(script):
    unknown = set(script) - WORDS
    if unknown:
        raise ValueError(f"no such word in a script: {', '.join(sorted(unknown))}")
    if script.get("pending") not in PENDING | {None}:
        raise ValueError(f"pending: one of {', '.join(sorted(PENDING))}")
    if script.get("end") not in ENDS | {None}:
        raise ValueError(f"end: one of {', '.join(sorted(ENDS))}")
    return script


class Scripts:
    def __init__(self):
        self.lock = threading.Lock()
        self.given = []  # [(glob of a Job's name, script)], newest first

    def add(self, glob, script):
        with self.lock:
            self.given.insert(0, (glob, checked(script)))

    def clear(self):
        with self.lock:
            self.given.clear()

    def of(self, job):
        """Of a Job or of its pod, whose owner names the Job."""
        meta = job["metadata"]
        name = meta["name"]
        if job["kind"] == "Pod":
            name = meta["ownerReferences"][0]["name"] if meta.get("ownerReferences") else name
        with self.lock:
            for glob, script in self.given:
                if fnmatch.fnmatchcase(name, glob):
                    return script
        template = job["spec"]["template"] if job["kind"] == "Job" else job
        text = (template["metadata"].get("annotations") or {}).get(ANNOTATION)
        spec = template["spec"]
        for env in spec["containers"][0].get("env") or []:
            if env["name"] == VARIABLE and "value" in env:
                text = env["value"]
        return checked(json.loads(text)) if text else {}
