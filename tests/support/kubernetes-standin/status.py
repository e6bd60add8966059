# SPDX-License-Identifier: Apache-2.0
"""What the API server answers when it can't or won't: Status objects, as it words them."""

GROUPS = {"jobs": "batch", "pods": "", "secrets": "", "events": ""}
KINDS = {"jobs": "Job", "pods": "Pod", "secrets": "Secret", "events": "Event"}


def qualified(kind):
    """"jobs.batch", "pods"."""
    group = GROUPS[kind]
    return f"{kind}.{group}" if group else kind


def details_of(kind, name=None, **more):
    details = {"name": name} if name else {}
    if GROUPS[kind]:
        details["group"] = GROUPS[kind]
    details["kind"] = kind
    details.update(more)
    return details


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, code, reason, message, details=None, headers=None):
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.status = {"kind": "Status", "apiVersion": "v1", "metadata": {},
                       "status": "Failure", "message": message, "reason": reason}
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def success(kind, obj):
    meta = obj["metadata"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details_of(kind, meta["name"], uid=meta["uid"])}


def not_found(kind, name):
    return Refused(404, "NotFound", f'{qualified(kind)} "{name}" not found',
                   details_of(kind, name))


def no_such_resource():
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def no_such_method():
    return Refused(405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource", {})


def unknown_format():
    return Refused(415, "UnsupportedMediaType",
                   "the body of the request was in an unknown format - accepted media types "
                   "include: application/json, application/yaml, "
                   "application/vnd.kubernetes.protobuf")


class PlainRefused(Exception):
    """An answer that is no success, in plain text: nobody knows the path."""

    code, text = 404, "404 page not found\n"


def already_exists(kind, name):
    return Refused(409, "AlreadyExists", f'{qualified(kind)} "{name}" already exists',
                   details_of(kind, name))


def conflict(kind, name, why, named=None):
    details = details_of(kind, name)
    if named:
        details["kind"] = named
    of = qualified(kind).replace(kind, named or kind, 1)
    return Refused(409, "Conflict", f'Operation cannot be fulfilled on {of} "{name}": {why}',
                   details)


def modified(kind, name):
    return conflict(kind, name, "the object has been modified; please apply your changes to "
                                "the latest version and try again")


def wrong_uid(kind, name, wanted, actual):
    """Of a deletion's precondition."""
    return conflict(kind, name,
                    f"the UID in the precondition ({wanted}) does not match the UID in record "
                    f"({actual}). The object might have been deleted and then recreated",
                    KINDS[kind])


def wrong_uid_in_patch(kind, name, wanted):
    """No conflict: the uid is a field that can't be changed."""
    causes = [("FieldValueInvalid", "metadata.uid",
               f'Invalid value: "{wanted}": field is immutable')]
    if kind == "jobs":
        causes += [("FieldValueInvalid", f"spec.template.metadata.labels[{key}]",
                    f"Invalid value: {{...}}: must be '{wanted}'")
                   for key in ("controller-uid", "batch.kubernetes.io/controller-uid")]
        causes.append(("FieldValueInvalid", "spec.selector",
                       "Invalid value: {...}: `selector` not auto-generated"))
    return invalid(kind, name, causes)


def wrong_patch(why):
    """The object as patched is none of its kind."""
    return Refused(422, "Invalid", f' "" is invalid: patch: Invalid value: "{{...}}": {why}',
                   {"causes": [{"reason": "FieldValueInvalid", "field": "patch",
                                "message": f'Invalid value: "{{...}}": {why}'}]})


def bad_request(message):
    return Refused(400, "BadRequest", message)


def invalid(kind, name, causes):
    """causes: [(reason, field, message)], as field errors."""
    texts = [f"{field}: {message}" for _, field, message in causes]
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    named = KINDS[kind] + (f".{GROUPS[kind]}" if GROUPS[kind] else "")
    details = {"name": name} if name else {}
    if GROUPS[kind]:
        details["group"] = GROUPS[kind]
    details["kind"] = KINDS[kind]
    details["causes"] = [{"reason": reason, "message": message, "field": field}
                         for reason, field, message in causes]
    return Refused(422, "Invalid", f'{named} "{name}" is invalid: {joined}', details)


def unauthorized():
    return Refused(401, "Unauthorized", "Unauthorized")


def forbidden(user, verb, kind, name, namespace):
    object_name = f'"{name}" ' if name else ""
    return Refused(403, "Forbidden",
                   f'{qualified(kind)} {object_name}is forbidden: User "{user}" cannot {verb} '
                   f'resource "{kind}" in API group "{GROUPS[kind]}" in the namespace '
                   f'"{namespace}"', details_of(kind, name))


def expired(message):
    return Refused(410, "Expired", message)


def wrong_version(text):
    refused = Refused(500, "", f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: '
                               f'parsing "{text}": invalid syntax')
    del refused.status["reason"]
    return refused


def too_old(asked, oldest):
    return expired(f"too old resource version: {asked} ({oldest})")


def continue_too_old(go_on):
    """go_on: a token that goes on all the same."""
    refused = expired(
        "The provided continue parameter is too old to display a consistent list result. You "
        "can start a new list without the continue parameter, or use the continue token in "
        "this response to retrieve the remainder of the results. Continuing with the provided "
        "token results in an inconsistent list - objects that were created, modified, or "
        "deleted between the time the first chunk was returned and now may show up in the "
        "list.")
    refused.status["metadata"]["continue"] = go_on
    return refused
