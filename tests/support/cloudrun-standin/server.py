# SPDX-License-Identifier: Apache-2.0
"""HTTP: finds the call behind a path, checks who asks, misbehaves where that was asked for."""
import json
import re
import socket
import struct
import sys
import time
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from control import control
from faults import AFTER
from identity import METADATA
from schema import check
from status import Refused, document

BODY_MAX = 3 * 1024 * 1024
NAME = "([A-Za-z0-9_.-]+)"
JOB = f"/v2/projects/PROJECT/locations/REGION/jobs/{NAME}"
EXECUTION = f"{JOB}/executions/{NAME}"
SECRET = f"/v1/projects/PROJECT/secrets/{NAME}"


def list_entries(cloud, body):
    check("ListLogEntriesRequest", body, "")
    return cloud.logs.list(body)


# Verb, path, and the call: with the cloud, the names in the path, the query and the body.
ROUTES = [
    ("POST", "/v2/projects/PROJECT/locations/REGION/jobs",
     lambda c, n, q, b: c.run.create_job(q.get("jobId", ""), b)),
    ("GET", JOB, lambda c, n, q, b: c.run.job(*n)),
    ("PATCH", JOB, lambda c, n, q, b: c.run.update_job(*n, b)),
    ("DELETE", JOB, lambda c, n, q, b: c.run.delete_job(*n)),
    ("POST", f"{JOB}:run", lambda c, n, q, b: c.run.run_job(*n, b)),
    ("GET", f"{JOB}/executions", lambda c, n, q, b: c.run.list_executions(*n, q)),
    ("GET", EXECUTION, lambda c, n, q, b: c.run.shown(c.run.execution(*n))),
    ("DELETE", EXECUTION, lambda c, n, q, b: c.run.delete_execution(*n)),
    ("POST", f"{EXECUTION}:cancel", lambda c, n, q, b: c.run.cancel(*n, b)),
    ("GET", f"{EXECUTION}/tasks", lambda c, n, q, b: c.run.tasks(*n)),
    ("GET", f"/v2/(projects/PROJECT/locations/REGION/operations/{NAME})",
     lambda c, n, q, b: c.run.show_operation(n[0])),
    ("POST", "/v2/entries:list", lambda c, n, q, b: list_entries(c, b)),
    ("POST", "/v1/projects/PROJECT/secrets",
     lambda c, n, q, b: c.secrets.create(q.get("secretId", ""), b)),
    ("GET", SECRET, lambda c, n, q, b: c.secrets.find(*n)["secret"]),
    ("DELETE", SECRET, lambda c, n, q, b: c.secrets.delete(*n)),
    ("POST", f"{SECRET}:addVersion", lambda c, n, q, b: c.secrets.add_version(*n, b)),
    ("GET", f"{SECRET}/versions/{NAME}:access", lambda c, n, q, b: c.secrets.access(*n)),
]


class Dropped(Exception):
    """The connection is to be reset."""


def routes_of(cloud):
    return [(verb, re.compile(path.replace("PROJECT", cloud.project)
                              .replace("REGION", cloud.region)), call)
            for verb, path, call in ROUTES]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port, cloud):
        self.cloud, self.routes = cloud, routes_of(cloud)
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300
    entry = None  # of the request log

    def log_message(self, *_):
        pass

    def answer(self, code, value, headers=None):
        if self.entry is not None:
            self.entry["status"] = code  # before the client has it
            if not isinstance(value, bytes):
                self.entry["answer"] = value
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)
        return code

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.connection.close()
        raise Dropped

    def read_body(self):
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_MAX:
            self.reset()
        return self.rfile.read(size)

    # --- Calls ---

    def call(self, path, query, raw):
        """(code, document)"""
        cloud = self.server.cloud
        try:
            cloud.identity.check(self.headers.get("Authorization"))
            body = json.loads(raw) if raw else {}
            for verb, pattern, call in self.server.routes:
                names = verb == self.command and pattern.fullmatch(path)
                if names:
                    return 200, call(cloud, names.groups(), query, body)
            raise Refused("NOT_FOUND", f"Method not found: {self.command} {path}")
        except Refused as refused:
            return refused.http(), refused.document()
        except ValueError as wrong:
            return 400, document(400, "INVALID_ARGUMENT", f"Invalid JSON payload: {wrong}")

    def misbehave_before(self, fault):
        if fault["action"] == "reset_before":
            self.reset()
        if fault["action"] == "delay":
            time.sleep(fault["ms"] / 1000)
        if fault["action"] == "raw":
            return self.answer(fault["status"], fault["body"].encode(), fault["headers"])
        if fault["action"] == "status":
            return self.answer(fault["status"], document(
                fault["status"], fault["reason"], fault["message"], fault["details"]),
                fault["headers"])
        return None

    def misbehave_after(self, fault, value):
        if fault["action"] == "reset_after":
            self.reset()
        if fault["action"] == "cut_after":
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            self.reset()
        return self.answer(fault["status"], document(
            fault["status"], fault["reason"], fault["message"], fault["details"]),
            fault["headers"])

    def serve(self, path, query, raw):
        cloud = self.server.cloud
        fault = cloud.faults.take(self.command, path)
        if fault:
            code = self.misbehave_before(fault)
            if code:
                return code
        if path == METADATA:
            code, value = cloud.identity.metadata(self.headers)
            return self.answer(code, value, {"Metadata-Flavor": "Google"})
        if path == "/token" and self.command == "POST":
            return self.answer(*cloud.identity.token(raw))
        code, value = self.call(path, query, raw)
        if fault and fault["action"] in AFTER:
            return self.misbehave_after(fault, value)
        return self.answer(code, value)

    def handle_request(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        raw = self.read_body()
        self.entry = None
        if path.startswith("/standin/"):
            self.answer(*control(self.server.cloud, self.command, path, query, raw))
            return
        entry = {"method": self.command, "path": path, "query": query, "status": 0,
                 "agent": self.headers.get("User-Agent", "")}
        try:
            entry["body"] = json.loads(raw) if raw else None
        except ValueError:
            entry["body"] = raw.decode("utf-8", "replace")
        self.server.cloud.log.add(entry)
        self.entry = entry
        try:
            entry["status"] = self.serve(path, query, raw)
        except Dropped:
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_request
