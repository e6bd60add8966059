# SPDX-License-Identifier: Apache-2.0
"""HTTP: reads a request, asks the script, says it in the face's own words, and logs it."""
import itertools
import json
import os
import re
import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import gemini
import openai

BODY_MAX = 16 * 1024 * 1024
IDLE_S = 120
NEVER_ENDS_BEAT_S = 0.2


class Face:
    """One API: where it is, how it says things."""

    def __init__(self, path, whole, stream, error):
        self.path = re.compile(path)
        self.whole, self.stream, self.error = whole, stream, error


FACES = [
    Face(r"(?:/[a-z-]+)?/v1/messages", anthropic.whole, anthropic.stream, anthropic.error),
    Face(r"(?:/[a-z-]+)?/v1/chat/completions", openai.chat_whole, openai.chat_stream,
         openai.error),
    Face(r"(?:/[a-z-]+)?/v1/responses", openai.response_whole, openai.response_stream,
         openai.error),
    Face(r"(?:/[a-z-]+)?/v1(?:alpha|beta)?/models/[^/:]+:(?:streamG|g)enerateContent",
         gemini.whole, gemini.stream, gemini.error),
]
COUNT_TOKENS = re.compile(r".*(?:/count_tokens|:countTokens)")


class RequestLog:
    """Every request, whole: tests search it for what must not have been sent."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.entries = []
        self.file = open(path, "a", encoding="utf-8") if path else None

    def add(self, entry):
        with self.lock:
            self.entries.append(entry)
            if self.file:
                self.file.write(json.dumps(entry) + "\n")
                self.file.flush()

    def all(self):
        with self.lock:
            return list(self.entries)

    def clear(self):
        with self.lock:
            self.entries.clear()


class StandinServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port, script, keys, log_path):
        self.script = script
        self.keys = keys
        self.log = RequestLog(log_path)
        self.numbers = itertools.count(1)
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self):
        # Without HTTPServer's look-up of the host's name, which may ask a name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "model-standin"
    sys_version = ""
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def do_any(self):
        try:
            body = self.read_body()
        except (ValueError, EOFError):
            self.close_connection = True
            return
        path = self.path.partition("?")[0]
        if path.startswith("/_standin/"):
            self.control(path, body)
            return
        face = next((face for face in FACES if face.path.fullmatch(path)), None)
        self.entry = {"method": self.command, "path": self.path, "at": round(time.time(), 3),
                      "headers": {name.lower(): value for name, value in self.headers.items()},
                      "body": body.decode("utf-8", "backslashreplace"), "status": 0}
        if self.command == "POST" and face:
            self.model(face, body)
        elif COUNT_TOKENS.fullmatch(path):
            self.whole(200, {"input_tokens": 10, "totalTokens": 10})
        else:
            self.whole(404, {"error": {"message": "Not Found"}})

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_any

    def read_body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.exactly(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            body += self.exactly(size)
            self.rfile.readline(1024)
        while self.rfile.readline(1024).strip():
            pass  # trailers
        return body

    def exactly(self, size):
        if size > BODY_MAX:
            raise ValueError
        body = self.rfile.read(size)
        if len(body) < size:
            raise EOFError
        return body

    # --- The model ---

    def key(self):
        bearer = self.headers.get("Authorization", "")
        return (self.headers.get("x-api-key") or self.headers.get("x-goog-api-key")
                or bearer.removeprefix("Bearer "))

    def model(self, face, body):
        if self.server.keys and self.key() not in self.server.keys:
            self.whole(401, face.error(401, "the key opens nothing here"))
            return
        try:
            request = json.loads(body)
        except ValueError:
            self.whole(400, face.error(400, "the body isn't JSON"))
            return
        named = re.search(r"/models/([^/:]+):", self.path)
        if named:
            request["model"] = named[1]
        turn = self.server.script.next_turn(json.dumps(request, ensure_ascii=False),
                                            bool(request.get("tools")))
        self.entry["turn"] = turn
        if turn.get("delay_ms"):
            time.sleep(turn["delay_ms"] / 1000)
        if turn.get("reset"):
            self.reset()
        elif "status" in turn:
            message = turn.get("message", f"the script says {turn['status']}")
            self.whole(turn["status"], face.error(turn["status"], message),
                       turn.get("headers", {}))
        else:
            self.say(face, turn, request)

    def say(self, face, turn, request):
        number = next(self.server.numbers)
        streams = request.get("stream") or ":stream" in self.path
        if turn.get("never_ends"):
            self.say_without_end(face, turn, request, number)
        elif streams:
            self.pieces(face.stream(turn, request, number))
        else:
            self.whole(200, face.whole(turn, request, number))

    def say_without_end(self, face, turn, request, number):
        """All but the end of an answer, and then comments until the client has enough."""
        def pieces():
            *first, last = face.stream({**turn, "text": turn.get("text", "Hm")}, request, number)
            yield from first
            while True:
                time.sleep(NEVER_ENDS_BEAT_S)
                yield b": still there\n\n"

        try:
            self.pieces(pieces())
        except OSError:
            self.close_connection = True

    # --- Answering ---

    def record(self, status):
        self.entry["status"] = status
        self.server.log.add(self.entry)

    def pieces(self, pieces):
        self.record(200)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("request-id", "req_standin")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def whole(self, status, document, headers=None):
        self.record(status)
        self.send(status, document, headers)

    def send(self, status, document, headers=None):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self):
        """Closes so that the client sees a reset and not an orderly end."""
        self.record(0)
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    # --- The tests' own entrance ---

    def control(self, path, body):
        if path == "/_standin/requests" and self.command == "GET":
            self.send(200, self.server.log.all())
        elif path == "/_standin/requests" and self.command == "DELETE":
            self.server.log.clear()
            self.send(200, {})
        elif path == "/_standin/script" and self.command == "PUT":
            try:
                self.server.script.replace(json.loads(body))
                self.send(200, {})
            except (ValueError, AttributeError, TypeError) as problem:
                self.send(400, {"message": str(problem)})
        else:
            self.send(404, {"message": "Not Found"})
