# SPDX-License-Identifier: Apache-2.0
"""The fields that requests may have, as their protos have them: an unknown one is refused, as
Google's servers do. tests/e2e/cloudrun/compare.mjs holds this table to the protos themselves.

A type is a scalar's, "Duration", the name of another message, a list or a dict of one."""
from status import Refused
from times import seconds_of

MESSAGES = {
    "Job": {
        "name": "string", "uid": "string", "generation": "int64", "labels": {"": "string"},
        "annotations": {"": "string"}, "client": "string", "clientVersion": "string",
        "launchStage": "enum", "template": "ExecutionTemplate", "etag": "string"},
    "ExecutionTemplate": {
        "labels": {"": "string"}, "annotations": {"": "string"}, "parallelism": "int32",
        "taskCount": "int32", "template": "TaskTemplate"},
    "TaskTemplate": {
        "containers": ["Container"], "maxRetries": "int32", "timeout": "Duration",
        "serviceAccount": "string", "executionEnvironment": "enum", "encryptionKey": "string"},
    "Container": {
        "name": "string", "image": "string", "command": ["string"], "args": ["string"],
        "env": ["EnvVar"], "resources": "ResourceRequirements", "workingDir": "string"},
    "ResourceRequirements": {
        "limits": {"": "string"}, "cpuIdle": "bool", "startupCpuBoost": "bool"},
    "EnvVar": {"name": "string", "value": "string", "valueSource": "EnvVarSource"},
    "EnvVarSource": {"secretKeyRef": "SecretKeySelector"},
    "SecretKeySelector": {"secret": "string", "version": "string"},
    "RunJobRequest": {"name": "string", "validateOnly": "bool", "etag": "string",
                      "overrides": "RunJobRequest.Overrides"},
    "RunJobRequest.Overrides": {
        "containerOverrides": ["RunJobRequest.Overrides.ContainerOverride"],
        "taskCount": "int32", "timeout": "Duration"},
    "RunJobRequest.Overrides.ContainerOverride": {
        "name": "string", "args": ["string"], "env": ["EnvVar"], "clearArgs": "bool"},
    "CancelExecutionRequest": {"name": "string", "validateOnly": "bool", "etag": "string"},
    "ListLogEntriesRequest": {
        "resourceNames": ["string"], "filter": "string", "orderBy": "string",
        "pageSize": "int32", "pageToken": "string"},
    "Secret": {"name": "string", "replication": "Replication", "labels": {"": "string"},
               "ttl": "Duration", "etag": "string", "topics": ["Topic"],
               "versionAliases": {"": "int64"}, "annotations": {"": "string"},
               "tags": {"": "string"}, "secretType": "enum"},
    "Topic": {"name": "string"},
    "Replication": {"automatic": "Replication.Automatic"},
    "Replication.Automatic": {},
    "AddSecretVersionRequest": {"parent": "string", "payload": "SecretPayload"},
    "SecretPayload": {"data": "bytes", "dataCrc32c": "int64"},
}
SCALARS = {"string": str, "bytes": str, "enum": (str, int), "bool": bool, "int32": int,
           "int64": (str, int)}


def refuse(where, what):
    raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {what} at '{where}'")


def check_value(kind, value, where):
    if isinstance(kind, list):
        if not isinstance(value, list):
            refuse(where, "Expected a list")
        for number, item in enumerate(value):
            check_value(kind[0], item, f"{where}[{number}]")
    elif isinstance(kind, dict):
        if not isinstance(value, dict):
            refuse(where, "Expected a map")
        for key, item in value.items():
            check_value(kind[""], item, f"{where}[{key}]")
    elif kind == "Duration":
        seconds_of(value, where)
    elif kind in MESSAGES:
        check(kind, value, where)
    elif not isinstance(value, SCALARS[kind]) or (isinstance(value, bool) and kind != "bool"):
        refuse(where, f"Invalid value, expected {kind}")


def check(message, value, where):
    if not isinstance(value, dict):
        refuse(where, "Expected an object")
    for key, item in value.items():
        if key not in MESSAGES[message]:
            refuse(where, f'Unknown name "{key}": Cannot find field.')
        check_value(MESSAGES[message][key], item, f"{where}.{key}" if where else key)
