# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on purpose, and what was asked for: shared by both kinds of engine."""
import random
import threading


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.waiting = []
        self.requests = []
        self.met = 0

    def add(self, fault):
        with self.lock:
            self.waiting.append({"times": 1, **fault})

    def clear(self):
        with self.lock:
            self.waiting.clear()

    def take(self, method, path):
        """The fault that this call meets, or None."""
        with self.lock:
            for fault in self.waiting:
                if fault.get("method", method) != method or fault.get("path", "") not in path:
                    continue
                if random.random() >= fault.get("chance", 1):
                    continue
                self.met += 1
                fault["times"] -= 1
                if fault["times"] == 0:
                    self.waiting.remove(fault)
                return fault
        return None

    def note(self, method, path, status):
        with self.lock:
            self.requests.append({"method": method, "path": path, "status": status})

    def asked(self, part):
        with self.lock:
            return [request for request in self.requests if part in request["path"]]
