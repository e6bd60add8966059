# SPDX-License-Identifier: Apache-2.0
"""What two API servers said, without what may differ: uids, versions, times, addresses, names that
were drawn, and what nobody reads."""
import difflib
import json
import re

from sides import NAMESPACE

UID = re.compile(r"\b[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
DRAWN = re.compile(r"\b((?:life|talk)-[a-z0-9-]*[a-z])-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
ACCOUNT = re.compile(r"system:serviceaccount:[^:]+:dispatchd")
VERSIONS = re.compile(r"(too old resource version: \d+) \(\d+\)")
DROPPED = {"managedFields", "selfLink"}
MASKED = {"resourceVersion": "VERSION", "continue": "TOKEN", "containerID": "CONTAINER",
          "imageID": "IMAGE", "remainingItemCount": "COUNT"}
REMEMBERS = "nothing is too old for it yet"


def plain_text(text):
    for pattern, instead in ((UID, "UID"), (TIME, "TIME"), (DRAWN, r"\1-DRAWN"),
                             (ACCOUNT, "system:serviceaccount:NAMESPACE:dispatchd"),
                             (VERSIONS, r"\1 (N)")):
        text = pattern.sub(instead, text)
    return text.replace(NAMESPACE, "NAMESPACE")


def plain(value):
    if isinstance(value, dict):
        return {name: MASKED[name] if name in MASKED and inner else plain(inner)
                for name, inner in value.items() if name not in DROPPED}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return plain_text(value) if isinstance(value, str) else value


def said(answer):
    """An answer as it is compared: status, media type, warnings, and the body."""
    shown = {"status": answer.status, "type": answer.type}
    if answer.warnings:
        shown["warnings"] = [plain_text(each) for each in answer.warnings]
    if answer.retry_after:
        shown["retry_after"] = answer.retry_after
    try:
        shown["body"] = plain(json.loads(answer.text))
    except ValueError:
        shown["body"] = plain_text(answer.text)
    return shown


def brief(status):
    """A refusal without the sentences, where these show Go's structures and regular expressions:
    which fields are wrong, and how."""
    causes = status.get("details", {}).get("causes")
    if causes:
        status["details"]["causes"] = sorted({f'{each["field"]}: {each["reason"]}'
                                              for each in causes})
    if "message" in status:
        status["message"] = "in other words"


# --- Objects whose whole is not compared -------------------------------------------------------

def conditions(obj, with_message=True):
    """By type: the order differs and nobody relies on it."""
    names = ("type", "status", "reason") + (("message",) if with_message else ())
    return sorted(({name: plain_text(each[name]) for name in names if each.get(name)}
                   for each in obj["status"].get("conditions") or []),
                  key=lambda each: each["type"])


def job_shown(job):
    """A Job's end: its conditions in their order, its counts, what is set and what isn't."""
    status = {name: value for name, value in plain(job["status"]).items()
              if name != "conditions"}
    return {"status": status, "conditions": conditions(job),
            "order": [each["type"] for each in job["status"].get("conditions") or []],
            "metadata": meta_shown(job), "suspend": job["spec"]["suspend"]}


def meta_shown(obj):
    meta = plain(obj["metadata"])
    if "deletionTimestamp" in meta:
        meta.pop("finalizers", None)  # whose turn is last, differs from time to time
    shown = {name: meta[name] for name in ("labels", "ownerReferences", "finalizers",
                                           "deletionGracePeriodSeconds") if meta.get(name)}
    shown["keys"] = sorted(meta)
    return shown


# In the words of the container runtime.
RUNTIME_WORDS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "StartError",
                 "RunContainerError"}


def state_shown(state):
    shown = plain(state)
    for inner in shown.values():
        if inner.get("reason") in RUNTIME_WORDS and "message" in inner:
            inner["message"] = "in the runtime's words"
    return shown


def container_shown(status):
    shown = {name: status[name] for name in ("name", "ready", "started", "restartCount")
             if name in status}
    for name in ("state", "lastState"):
        shown[name] = state_shown(status.get(name) or {})
    return shown


def pod_shown(pod):
    status = pod["status"]
    shown = {name: plain_text(status[name]) for name in ("phase", "reason", "message")
             if name in status}
    shown["conditions"] = conditions(pod)
    shown["containers"] = [container_shown(each)
                           for each in status.get("containerStatuses") or []]
    shown["metadata"] = meta_shown(pod)
    shown["deadline"] = pod["spec"].get("activeDeadlineSeconds")
    shown["bound"] = "nodeName" in pod["spec"]
    return shown


def stages(versions):
    """The conditions that a Job had, one after the other."""
    found = []
    for _, obj in versions:
        shown = [f'{each["type"]}={each["status"]} {each.get("reason")}'
                 for each in conditions(obj, False)]
        if not found or found[-1] != shown:
            found.append(shown)
    return found


# --- Differences -------------------------------------------------------------------------------

def lines(value):
    return [] if value is None else json.dumps(value, indent=1, sort_keys=True).splitlines()


def difference(real, standin):
    """A readable diff; empty: none."""
    return list(difflib.unified_diff(lines(standin), lines(real), "the stand-in", "the real one",
                                     n=4, lineterm=""))
