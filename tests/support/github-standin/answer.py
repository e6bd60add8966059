# SPDX-License-Identifier: Apache-2.0
"""What a route gives back, and the ways it refuses."""
import json

DOCUMENTATION_URL = "https://docs.github.com/rest"


class Answer:
    def __init__(self, status, document=None, text=None, content_type=None, headers=None):
        self.status = status
        self.headers = dict(headers or {})
        if text is not None:
            self.body = text if isinstance(text, bytes) else text.encode()
            self.headers["Content-Type"] = content_type or "text/plain; charset=utf-8"
        else:
            self.body = json.dumps(document).encode()
            self.headers["Content-Type"] = "application/json; charset=utf-8"


class Refused(Exception):
    """GitHub's error body; `errors` makes it a validation error."""

    def __init__(self, status, message, errors=None, headers=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = headers

    def answer(self):
        document = {"message": self.message, "documentation_url": DOCUMENTATION_URL,
                    "status": str(self.status)}
        if self.errors is not None:
            document["errors"] = self.errors
        if self.status == 422:
            del document["status"]
        return Answer(self.status, document, headers=self.headers)


def invalid(resource, field=None, code="invalid", message=None):
    """A 422 in the shape of GitHub's validation-error."""
    error = {"resource": resource, "code": code}
    if field:
        error["field"] = field
    if message:
        error["message"] = message
    return Refused(422, "Validation Failed", [error])
