# SPDX-License-Identifier: Apache-2.0
"""In front of a real API server, in a namespace of its own: every answer is passed on."""
import collections
import http.client
import json
import socket
import threading
import time
import urllib.parse

import status
from store import KINDS

JSON = "application/json"
PIECE = 65536
READY_S = 60
# As strict as what Dispatch promises to get by with.
LABELS = {"pod-security.kubernetes.io/enforce": "restricted", "dispatch.dev/test": "contract"}


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Watch:
    """One that is passed on, and whether it is to end before its time: CUT, EXPIRE."""

    def __init__(self, kind, connection):
        self.kind, self.sock, self.ends_as = kind, connection.sock, None

    def end(self, how):
        self.ends_as = how
        self.sock.shutdown(socket.SHUT_RDWR)


class Real:
    def __init__(self, path, namespace):
        self.path, self.namespace = path, namespace
        self.lock = threading.Lock()
        self.watches = set()
        self.oldest = 0  # watches from before are told that it is gone
        self.made = {kind: {} for kind in KINDS}  # kind -> uid -> name

    # --- Its namespace --------------------------------------------------------------------

    def raise_namespace(self):
        self.ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                                "metadata": {"name": self.namespace,
                                                             "labels": LABELS}})
        until = time.monotonic() + READY_S
        while not self.ask("GET", f"/api/v1/namespaces/{self.namespace}/serviceaccounts")["items"]:
            if time.monotonic() > until:
                raise TimeoutError("the namespace gets no service account")
            time.sleep(0.05)

    def drop_namespace(self):
        """What is in there goes with it, a while later, and isn't waited for."""
        self.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def ask(self, method, path, document=None):
        connection = Connection(self.path)
        connection.request(method, path, document and json.dumps(document),
                           {"Content-Type": JSON})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {text[:500]}")
        return json.loads(text)

    # --- What tests ask about it ----------------------------------------------------------

    def objects(self, kind):
        base = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        return self.ask("GET", f"{base}/namespaces/{self.namespace}/{kind}")

    def times_made(self, kind):
        """Of what was made by way of us, and of what is there."""
        for item in self.objects(kind)["items"]:
            self.note_made(kind, item)
        with self.lock:
            names = collections.Counter(self.made[kind].values())
        return [[self.namespace, name, times] for name, times in names.items()]

    def note_made(self, kind, item):
        with self.lock:
            self.made[kind][item["metadata"]["uid"]] = item["metadata"]["name"]

    # --- Watches --------------------------------------------------------------------------

    def end_watches(self, kind, how):
        with self.lock:
            watches = [watch for watch in self.watches if kind in (None, watch.kind)]
        for watch in watches:
            watch.end(how)

    def compact(self):
        self.oldest = int(self.objects("jobs")["metadata"]["resourceVersion"]) + 1

    def pass_watch(self, handler, watch, answer, query):
        version = query.get("resourceVersion", "")
        handler.start_stream(JSON)
        if version.isdigit() and 0 < int(version) < self.oldest:
            handler.send_event("ERROR", status.too_old(version, self.oldest).status)
            return
        faults = handler.cluster.faults
        try:
            for line in answer:
                time.sleep(faults.held_s(watch.kind))
                handler.send_chunk(line)
                if b'"DELETED"' not in line[:20] and faults.repeats(watch.kind):
                    handler.send_chunk(line.replace(b'"ADDED"', b'"MODIFIED"', 1))
        except (OSError, http.client.HTTPException):
            pass  # one that was ended
        if watch.ends_as == "EXPIRE":
            handler.send_event("ERROR", status.too_old(version, self.oldest).status)
        elif watch.ends_as:
            raise ConnectionResetError

    # --- Passing on -----------------------------------------------------------------------

    def pass_on(self, handler, body):
        """(code, document, warnings); what is no single document has been sent then."""
        target = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(target.query))
        kind = next((word for word in reversed(target.path.split("/")) if word in KINDS), None)
        connection = Connection(self.path)
        try:
            headers = {name: handler.headers[name] for name in ("Content-Type", "Accept")
                       if handler.headers[name]}
            connection.request(handler.command, handler.path, body or None, headers)
            watch = Watch(kind, connection)
            answer = connection.getresponse()
            if answer.status == 200 and query.get("watch") in ("1", "true"):
                return self.follow(handler, watch, answer, query)
            if not (answer.getheader("Content-Type") or "").startswith(JSON):
                return self.pass_text(handler, answer)
            document = json.loads(answer.read())
            if handler.command == "POST" and answer.status == 201 and target.path.endswith(
                    f"/{kind}"):
                self.note_made(kind, document)
            warnings = [text.split('"')[1] for text in answer.msg.get_all("Warning") or []]
            return answer.status, document, warnings
        finally:
            connection.close()

    def follow(self, handler, watch, answer, query):
        with self.lock:
            self.watches.add(watch)
        try:
            self.pass_watch(handler, watch, answer, query)
        finally:
            with self.lock:
                self.watches.discard(watch)
        handler.send_chunk(b"")
        return 200, None, []

    @staticmethod
    def pass_text(handler, answer):
        kind = answer.getheader("Content-Type") or "text/plain"
        if answer.status == 204:
            handler.streaming = True
            handler.send_head(204, {"Content-Type": kind})
            handler.wfile.flush()
            return 204, None, []
        handler.start_stream(kind, answer.status)
        while piece := answer.read1(PIECE):
            handler.send_chunk(piece)
        handler.send_chunk(b"")
        return answer.status, None, []
