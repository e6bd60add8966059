# SPDX-License-Identifier: Apache-2.0
"""Misbehaviour that a test asks for: of the next matching requests, of the watches, of all."""
import random
import threading

BEFORE = ("status", "reset_before", "delay")
AFTER = ("status_after", "reset_after", "cut_after", "delay_after")
NOW = ("cut_watches", "expire_watches", "compact", "down")
STANDING = ("hold_events", "repeat_events")
PLAIN_429 = "Too many requests, please try again later.\n"


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.pending = []
        self.hold_ms = {}   # kind -> at most so long is an event of a watch held back
        self.repeat = {}    # kind -> share of the events that come twice

    def add(self, wanted):
        action = wanted.get("action")
        if action not in BEFORE + AFTER:
            raise ValueError(f"action: {action!r}, not one of "
                             f"{', '.join(BEFORE + AFTER + NOW + STANDING)}")
        with self.lock:
            self.pending.append({
                "method": wanted.get("method"), "path": wanted.get("path", ""),
                "watch": wanted.get("watch"),
                "times": int(wanted.get("times", 1)), "action": action,
                "chance": float(wanted.get("chance", 1)),
                "status": int(wanted.get("status", 500)), "reason": wanted.get("reason"),
                "message": wanted.get("message"),
                "headers": wanted.get("headers", {}), "ms": int(wanted.get("ms", 1000))})

    def stand(self, wanted):
        kinds = [wanted["kind"]] if "kind" in wanted else ["jobs", "pods", "events"]
        with self.lock:
            for kind in kinds:
                if wanted["action"] == "hold_events":
                    self.hold_ms[kind] = int(wanted.get("ms", 500))
                else:
                    self.repeat[kind] = float(wanted.get("chance", 0.5))

    def clear(self):
        with self.lock:
            self.pending.clear()
            self.hold_ms.clear()
            self.repeat.clear()

    def take(self, method, path, is_watch):
        """The first fault that fits, used up once more; None. `path` has no query."""
        with self.lock:
            for fault in self.pending:
                if (fault["method"] in (None, method) and fault["path"] in path
                        and fault["watch"] in (None, is_watch)
                        and random.random() < fault["chance"]):
                    fault["times"] -= 1
                    if fault["times"] == 0:
                        self.pending.remove(fault)
                    return fault
        return None

    def held_s(self, kind):
        limit_ms = self.hold_ms.get(kind, 0)
        return random.uniform(0, limit_ms) / 1000 if limit_ms else 0

    def repeats(self, kind):
        return random.random() < self.repeat.get(kind, 0)
