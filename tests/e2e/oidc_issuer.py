# SPDX-License-Identifier: Apache-2.0
"""An issuer of OpenID Connect on a port of 127.0.0.1, as GitHub Actions has one: keys that are
made and changed by `openssl`, and tokens of any content."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import threading
import time


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True,
                          timeout=120).stdout


class Key:
    """An RSA key of 2048 bits or one of P-256."""

    def __init__(self, place, kid, curve=False):
        self.kid, self.curve = kid, curve
        self.path = os.path.join(place, f"oidc-{kid}.pem")
        openssl("genpkey", "-algorithm", *(
            ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if curve
            else ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), "-out", self.path)

    def public(self):
        if self.curve:
            point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
                    "x": base64url(point[:32]), "y": base64url(point[32:])}
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
        return {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "e": "AQAB",
                "n": base64url(bytes.fromhex(modulus.strip().split("=")[1]))}

    def sign(self, text):
        made = openssl("dgst", "-sha256", "-sign", self.path, data=text.encode())
        return self._plain(made) if self.curve else made

    @staticmethod
    def _plain(der):
        """r and s of 32 bytes each, out of SEQUENCE { INTEGER, INTEGER }."""
        numbers, at = b"", 2
        for _ in range(2):
            size = der[at + 1]
            numbers += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + size
        return numbers


class Issuer:
    """Serves its discovery document and the keys in self.keys."""

    def __init__(self, place, audience):
        self.place, self.audience = place, audience
        self.keys = [Key(place, "first")]
        self.status = 200
        self.fetches = 0
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                status, body = issuer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *ignored):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, path):
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            self.fetches += 1
            return self.status, json.dumps({"keys": [k.public() for k in self.keys]}).encode()
        return 404, b"{}"

    def claims(self, repository, **more):
        now = int(time.time())
        return {"iss": self.url, "aud": self.audience, "iat": now, "nbf": now - 5,
                "exp": now + 300, "sub": f"repo:{repository}:ref:refs/heads/main",
                "repository": repository, "actor": "octocat", **more}

    def token(self, repository="octo/hello", key=None, header=None, **more):
        """As a workflow of that repository gets it; `header` and `more` change it."""
        key = key or self.keys[0]
        head = {"typ": "JWT", "alg": "ES256" if key.curve else "RS256", "kid": key.kid,
                **(header or {})}
        text = ".".join(base64url(json.dumps(part).encode())
                        for part in (head, self.claims(repository, **more)))
        if head["alg"] == "none":
            return text + "."
        if head["alg"] == "HS256":  # with what everybody knows as the secret
            secret = openssl("pkey", "-in", key.path, "-pubout")
            return f"{text}.{base64url(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"
        return f"{text}.{base64url(key.sign(text))}"
