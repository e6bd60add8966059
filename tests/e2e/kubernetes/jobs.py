# SPDX-License-Identifier: Apache-2.0
"""Objects like those that dispatchd makes."""
import copy
import json

from sides import LABELS, NAMESPACE

IMAGE = "localhost/dispatch-e2e-runner:0.1.0"
MANAGER = "fieldManager=dispatchd"


def job(name, command="", standin=None, **changes):
    """What the built-in template makes of a run. The pod's container runs `command`; the stand-in
    is told by a script how it fares. Changes: container, pod, spec, labels."""
    labels = dict(LABELS, **{"dispatch.dev/run-id": name, "dispatch.dev/attempt": "1"},
                  **changes.get("labels", {}))
    container = {
        "name": "runner", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        "env": [{"name": "DISPATCH_RUN_ID", "value": name}],
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "1m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
    container.update(changes.get("container", {}))
    pod = {
        "restartPolicy": "Never", "automountServiceAccountToken": False,
        "enableServiceLinks": False, "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532,
                            "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "1Gi"}}]}
    pod.update(changes.get("pod", {}))
    spec = {
        "backoffLimit": 0, "activeDeadlineSeconds": 600, "podReplacementPolicy": "Failed",
        "template": {"metadata": {"labels": labels,
                                  "annotations": {"standin/script": json.dumps(standin or {})}},
                     "spec": pod}}
    spec.update(changes.get("spec", {}))
    return {"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "labels": labels}, "spec": spec}


def without(document, *path):
    """A copy that lacks what is at the path; the path's parts are names and places in lists."""
    document = copy.deepcopy(document)
    owner = document
    for part in path[:-1]:
        owner = owner[part]
    del owner[path[-1]]
    return document


def changed(document, value, *path):
    """A copy with another value at the path."""
    document = copy.deepcopy(document)
    owner = document
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    return document


def secret(name, uid):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True,
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS,
                         "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job",
                                              "name": name, "uid": uid, "controller": True}]},
            "stringData": {"token": "the task's token"}}


def event(name, about, reason="Claimed"):
    at = "2026-01-02T03:04:05Z"
    return {"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "involvedObject": {"apiVersion": "batch/v1", "kind": "Job",
                               "name": about["metadata"]["name"], "namespace": NAMESPACE,
                               "uid": about["metadata"]["uid"]},
            "reason": reason, "message": "the runner called home", "type": "Normal", "count": 1,
            "firstTimestamp": at, "lastTimestamp": at, "source": {"component": "dispatchd"},
            "reportingComponent": "dispatchd", "reportingInstance": "dispatchd"}


def stop_patch(uid, deadline_s=1):
    return {"metadata": {"uid": uid, "annotations": {"dispatch.dev/stopped": "asked"}},
            "spec": {"activeDeadlineSeconds": deadline_s}}


def delete_options(uid):
    return {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid}}
