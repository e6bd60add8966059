# SPDX-License-Identifier: Apache-2.0
"""Misbehaviour that a test asks for: of the next matching requests."""
import random
import threading

BEFORE = ("status", "reset_before", "delay", "raw")
AFTER = ("status_after", "reset_after", "cut_after")


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.pending = []
        self.hide_ms = 0  # a new execution isn't listed for so long

    def add(self, wanted):
        action = wanted.get("action")
        if action == "hide_new":
            self.hide_ms = int(wanted.get("ms", 1000))
            return
        if action not in BEFORE + AFTER:
            raise ValueError(f"action: {action!r}, not one of hide_new, "
                             f"{', '.join(BEFORE + AFTER)}")
        with self.lock:
            self.pending.append({
                "method": wanted.get("method"), "path": wanted.get("path", ""),
                "times": int(wanted.get("times", 1)), "action": action,
                "chance": float(wanted.get("chance", 1)),
                "status": int(wanted.get("status", 500)), "reason": wanted.get("reason"),
                "message": wanted.get("message", "it is a test"),
                "details": wanted.get("details"), "headers": wanted.get("headers", {}),
                "body": wanted.get("body", ""), "ms": int(wanted.get("ms", 1000))})

    def clear(self):
        with self.lock:
            self.pending.clear()
            self.hide_ms = 0

    def take(self, method, path):
        """The first fault that fits, used up once more; None. `path` has no query."""
        with self.lock:
            for fault in self.pending:
                if (fault["method"] in (None, method) and fault["path"] in path
                        and random.random() < fault["chance"]):
                    fault["times"] -= 1
                    if fault["times"] == 0:
                        self.pending.remove(fault)
                    return fault
        return None
