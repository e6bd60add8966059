# SPDX-License-Identifier: Apache-2.0
"""HTTP: reads a request, checks who asks, sends the answer; watches and logs as streams."""
import json
import os
import queue
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler

import status
from api import Request
from control import control
from schema import FIELDS  # noqa: F401  (a broken table shows at the start)

BODY_MAX = 3 * 1024 * 1024
IDLE_S = 300
WATCH_S = 1800  # the real one takes 30 to 60 minutes
LOG_POLL_S = 0.02
JSON = "application/json"
# Why there is no log, where it isn't the waiting container's reason.
WAITING_WORDS = {"ErrImagePull": "image can't be pulled",
                 "ImagePullBackOff": "trying and failing to pull image"}
# What Go writes of an object of which nothing but the version is set.
EMPTY = {"pods": {"spec": {"containers": None}, "status": {}},
         "jobs": {"spec": {"template": {"metadata": {}, "spec": {"containers": None}}},
                  "status": {}},
         "events": {"involvedObject": {}, "source": {}, "firstTimestamp": None,
                    "lastTimestamp": None, "eventTime": None, "reportingComponent": "",
                    "reportingInstance": ""}}


class Dropped(Exception):
    """The connection is to be reset."""


class Server:
    """Accepts connections, each with a thread of its own; can be away for a while."""

    def __init__(self, port, cluster, tls):
        self.cluster, self.tls = cluster, tls
        self.lock = threading.Lock()
        self.connections = set()
        self.down_s, self.down_asked_s = 0, None
        self.listener = self.listen(port)
        self.server_port = self.listener.getsockname()[1]

    @staticmethod
    def listen(port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
        return listener

    def go_down(self, down_s):
        self.down_s = down_s
        self.listener.shutdown(socket.SHUT_RDWR)

    def be_down(self):
        self.listener.close()
        with self.lock:
            open_ = list(self.connections)
        for connection in open_:
            cut(connection)
        time.sleep(self.down_s)
        self.down_s = 0
        self.listener = self.listen(self.server_port)

    def serve_forever(self):
        while True:
            try:
                connection, address = self.listener.accept()
            except OSError:
                self.be_down()
                continue
            threading.Thread(target=self.serve, args=(connection, address),
                             daemon=True).start()

    def serve(self, connection, address):
        try:
            if self.tls:
                connection.settimeout(IDLE_S)
                connection = self.tls.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError):
            connection.close()
            return
        with self.lock:
            self.connections.add(connection)
        try:
            Handler(connection, address, self)
        except OSError:
            pass  # a client that went away
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()


