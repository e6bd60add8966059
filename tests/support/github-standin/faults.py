# SPDX-License-Identifier: Apache-2.0
"""Misbehaviour that a test asks for: the next `times` matching requests go wrong."""
import random
import threading

AFTER = ("status_after", "reset_after")
ACTIONS = ("status", "reset_before", "delay") + AFTER


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.pending = []
        self.met = 0

    def add(self, wanted):
        action = wanted.get("action")
        if action not in ACTIONS:
            raise ValueError(f"action: one of {', '.join(ACTIONS)}")
        fault = {
            "method": wanted.get("method"), "path_prefix": wanted.get("path_prefix", "/"),
            "times": int(wanted.get("times", 1)), "chance": float(wanted.get("chance", 1)),
            "action": action,
            "status": int(wanted.get("status", 500)), "headers": wanted.get("headers", {}),
            "body": wanted.get("body", {"message": "Server Error"}),
            "delay_ms": int(wanted.get("delay_ms", 1000)),
        }
        with self.lock:
            self.pending.append(fault)

    def clear(self):
        with self.lock:
            self.pending.clear()

    def take(self, method, path):
        """The first fault that fits, used up once more; None."""
        if path.startswith("/api/v3/"):
            path = path[len("/api/v3"):]
        with self.lock:
            for fault in self.pending:
                if (fault["method"] in (None, method)
                        and path.startswith(fault["path_prefix"])
                        and random.random() < fault["chance"]):
                    self.met += 1
                    fault["times"] -= 1
                    if fault["times"] == 0:
                        self.pending.remove(fault)
                    return fault
        return None
