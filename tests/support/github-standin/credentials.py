# SPDX-License-Identifier: Apache-2.0
"""Who asks: personal tokens, the App's JWT, and the installation tokens minted for it."""
import base64
import binascii
import json
import secrets
import string
import subprocess
import tempfile
import threading
import time

from answer import Refused

# What the App was granted when it was installed.
GRANTED = {"contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write"}
RANK = {None: 0, "read": 1, "write": 2, "admin": 3}
JWT_MAX_LIFE_S = 600
CLOCK_SLACK_S = 60
TOKEN_ALPHABET = string.ascii_letters + string.digits


class Principal:
    """A token's owner: which repositories it sees (None: all) and what it may do there."""

    def __init__(self, token, login, kind, permissions=None, repos=None, expires_s=None):
        self.token = token
        self.login = login
        self.kind = kind  # "User" or "Bot"
        self.permissions = permissions  # None: everything
        self.repos = repos
        self.expires_s = expires_s
        self.requests = 0

    def sees(self, full_name):
        return self.repos is None or full_name in self.repos

    def may(self, permission, level):
        if self.permissions is None:
            return True
        return RANK[self.permissions.get(permission)] >= RANK[level]


class App:
    def __init__(self, app_id, public_key, installation_id):
        self.app_id = app_id
        self.public_key = public_key
        self.installation_id = installation_id
        # "Modulus=" and two digits a byte. openssl dgst reads no more than that of a signature.
        shown = subprocess.run(
            ["openssl", "rsa", "-pubin", "-in", public_key, "-noout", "-modulus"],
            capture_output=True, check=True).stdout
        self.signature_size = len(shown.strip().partition(b"=")[2]) // 2

    def check_jwt(self, jwt):
        """Refuses what GitHub refuses."""
        try:
            head, claims, signature = jwt.split(".")
            header = json.loads(unbase64url(head))
            body = json.loads(unbase64url(claims))
            signature = unbase64url(signature)
        except (ValueError, binascii.Error):
            raise Refused(401, "A JSON web token could not be decoded") from None
        signed = jwt.rpartition(".")[0].encode()
        if header.get("alg") != "RS256" or not self.signature_holds(signed, signature):
            raise Refused(401, "A JSON web token could not be decoded")
        self.check_claims(body)

    def check_claims(self, claims):
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if str(claims.get("iss")) != str(self.app_id):
            raise Refused(404, "Integration not found")
        if not is_int(issued) or issued > now:
            raise Refused(401, "'Issued at' claim ('iat') must be an Integer representing the "
                               "time that the assertion was issued")
        if not is_int(expires) or expires <= now:
            raise Refused(401, "'Expiration time' claim ('exp') must be a numeric value "
                               "representing the future time at which the assertion expires")
        if expires > now + JWT_MAX_LIFE_S or expires - issued > JWT_MAX_LIFE_S + CLOCK_SLACK_S:
            raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")

    def signature_holds(self, signed, signature):
        if len(signature) != self.signature_size:
            return False
        with tempfile.NamedTemporaryFile() as file:
            file.write(signature)
            file.flush()
            check = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", self.public_key,
                 "-signature", file.name],
                input=signed, capture_output=True, check=False)
        return check.returncode == 0


class Credentials:
    def __init__(self, app, token_lifetime_s):
        self.app = app
        self.token_lifetime_s = token_lifetime_s
        self.lock = threading.Lock()
        self.tokens = {}

    def add_personal(self, token, repo=None):
        repos = {repo} if repo else None
        self.tokens[token] = Principal(token, "octocat", "User", repos=repos)

    def find(self, token):
        """The living token's principal, or None."""
        principal = self.tokens.get(token)
        if principal and principal.expires_s and principal.expires_s <= time.time():
            return None
        return principal

    def mint(self, permissions, repos):
        """An installation token, narrowed to `permissions` and `repos`."""
        token = "ghs_" + "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(36))
        principal = Principal(token, "dispatch[bot]", "Bot", {**permissions, "metadata": "read"},
                              repos, int(time.time()) + self.token_lifetime_s)
        with self.lock:
            self.tokens[token] = principal
        return principal


def permissions_asked(wanted):
    """The permissions of a request for a token, held against what was granted."""
    if wanted is None:
        return dict(GRANTED)
    if not isinstance(wanted, dict):
        raise Refused(422, "Invalid request.\n\nFor 'properties/permissions', it is not an "
                           "object.")
    for name, level in wanted.items():
        if level not in ("read", "write", "admin"):
            raise Refused(422, f"Invalid request.\n\nFor 'properties/{name}', {level} is not a "
                               "possible value.")
        if RANK[level] > RANK[GRANTED.get(name)]:
            raise Refused(422, "The permissions requested are not granted to this installation.")
    return dict(wanted)


def token_of(header):
    """The token in an Authorization header and the user name beside it; (None, None)."""
    scheme, _, value = (header or "").strip().partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return None, value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            return user, password
        except (ValueError, binascii.Error):
            return None, None
    return None, None


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def unbase64url(text):
    if set(text) & set("+/="):
        raise ValueError("not base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
