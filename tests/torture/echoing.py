# SPDX-License-Identifier: Apache-2.0
"""An upstream that says back whatever it was told, its headers and their credentials too, in every
kind of error answer there is. Each credential that it hears becomes a canary."""
import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUSES = (401, 403, 404, 409, 422, 429, 500, 502, 503)
BODY_MAX = 1 << 20


class Echoing:
    def __init__(self, canaries, name, statuses=STATUSES, answers=None):
        """answers: path to document, where an answer has to be good."""
        echoing = self
        self.heard = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                size = min(int(self.headers.get("Content-Length") or 0), BODY_MAX)
                body = self.rfile.read(size).decode("utf-8", "replace")
                echoing.learn(self.headers)
                good = (answers or {}).get(self.path.split("?")[0])
                if good is not None:
                    return self.send(200, json.dumps(good), "application/json")
                echoing.heard += 1
                status = statuses[echoing.heard % len(statuses)]
                said = f"you said {self.path} {dict(self.headers)} {body}"
                if (self.headers.get("User-Agent") or "").startswith("git/"):
                    known = self.headers.get("Authorization")  # git shows its user plain text
                    return self.send(status if known else 401, said, "text/plain")
                return self.send(status, json.dumps(
                    {"message": said, "error": said, "error_description": said,
                     "reason": said, "kind": "Status", "status": "Failure"}), "application/json")

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def send(self, status, text, kind):
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("X-Echo", text[:1000].replace("\n", " "))
                if status == 401:
                    self.send_header("WWW-Authenticate", "Basic realm=\"echo\"")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *ignored):
                pass

        self.canaries, self.name = canaries, name
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def learn(self, headers):
        for header in ("Authorization", "X-Api-Key", "X-Goog-Api-Key", "Proxy-Authorization"):
            scheme, _, secret = (headers.get(header) or "").rpartition(" ")
            if not secret:
                continue
            self.canaries.plant(f"{self.name}: {header}", secret)
            if scheme.strip() == "Basic":
                text = base64.b64decode(secret).decode("utf-8", "replace")
                if text.partition(":")[2]:
                    self.canaries.plant(f"{self.name}: {header}", text.partition(":")[2])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.server.shutdown()
        self.server.server_close()
