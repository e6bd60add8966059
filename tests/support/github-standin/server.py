# SPDX-License-Identifier: Apache-2.0
"""HTTP: reads a request, finds who answers it, sends and logs the answer."""
import json
import os
import secrets
import socket
import socketserver
import struct
import tempfile
import time
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import git_http
from answer import Answer, Refused
from call import Call
from faults import AFTER, Faults
from request_log import REQUEST_BODY_MAX, RequestLog
from rest import find_route

REST_BODY_MAX = 1024 * 1024
IDLE_S = 120
PIECE = 65536


class StandinServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address, root, repositories, credentials, log_path):
        self.repositories = repositories
        self.credentials = credentials
        self.log = RequestLog(log_path)
        self.faults = Faults()
        super().__init__(address, Handler)
        self.root = root or f"http://127.0.0.1:{self.server_port}"

    def server_bind(self):
        # Without HTTPServer's look-up of the host's name, which may ask a name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Dropped(Exception):
    """The connection is to be reset."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "github-standin"
    sys_version = ""
    timeout = IDLE_S
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def do_any(self):
        with tempfile.TemporaryFile() as body:
            try:
                size = self.read_body(body)
                body.seek(0)
                self.body_head = body.read(REQUEST_BODY_MAX)  # for the log
                self.route(body, size)
            except Dropped:
                self.reset()
            except (ValueError, EOFError):
                self.close_connection = True

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_any

    # --- Reading ---

    def read_body(self, into):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.read_chunks(into)
        return self.copy(into, int(self.headers.get("Content-Length") or 0))

    def read_chunks(self, into):
        total = 0
        while size := int(self.rfile.readline(PIECE).split(b";")[0], 16):
            total += self.copy(into, size)
            self.rfile.readline(PIECE)
        while self.rfile.readline(PIECE).strip():
            pass  # trailers
        return total

    def copy(self, into, size):
        left = size
        while left > 0:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise EOFError
            into.write(piece)
            left -= len(piece)
        return size

    # --- Finding who answers ---

    def route(self, body, size):
        path = self.path.partition("?")[0]
        if path.startswith("/_standin/"):
            body.seek(0)
            self.send(self.control(path, body.read(REST_BODY_MAX)))
            return
        self.request_id = ":".join(secrets.token_hex(2).upper() for _ in range(5))
        fault = self.server.faults.take(self.command, path)
        action = fault and fault["action"]
        if action == "delay":
            time.sleep(fault["delay_ms"] / 1000)
        if action == "reset_before":
            self.record(0, None)
            raise Dropped
        if action == "status":
            self.reply(Answer(fault["status"], fault["body"], headers=fault["headers"]))
            return
        found, query = git_http.match(self.path)
        after = fault if action in AFTER else None
        if found:
            self.serve_git(found, query, body, size, after)
        else:
            self.reply(self.rest(body, size), after)

    def rest(self, body, size):
        if size > REST_BODY_MAX:
            return Refused(413, "Payload Too Large").answer()
        body.seek(0)
        call = Call(self.server, self.path, self.headers, body.read())
        try:
            call.authenticate()
            if call.principal:
                call.principal.requests += 1
            function, call.params = find_route(self.command, call.path)
            if not function:
                raise Refused(404, "Not Found")
            answer = function(call)
        except Refused as refused:
            answer = refused.answer()
        except Exception:  # a fault of this program: loud, and no reason for a client to hang
            traceback.print_exc()
            answer = Refused(500, "Server Error").answer()
        for name, value in call.rate().items():
            answer.headers[f"X-RateLimit-{name.capitalize()}"] = str(value)
        return answer

    def serve_git(self, found, query, body, size, after):
        repo, refusal = git_http.check(self.server, found, query, self.headers)
        if refusal:
            self.reply(refusal, after)
            return
        output = git_http.run(self.server, repo, found, query, self.command, self.headers, body,
                              size)
        status, headers = next(output)
        if after:
            for _ in output:
                pass
            self.reply(Answer(status), after)
            return
        self.record(status, None)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-GitHub-Request-Id", self.request_id)
        self.end_headers()
        for piece in output:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    # --- The tests' own entrance ---

    def control(self, path, body):
        query = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
        if path == "/_standin/pulls" and self.command == "GET":
            return Answer(200, [{"repo": repo.full_name, **pull}
                                for repo in list(self.server.repositories.by_name.values())
                                for pull in list(repo.pulls)])
        if path == "/_standin/requests" and self.command == "GET":
            return Answer(200, self.server.log.matching(query.get("method"),
                                                        query.get("path_prefix", "/")))
        if path == "/_standin/faults" and self.command == "GET":
            return Answer(200, {"met": self.server.faults.met})
        if path == "/_standin/faults" and self.command == "DELETE":
            self.server.faults.clear()
            return Answer(200, {})
        try:
            wanted = json.loads(body)
            if path == "/_standin/faults" and self.command == "POST":
                self.server.faults.add(wanted)
                return Answer(201, {})
            if path == "/_standin/repos" and self.command == "POST":
                self.server.repositories.add(wanted["repo"], wanted.get("fixture"))
                return Answer(201, {})
        except (ValueError, KeyError, TypeError, AttributeError, SystemExit) as problem:
            return Answer(400, {"message": str(problem)})
        return Answer(404, {"message": "Not Found"})

    # --- Answering ---

    def reply(self, answer, after=None):
        """`after`: the fault that comes over it; what was done is what is recorded."""
        self.record(answer.status, answer)
        if after and after["action"] == "reset_after":
            raise Dropped
        if after:
            answer = Answer(after["status"], after["body"], headers=dict(after["headers"]))
        answer.headers["X-GitHub-Request-Id"] = self.request_id
        self.send(answer)

    def send(self, answer):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def record(self, status, answer):
        headers = {}
        for name, value in self.headers.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        entry = {"method": self.command, "path": self.path, "status": status,
                 "headers": headers}
        self.server.log.add(entry, self.body_head, answer)

    def reset(self):
        """Closes so that the client sees a reset and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass
