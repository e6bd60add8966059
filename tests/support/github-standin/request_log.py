# SPDX-License-Identifier: Apache-2.0
"""Every request as a JSON line, whole: tests search it for what must not have been sent."""
import json
import threading
import time

REQUEST_BODY_MAX = 64 * 1024
RESPONSE_BODY_MAX = 1024 * 1024


class RequestLog:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.entries = []  # without response bodies, for GET /_standin/requests
        self.file = open(path, "a", encoding="utf-8") if path else None

    def add(self, entry, request_body, answer):
        entry["at"] = round(time.time(), 3)
        entry["body"] = request_body[:REQUEST_BODY_MAX].decode("utf-8", "backslashreplace")
        line = dict(entry)
        if answer is not None:
            line["response_headers"] = answer.headers
            line["response_body"] = answer.body[:RESPONSE_BODY_MAX].decode("utf-8", "replace")
            line["response_truncated"] = len(answer.body) > RESPONSE_BODY_MAX
        with self.lock:
            self.entries.append(entry)
            if self.file:
                self.file.write(json.dumps(line) + "\n")
                self.file.flush()

    def matching(self, method, path_prefix):
        with self.lock:
            return [entry for entry in self.entries
                    if (not method or entry["method"] == method)
                    and entry["path"].startswith(path_prefix)]
