# SPDX-License-Identifier: Apache-2.0
"""One REST call: who asks, and what for."""
import json
import time
import urllib.parse

from answer import Refused
from credentials import is_int, token_of
from shapes import Shapes

RATE_LIMIT = 5000
RATE_WINDOW_S = 3600
PAGE_MAX = 10000


class Call:
    def __init__(self, server, target, headers, body):
        root = server.root
        path, _, query = target.partition("?")
        api = root
        if path.startswith("/api/v3/"):
            path = path[len("/api/v3"):]
            api = root + "/api/v3"
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = headers
        self.body = body
        self.params = {}
        self.principal = None
        self.shapes = Shapes(root, api)
        self.repositories = server.repositories
        self.credentials = server.credentials

    def authenticate(self):
        """A personal or installation token; a JWT is looked at by as_app."""
        if not self.headers.get("User-Agent"):
            raise Refused(403, "Request forbidden by administrative rules. Please make sure "
                               "your request has a User-Agent header")
        header = self.headers.get("Authorization")
        if not header:
            raise Refused(401, "Requires authentication")
        _, token = token_of(header)
        self.principal = self.credentials.find(token)
        if not self.principal and (token or "").count(".") != 2:
            raise Refused(401, "Bad credentials")

    def as_app(self):
        """The App, when its JWT was shown."""
        if self.principal or not self.credentials.app:
            raise Refused(401, "A JSON web token could not be decoded")
        self.credentials.app.check_jwt(token_of(self.headers.get("Authorization"))[1])
        return self.credentials.app

    @property
    def full_name(self):
        return f"{self.params['owner']}/{self.params['repo']}"

    def repository(self, permission, level):
        if not self.principal:
            raise Refused(401, "Bad credentials")
        repo = self.repositories.find(self.full_name)
        if not repo or not self.principal.sees(self.full_name):
            raise Refused(404, "Not Found")
        if not self.principal.may(permission, level):
            raise Refused(403, "Resource not accessible by integration")
        return repo

    def document(self, optional=False):
        if optional and not self.body:
            return {}
        try:
            document = json.loads(self.body)
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
        if not isinstance(document, dict):
            raise Refused(400, "Body should be a JSON object")
        return document

    def number(self, name, default):
        text = self.query.get(name, "")
        value = int(text) if text.isdecimal() and len(text) < 6 else default
        return value if is_int(value) and 1 <= value <= PAGE_MAX else default

    def rate(self):
        used = min(self.principal.requests if self.principal else 0, RATE_LIMIT)
        reset = int(time.time()) // RATE_WINDOW_S * RATE_WINDOW_S + RATE_WINDOW_S
        return {"limit": RATE_LIMIT, "used": used, "remaining": RATE_LIMIT - used, "reset": reset,
                "resource": "core"}
