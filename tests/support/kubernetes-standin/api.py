# SPDX-License-Identifier: Apache-2.0
"""The verbs on the resources: what a request means, once it is known to be allowed."""
import base64
import copy
import json
import re
import urllib.parse

import schema
import status
from store import place

GROUP_VERSIONS = {"/api/v1": "v1", "/apis/batch/v1": "batch/v1",
                  "/apis/events.k8s.io/v1": "events.k8s.io/v1"}
SERVED = {"v1": ("pods", "secrets", "events"), "batch/v1": ("jobs",),
          "events.k8s.io/v1": ("events",)}
PATH = re.compile(r"(/api/v1|/apis/batch/v1|/apis/events\.k8s\.io/v1)"
                  r"(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/(log))?\Z")
ONE_VERBS = {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}
ALL_VERBS = {"POST": "create", "DELETE": "deletecollection"}
BODY_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
FIELDS = {"jobs": {"status.successful"},
          "pods": {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
                   "spec.serviceAccountName", "status.phase", "status.podIP"},
          "secrets": {"type"},
          "events": {"reason", "reportingComponent", "source", "type",
                     *(f"involvedObject.{name}" for name in (
                         "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion",
                         "fieldPath"))}}
EVENT_NAMES = (("message", "note"), ("involvedObject", "regarding"),
               ("reportingComponent", "reportingController"), ("source", "deprecatedSource"),
               ("firstTimestamp", "deprecatedFirstTimestamp"),
               ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"))


class Request:
    def __init__(self, method, target, body, content_type):
        path, _, query = target.partition("?")
        found = PATH.match(path)
        if not found:
            raise status.PlainRefused()
        self.version = GROUP_VERSIONS[found[1]]
        self.namespace, self.kind, self.name, self.sub = found.groups()[1:]
        if self.kind not in SERVED[self.version] or (self.sub and self.kind != "pods"):
            raise status.no_such_resource()
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.method, self.raw, self.content_type = method, body, content_type
        self.warnings = []
        self.selector = parse_selector(self.query.get("labelSelector", "")) \
            + parse_fields(self.query.get("fieldSelector", ""), self.kind)

    @property
    def is_watch(self):
        return self.method == "GET" and not self.name \
            and self.query.get("watch") in ("1", "true")

    @property
    def verb(self):
        if self.method == "GET":
            return "watch" if self.is_watch else "get" if self.name else "list"
        return ONE_VERBS.get(self.method) if self.name else ALL_VERBS.get(self.method)

    def body(self):
        if self.verb in ("create", "update") and self.content_type not in BODY_TYPES:
            raise status.unknown_format()
        if not self.raw and self.verb.startswith("delete"):
            return {}
        try:
            return json.loads(self.raw)
        except ValueError as problem:
            raise status.bad_request("error decoding patch: unexpected end of JSON input"
                                     if self.verb == "patch" else
                                     "the object provided is unrecognized (must be of type "
                                     f"{status.KINDS[self.kind]}): couldn't get version/kind; "
                                     f"json parse error: {problem}") from None


def parse_selector(text):
    """Equality, inequality, existence and sets."""
    tests = []
    for part in re.split(r",(?![^(]*\))", text) if text else []:
        found = re.match(r"\s*([^!=,\s]+)\s*(==|=|!=|\bin\b|\bnotin\b)\s*(.*?)\s*\Z", part)
        if found:
            key, how, value = found.groups()
            values = {word.strip() for word in value.strip("()").split(",")}
            if how in ("!=", "notin"):
                tests.append(lambda labels, k=key, v=values: labels.get(k) not in v)
            else:
                tests.append(lambda labels, k=key, v=values: labels.get(k) in v)
        elif re.match(r"\s*!?[A-Za-z0-9./_-]+\s*\Z", part):
            key = part.strip().lstrip("!")
            wanted = not part.strip().startswith("!")
            tests.append(lambda labels, k=key, w=wanted: (k in labels) == w)
        else:
            raise status.bad_request(f"unable to parse requirement: found '{part}'")
    return [lambda obj, t=test: t(obj["metadata"].get("labels") or {}) for test in tests]


def parse_fields(text, kind):
    tests = []
    for part in text.split(",") if text else []:
        path, equals, value = part.replace("==", "=").partition("=")
        if not equals:
            raise status.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        wanted = not path.endswith("!")
        if path.rstrip("!") not in FIELDS[kind] | {"metadata.name", "metadata.namespace"}:
            raise status.bad_request(f'field label not supported: {path.rstrip("!")}')

        def fits(obj, path=path.rstrip("!").split("."), value=value, wanted=wanted):
            for name in path:
                obj = (obj or {}).get(name) if isinstance(obj, dict) else None
            return (str(obj or "") == value) == wanted
        tests.append(fits)
    return tests


def as_new_event(event):
    shown = {new if (new := dict(EVENT_NAMES).get(name)) else name: value
             for name, value in event.items()}
    shown["apiVersion"] = "events.k8s.io/v1"
    return shown


def as_core_event(event):
    names = {new: old for old, new in EVENT_NAMES}
    return {names.get(name, name): value for name, value in event.items()} | {
        "apiVersion": "v1"}


class Api:
    def __init__(self, store, namespaces):
        self.store = store
        self.namespaces = set(namespaces)  # empty: every one exists

    def shown(self, request, obj):
        return as_new_event(obj) if request.version == "events.k8s.io/v1" else obj

    def answer(self, request):
        """(code, document)"""
        verb = getattr(self, request.verb or "", None)
        if verb is None or (request.verb == "create" and not request.namespace):
            raise status.no_such_method()
        return verb(request)

    def create(self, request):
        if self.namespaces and request.namespace not in self.namespaces:
            raise status.Refused(404, "NotFound",
                                 f'namespaces "{request.namespace}" not found',
                                 {"name": request.namespace, "kind": "namespaces"})
        obj, request.warnings = schema.read(request.version, request.kind, request.body(),
                                            request.query.get("fieldValidation", "Warn"))
        if request.version == "events.k8s.io/v1":
            obj = as_core_event(obj)
        if request.kind == "events":
            obj.setdefault("eventTime", None)
        meta = obj["metadata"]
        if meta.get("namespace", request.namespace) != request.namespace:
            raise status.bad_request("the namespace of the provided object does not match the "
                                     "namespace sent on the request")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = f'{meta["generateName"]}{self.store.version:x}'
        meta["namespace"] = request.namespace
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            meta.pop(field, None)
        schema.check(request.kind, obj)
        if request.kind == "secrets":
            hide_text(obj)
        if request.query.get("dryRun") == "All":
            return 201, self.shown(request, obj)
        made = self.store.create(request.kind, request.namespace, obj,
                                 schema.default_job if request.kind == "jobs" else
                                 lambda obj: None)
        return 201, self.shown(request, made)

    def get(self, request):
        return 200, self.shown(request, self.store.get(request.kind, request.namespace,
                                                       request.name))

    def list(self, request):
        limit = int(request.query.get("limit") or 0)
        objects, version = self.rest(request)
        meta = {"resourceVersion": str(version)}
        page = objects[:limit] if limit else objects
        if len(page) < len(objects):
            self.store.keep_snapshot((version, request.kind), objects)
            meta["continue"] = token_of(version, place(page[-1]) + "\0")
            if not request.selector:
                meta["remainingItemCount"] = len(objects) - len(page)
        items = []
        for obj in page:  # items of a list don't say what they are
            item = dict(self.shown(request, obj))
            del item["kind"], item["apiVersion"]
            items.append(item)
        return 200, {"kind": status.KINDS[request.kind] + "List", "apiVersion": request.version,
                     "metadata": meta, "items": items}

    def rest(self, request):
        """(what is left to list, the version it is of): as it was when the first page was read,
        or, by a token of version -1, as it is now."""
        if not request.query.get("continue"):
            return self.store.list(request.kind, request.namespace, request.selector)
        version, start = read_token(request.query["continue"])
        if version < 0:
            objects, version = self.store.list(request.kind, request.namespace,
                                               request.selector)
        else:
            objects = self.store.snapshot((version, request.kind))
            if objects is None:
                raise status.continue_too_old(token_of(-1, start))
        return [obj for obj in objects if place(obj) >= start], version

    def delete(self, request):
        options = request.body()
        for name in ("propagationPolicy", "gracePeriodSeconds"):
            if name in request.query:
                options[name] = request.query[name]
        if "gracePeriodSeconds" in options:
            options["gracePeriodSeconds"] = int(options["gracePeriodSeconds"])
        if request.kind == "jobs" and "propagationPolicy" not in options:
            request.warnings.append(
                "child pods are preserved by default when jobs are deleted; set "
                "propagationPolicy=Background to remove them or set propagationPolicy=Orphan "
                "to suppress this warning")
        obj, gone = self.store.delete(request.kind, request.namespace, request.name, options)
        if not gone or request.kind == "pods":
            return 200, self.shown(request, obj)
        return 200, status.success(request.kind, obj)

    def deletecollection(self, request):
        objects, version = self.store.list(request.kind, request.namespace, request.selector)
        options = request.body()
        for obj in objects:
            try:
                self.store.delete(request.kind, request.namespace, obj["metadata"]["name"],
                                  options)
            except status.Refused:
                pass
        return 200, {"kind": status.KINDS[request.kind] + "List", "apiVersion": request.version,
                     "metadata": {"resourceVersion": str(version)}, "items": objects}

    # --- Changing ---

    def patch(self, request):
        if request.content_type not in ("application/merge-patch+json",
                                        "application/strategic-merge-patch+json"):
            raise status.Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        patch = request.body()
        if request.version == "events.k8s.io/v1":
            patch = as_core_event(patch)
        return self.replace(request, lambda obj: merge(obj, patch))

    def update(self, request):
        body = request.body()

        def put(obj):
            old = copy.deepcopy(obj["metadata"])
            status_before = obj.get("status")
            obj.clear()
            obj.update(copy.deepcopy(body))
            for name in ("uid", "creationTimestamp", "generation", "namespace"):
                if name in old:
                    obj["metadata"].setdefault(name, old[name])
            if status_before is not None:
                obj["status"] = status_before

        return self.replace(request, put)

    def replace(self, request, change):
        def checked(obj):
            before = copy.deepcopy(obj)
            change(obj)
            wanted = obj["metadata"].get("uid", before["metadata"]["uid"])
            if obj["metadata"].get("name") != request.name:
                raise status.bad_request(
                    f'the name of the object ({obj["metadata"].get("name")}) does not match the '
                    f"name on the URL ({request.name})")
            if wanted != before["metadata"]["uid"]:
                raise status.wrong_uid_in_patch(request.kind, request.name, wanted)
            if obj["metadata"].get("resourceVersion", before["metadata"]["resourceVersion"]) \
                    != before["metadata"]["resourceVersion"]:
                raise status.modified(request.kind, request.name)
            unknown = []
            try:
                pruned = schema.prune(schema.FIELDS[(before["apiVersion"], before["kind"])],
                                      obj, "", unknown)
            except schema.WrongType as wrong:
                raise status.wrong_patch(wrong) from None
            request.warnings += [f'unknown field "{field}"' for field in unknown]
            obj.clear()
            obj.update(pruned)
            if request.kind in ("jobs", "pods"):
                obj["status"] = before.get("status", {})  # has a path of its own
            obj["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
            if request.kind == "secrets":
                hide_text(obj)
            schema.check_update(request.kind, before, obj)

        return 200, self.shown(request, self.store.update(
            request.kind, request.namespace, request.name, checked))


# --- Tokens of lists ---

def token_of(version, start):
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_token(text):
    """(version, start)"""
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(token["rv"]), str(token["start"])
    except (ValueError, KeyError, TypeError) as problem:
        raise status.bad_request(
            f"invalid continue token: continue key is not valid: {problem}") from None


def hide_text(secret):
    for key, text in (secret.pop("stringData", None) or {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
    secret.setdefault("type", "Opaque")


def merge(into, patch):
    """RFC 7386."""
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict):
            if not isinstance(into.get(name), dict):
                into[name] = {}
            merge(into[name], value)
        else:
            into[name] = value
