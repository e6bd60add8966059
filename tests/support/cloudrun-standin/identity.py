# SPDX-License-Identifier: Apache-2.0
"""Who may call: a token endpoint for service account keys, and a metadata server."""
import base64
import json
import os
import secrets
import subprocess
import threading
import time
import urllib.parse

from status import Refused

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"


class BadGrant(Exception):
    pass


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Identity:
    def __init__(self, cloud):
        self.cloud = cloud
        self.lock = threading.Lock()
        self.issued = {}  # token -> its end
        self.made = 0

    def issue(self):
        token = "ya29.standin-" + secrets.token_urlsafe(24)
        with self.lock:
            self.made += 1
            self.issued[token] = time.monotonic() + self.cloud.options.token_life_s
        return {"access_token": token, "expires_in": self.cloud.options.token_life_s,
                "token_type": "Bearer"}

    def revoke_all(self):
        with self.lock:
            self.issued.clear()

    def check(self, header):
        kind, _, token = (header or "").partition(" ")
        with self.lock:
            ends = self.issued.get(token, 0)
        if kind != "Bearer" or (token not in self.cloud.options.token
                                and ends < time.monotonic()):
            raise Refused("UNAUTHENTICATED",
                          "Request had invalid authentication credentials.")

    def metadata(self, headers):
        """(code, document)"""
        if headers.get("Metadata-Flavor") != "Google":
            return 403, {"error": "missing Metadata-Flavor"}
        return 200, self.issue()

    def token(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode("ascii", "replace")))
        try:
            if form.get("grant_type") != GRANT:
                raise BadGrant("unsupported grant")
            self.check_assertion(form.get("assertion", ""))
        except BadGrant as refused:
            return 400, {"error": "invalid_grant", "error_description": str(refused)}
        return 200, self.issue()

    def check_assertion(self, assertion):
        try:
            head, claims, signature = assertion.split(".")
            header, said = json.loads(decoded(head)), json.loads(decoded(claims))
        except ValueError:
            raise BadGrant("not a JWT") from None
        if header.get("alg") != "RS256" or said.get("scope") != SCOPE or not said.get("iss"):
            raise BadGrant("alg, scope or iss")
        if not str(said.get("aud", "")).endswith("/token"):
            raise BadGrant("aud is not the token endpoint")
        now = time.time()
        if not said["iat"] <= now + 5 or not now < said["exp"] <= said["iat"] + 3600:
            raise BadGrant("iat and exp")
        if self.cloud.options.public_key:
            self.verify(f"{head}.{claims}".encode(), decoded(signature))

    def verify(self, text, signature):
        path = os.path.join(self.cloud.root, "signature")
        with self.lock:
            with open(path, "wb") as out:
                out.write(signature)
            done = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", self.cloud.options.public_key,
                 "-signature", path], input=text, capture_output=True, check=False)
        if done.returncode:
            raise BadGrant("Invalid JWT Signature.")
