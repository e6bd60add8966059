# SPDX-License-Identifier: Apache-2.0
"""How an execution is to fare. README.md has the words."""
import fnmatch
import json
import threading

WORDS = {"start_ms", "pending", "run_ms", "exit", "log", "stubborn", "end"}
PENDING = {"image", "denied", "secret", "internal"}
ENDS = {"oom", "kill"}
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
        self.given = []  # [(glob of a run's id, script)], newest first

    def add(self, glob, script):
        with self.lock:
            self.given.insert(0, (glob, checked(script)))

    def clear(self):
        with self.lock:
            self.given.clear()

    def of(self, environment):
        with self.lock:
            for glob, script in self.given:
                if fnmatch.fnmatchcase(environment.get("DISPATCH_RUN_ID", ""), glob):
                    return script
        return checked(json.loads(environment.get(VARIABLE, "{}")))
