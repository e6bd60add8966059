# SPDX-License-Identifier: Apache-2.0
"""google.rpc.Status as Google's REST face words it."""

CODES = {"INVALID_ARGUMENT": (3, 400), "FAILED_PRECONDITION": (9, 400),
         "UNAUTHENTICATED": (16, 401), "PERMISSION_DENIED": (7, 403), "NOT_FOUND": (5, 404),
         "ABORTED": (10, 409), "ALREADY_EXISTS": (6, 409), "RESOURCE_EXHAUSTED": (8, 429),
         "INTERNAL": (13, 500), "UNIMPLEMENTED": (12, 501), "UNAVAILABLE": (14, 503)}
OF_HTTP = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
           404: "NOT_FOUND", 409: "ABORTED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
           503: "UNAVAILABLE"}


class Refused(Exception):
    def __init__(self, name, message):
        super().__init__(message)
        self.name, self.message = name, message

    def http(self):
        return CODES[self.name][1]

    def document(self):
        return document(self.http(), self.name, self.message)


def document(http, name, message, details=None):
    error = {"code": http, "message": message, "status": name or OF_HTTP.get(http, "UNKNOWN")}
    if details:
        error["details"] = details
    return {"error": error}
