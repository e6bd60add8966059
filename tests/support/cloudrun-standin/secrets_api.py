# SPDX-License-Identifier: Apache-2.0
"""Secret Manager: secrets of a project and their versions."""
import base64
import threading

from schema import check
from status import Refused
from times import now_text, seconds_of


class Secrets:
    def __init__(self, cloud):
        self.cloud = cloud
        self.lock = threading.Lock()
        self.all = {}   # id -> {"secret": ..., "versions": [bytes]}
        self.made = []  # ids, deleted ones too

    def name(self, secret_id):
        return f"projects/{self.cloud.project}/secrets/{secret_id}"

    def create(self, secret_id, body):
        check("Secret", body, "secret")
        if not secret_id or not body.get("replication"):
            raise Refused("INVALID_ARGUMENT", "secretId and replication are required")
        if "ttl" in body and seconds_of(body["ttl"], "secret.ttl") < 60:
            raise Refused("INVALID_ARGUMENT", "ttl: at least a minute")
        with self.lock:
            if secret_id in self.all:
                raise Refused("ALREADY_EXISTS",
                              f"Secret [{self.name(secret_id)}] already exists.")
            secret = {"name": self.name(secret_id), "createTime": now_text(),
                      "replication": body["replication"], "labels": body.get("labels", {}),
                      "etag": '"1"'}
            self.all[secret_id] = {"secret": secret, "versions": []}
            self.made.append(secret_id)
        return secret

    def find(self, secret_id):
        if secret_id not in self.all:
            raise Refused("NOT_FOUND", f"Secret [{self.name(secret_id)}] not found.")
        return self.all[secret_id]

    def add_version(self, secret_id, body):
        check("AddSecretVersionRequest", body, "")
        data = base64.b64decode(body["payload"]["data"], validate=True)
        with self.lock:
            versions = self.find(secret_id)["versions"]
            versions.append(data)
            return {"name": f"{self.name(secret_id)}/versions/{len(versions)}",
                    "createTime": now_text(), "state": "ENABLED"}

    def value(self, secret_id, version):
        with self.lock:
            versions = self.find(secret_id)["versions"]
            number = len(versions) if version == "latest" else int(version)
            if not 0 < number <= len(versions):
                raise Refused("NOT_FOUND", f"Secret Version [{version}] not found.")
            return number, versions[number - 1]

    def access(self, secret_id, version):
        number, value = self.value(secret_id, version)
        return {"name": f"{self.name(secret_id)}/versions/{number}",
                "payload": {"data": base64.b64encode(value).decode()}}

    def delete(self, secret_id):
        with self.lock:
            self.find(secret_id)
            del self.all[secret_id]
        return {}