def cut(connection):
    """So that the client sees a reset and not an orderly end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "kubernetes-standin"
    sys_version = ""
    timeout = IDLE_S
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def do_any(self):
        self.cluster = self.server.cluster
        try:
            size = int(self.headers.get("Content-Length") or 0)
            if size > BODY_MAX:
                self.send_refused(status.Refused(413, "RequestEntityTooLarge",
                                                 "Request entity too large: limit is 3145728"))
                self.close_connection = True
                return
            body = self.rfile.read(size)
            if self.path.startswith("/standin/"):
                self.send_json(*control(self.server, self.command, self.path, body))
                self.go_down_if_asked()
            else:
                self.cluster.log.begin()
                try:
                    self.answer(body)
                finally:
                    self.cluster.log.end()
        except (Dropped, BrokenPipeError, ConnectionError, ValueError):
            self.close_connection = True
            cut(self.connection)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def go_down_if_asked(self):
        """Who asked for it has the answer first."""
        down_s, self.server.down_asked_s = self.server.down_asked_s, None
        if down_s is not None:
            with self.server.lock:
                self.server.connections.discard(self.connection)
            self.close_connection = True
            self.server.go_down(down_s)

    # --- What comes before and after an answer ---

    def note(self, code, action):
        """In the log before the client has its answer; of streams at their end."""
        if not self.noted:
            self.noted = True
            self.cluster.log.add(self.command, self.path, code, action)

    def answer(self, body):
        self.streaming = self.noted = False
        path, _, query = self.path.partition("?")
        fault = self.cluster.faults.take(self.command, path, "watch=" in query)
        action = fault["action"] if fault else None
        code = 0
        try:
            if action == "reset_before":
                raise Dropped
            if action == "delay":
                time.sleep(fault["ms"] / 1000)
            if action == "status":
                code = fault["status"]
                self.note(code, action)
                self.send_fault(fault)
                return
            code, document, warnings = self.work(body)
            self.note(code, action)
            if action == "reset_after":
                raise Dropped
            if action == "delay_after":
                time.sleep(fault["ms"] / 1000)
            if action == "status_after":
                self.send_fault(fault)
            elif action == "cut_after":
                self.send_half(code, document)
            elif not self.streaming:
                self.send_json(code, document, warnings)
        finally:
            self.note(code, action)

    def work(self, body):
        """(code, document, warnings); the streams have been sent when it returns."""
        try:
            if self.cluster.real:
                return self.cluster.real.pass_on(self, body)
            self.authenticate()
            if self.path in ("/version", "/livez", "/readyz", "/healthz"):
                return 200, {"major": "1", "minor": "36", "gitVersion": "v1.36.2"}, []
            request = Request(self.command, self.path, body,
                              self.headers.get_content_type())
            self.authorize(request)
            self.check_accept()
            if request.is_watch:
                self.send_watch(request)
                return 200, None, []
            if request.sub == "log":
                self.send_log(request)
                return 200, None, []
            code, document = self.cluster.api.answer(request)
            return code, self.as_accepted(document), request.warnings
        except (status.Refused, status.PlainRefused) as refused:
            return refused.code, refused, []
        except (Dropped, OSError):
            raise
        except Exception:  # a fault of this program: loud, and no reason for a client to hang
            traceback.print_exc(file=sys.stderr)
            return 500, status.Refused(500, "InternalError", "Internal error occurred"), []

    def authenticate(self):
        tokens = self.cluster.tokens()
        if not tokens or self.has_certificate():
            return
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in tokens:
            raise status.unauthorized()

    def has_certificate(self):
        return isinstance(self.connection, ssl.SSLSocket) and bool(self.connection.getpeercert())

    def authorize(self, request):
        resource = request.kind + (f"/{request.sub}" if request.sub else "")
        if (request.verb, resource) in self.cluster.denied:
            raise status.forbidden(self.cluster.user, request.verb, request.kind, request.name,
                                   request.namespace)

    def check_accept(self):
        wanted = self.headers.get("Accept", "*/*")
        if not any(kind in wanted for kind in ("*/*", "application/*", JSON)):
            raise status.Refused(406, "NotAcceptable", "406: Not Acceptable\n\nAvailable "
                                 f"representations: {JSON}, {JSON};stream=watch", {})

    def as_accepted(self, document):
        """One object, whole or its metadata alone."""
        wanted = self.headers.get("Accept", "").partition(",")[0]
        if "as=PartialObjectMetadata" not in wanted or document.get("kind") == "Status" \
                or "items" in document:
            return document
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": document["metadata"]}

    # --- Answers ---

    def send_head(self, code, headers, warnings=()):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        for warning in warnings:
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            self.send_header("Warning", f'299 - "{text}"')
        self.end_headers()

    def send_json(self, code, document, warnings=()):
        if isinstance(document, status.Refused):
            self.send_refused(document)
            return
        if isinstance(document, status.PlainRefused):
            self.send_text(document.code, document.text.encode())
            return
        body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        self.send_head(code, {"Content-Type": JSON, "Content-Length": str(len(body)),
                              "Cache-Control": "no-cache, private"}, warnings)
        self.wfile.write(body)
        self.wfile.flush()

    def send_refused(self, refused):
        body = json.dumps(refused.status, separators=(",", ":")).encode() + b"\n"
        self.send_head(refused.code, {"Content-Type": JSON, "Content-Length": str(len(body)),
                                      **refused.headers})
        self.wfile.write(body)
        self.wfile.flush()

    def send_text(self, code, body):
        self.send_head(code, {"Content-Type": "text/plain; charset=utf-8",
                              "Content-Length": str(len(body))})
        self.wfile.write(body)
        self.wfile.flush()

    def send_fault(self, fault):
        code, headers = fault["status"], dict(fault["headers"])
        if code == 429 and not fault["reason"]:
            body = (fault["message"] or "Too many requests, please try again later.\n").encode()
            headers.setdefault("Retry-After", "1")
            headers["Content-Type"] = "text/plain; charset=utf-8"
        else:
            reasons = {500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
                       410: "Expired", 409: "Conflict", 403: "Forbidden", 401: "Unauthorized"}
            refused = status.Refused(code, fault["reason"] or reasons.get(code, "Unknown"),
                                     fault["message"] or "Internal error occurred: as ordered")
            body = json.dumps(refused.status).encode()
            headers["Content-Type"] = JSON
        headers["Content-Length"] = str(len(body))
        self.send_head(code, headers)
        self.wfile.write(body)
        self.wfile.flush()

    def send_half(self, code, document):
        body = json.dumps(document).encode() if isinstance(document, dict) else b"{}"
        self.send_head(code, {"Content-Type": JSON, "Content-Length": str(len(body))})
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        raise Dropped

    # --- Streams ---

    def start_stream(self, kind, code=200):
        self.streaming = True
        self.send_head(code, {"Content-Type": kind, "Transfer-Encoding": "chunked"})
        self.wfile.flush()

    def send_chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def send_event(self, what, obj):
        self.send_chunk(json.dumps({"type": what, "object": obj},
                                   separators=(",", ":")).encode() + b"\n")

    def send_watch(self, request):
        version = request.query.get("resourceVersion", "")
        try:
            watcher = self.cluster.store.watch(
                request.kind, request.namespace, request.selector,
                None if version in ("", "0") else int(version))
        except ValueError:
            raise status.wrong_version(version) from None
        except status.Refused as refused:
            watcher = None
            too_old = refused
        self.start_stream(JSON)
        if not watcher:  # as the real one: it has already said 200
            self.send_event("ERROR", too_old.status)
        else:
            try:
                self.watch_until(request, watcher)
            finally:
                self.cluster.store.unwatch(watcher)
        self.send_chunk(b"")

    def watch_until(self, request, watcher):
        until = time.monotonic() + float(request.query.get("timeoutSeconds") or WATCH_S)
        bookmarks = request.query.get("allowWatchBookmarks") in ("1", "true")
        next_bookmark = time.monotonic() + self.cluster.bookmark_s
        while True:
            now = time.monotonic()
            if now >= until:
                return
            if bookmarks and now >= next_bookmark:
                self.send_bookmark(request, watcher)
                next_bookmark = now + self.cluster.bookmark_s
            try:
                what, obj = watcher.events.get(timeout=min(until, next_bookmark) - now)
            except queue.Empty:
                continue
            except ValueError:
                continue  # the time was up already
            if what == "CUT":
                raise Dropped
            if what == "EXPIRE":
                self.send_event("ERROR", status.too_old(obj, self.cluster.store.version).status)
                return
            time.sleep(self.cluster.faults.held_s(request.kind))
            shown = self.cluster.api.shown(request, obj)
            self.send_event(what, shown)
            if what != "DELETED" and self.cluster.faults.repeats(request.kind):
                self.send_event("MODIFIED", shown)

    def send_bookmark(self, request, watcher):
        with self.cluster.store.lock:
            if not watcher.events.empty():
                return
            version = self.cluster.store.version
        self.send_event("BOOKMARK", {
            "kind": status.KINDS[request.kind], "apiVersion": request.version,
            "metadata": {"resourceVersion": str(version)}, **EMPTY.get(request.kind, {})})

    def send_log(self, request):
        pod = self.cluster.store.get("pods", request.namespace, request.name)
        life = self.cluster.kubelet.lives.get(pod["metadata"]["uid"]) \
            if self.cluster.kubelet else None
        container = life.container if life else None
        name = pod["spec"]["containers"][0]["name"]
        if request.query.get("container", name) != name:
            raise status.bad_request(f'container {request.query["container"]} is not valid for '
                                     f'pod {request.name}')
        if "nodeName" not in pod["spec"]:
            self.streaming = True
            self.send_head(204, {"Content-Type": "text/plain"})
            self.wfile.flush()
            return
        if not container or not life.started_at:
            statuses = pod["status"].get("containerStatuses")
            waiting = statuses[0]["state"].get("waiting", {}) if statuses else {}
            raise status.bad_request(
                f'container "{name}" in pod "{request.name}" is waiting to start: '
                + WAITING_WORDS.get(waiting.get("reason"),
                                    waiting.get("reason", "ContainerCreating")))
        self.streaming = True
        self.send_head(200, {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"})
        self.follow_log(request, life, container)
        self.send_chunk(b"")

    def follow_log(self, request, life, container):
        left = int(request.query.get("limitBytes") or 1 << 40)
        follow = request.query.get("follow") in ("1", "true")
        with open(container.log_path, "rb") as log:
            if "tailLines" in request.query:
                skip_to_tail(log, int(request.query["tailLines"]))
            while left > 0:
                over = container.code is not None or life.gone
                data = log.read(min(left, 65536))
                if data:
                    self.send_chunk(data)
                    left -= len(data)
                elif over or not follow:
                    return
                else:
                    time.sleep(LOG_POLL_S)


def skip_to_tail(log, lines):
    """As far as `lines` lines from the end; an unfinished last line is one."""
    text = log.read()
    start = len(text)
    end = start - 1 if text.endswith(b"\n") else start
    for _ in range(lines):
        start = text.rfind(b"\n", 0, end) + 1
        end = start - 1
        if start == 0:
            break
    log.seek(start if lines else 0, os.SEEK_SET if lines else os.SEEK_END)
