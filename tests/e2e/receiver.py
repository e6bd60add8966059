# SPDX-License-Identifier: Apache-2.0
"""A receiver of signed deliveries: keeps what it was sent, and answers as a test wants."""
import hashlib
import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Delivery:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.id = headers["X-Dispatch-Delivery"]
        self.event = headers["X-Dispatch-Event"]
        self.timestamp = headers["X-Dispatch-Timestamp"]

    def is_signed_with(self, secret):
        def digest(text):
            return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()

        return (hmac.compare_digest(digest(self.body), self.headers["X-Dispatch-Signature"])
                and hmac.compare_digest(digest(self.timestamp.encode() + b"." + self.body),
                                        self.headers["X-Dispatch-Signature-V2"]))


class Receiver:
    """answer(delivery) is the status to give, or None to say nothing until `let_go` is set."""

    def __init__(self, answer=lambda delivery: 200):
        receiver = self
        self.answer = answer
        self.let_go = threading.Event()
        self.deliveries = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                delivery = Delivery(self.path, self.headers, body)
                receiver.deliveries.append(delivery)
                status = receiver.answer(delivery)
                if status is None:
                    receiver.let_go.wait()
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *ignored):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *ignored):  # whoever calls may be killed
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()
