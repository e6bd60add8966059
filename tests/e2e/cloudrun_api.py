# SPDX-License-Identifier: Apache-2.0
"""The Cloud Run stand-in for end-to-end tests, with a service account's key and settings that
lead to it: tasks are real runners."""
import json
import os
import subprocess

from parts import BUILD, TREE, Failed, call, end, wait_for

STANDIN = os.path.join(TREE, "tests/support/cloudrun-standin/cloudrun-standin")
TOKEN = "ya29.e2e-access-token-canary"
IMAGE = "example.com/runner:1"


class CloudRunStandin:
    def __init__(self, place, *flags):
        port_file = os.path.join(place, "cloudrun.port")
        key, public = os.path.join(place, "google.pem"), os.path.join(place, "google.pub")
        for words in (["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                       "-out", key], ["pkey", "-in", key, "-pubout", "-out", public]):
            subprocess.run(["openssl", *words], check=True, capture_output=True)
        self.process = subprocess.Popen(
            [STANDIN, "--port-file", port_file, "--token", TOKEN, "--public-key", public,
             "--exit-with-parent", *flags], stdout=subprocess.DEVNULL)
        wait_for("the Cloud Run stand-in listens",
                 lambda: os.path.exists(port_file) or self.process.poll() is not None)
        with open(port_file, encoding="ascii") as text:
            self.port = int(text.read())
        self.url = f"http://127.0.0.1:{self.port}"
        self.key_file = os.path.join(place, "service-account.json")
        with open(key, encoding="ascii") as pem, \
                open(self.key_file, "w", encoding="ascii") as out:
            json.dump({"type": "service_account", "client_email": "dispatchd@acme.example",
                       "private_key": pem.read(), "token_uri": f"{self.url}/token"}, out)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)

    def settings(self, **more):
        return {"DISPATCH_LAUNCHER": "cloudrun", "DISPATCH_CLOUDRUN_PROJECT": "acme",
                "DISPATCH_CLOUDRUN_REGION": "europe-west1", "DISPATCH_CLOUDRUN_JOB": "runner",
                "DISPATCH_CLOUDRUN_IMAGE": IMAGE,
                "DISPATCH_CLOUDRUN_SERVICE_ACCOUNT": "runner@acme.example",
                "DISPATCH_CLOUDRUN_API_URL": self.url,
                "DISPATCH_CLOUDRUN_LOGGING_URL": self.url,
                "DISPATCH_CLOUDRUN_SECRETMANAGER_URL": self.url,
                "DISPATCH_CLOUDRUN_POLL_EVERY_MS": "100",
                "GOOGLE_APPLICATION_CREDENTIALS": self.key_file, **more}

    def get(self, path):
        status, document = call(f"{self.url}{path}")
        if status != 200:
            raise Failed(f"{path}: {status} {document}")
        return document

    def post(self, path, body):
        status, document = call(f"{self.url}{path}", "POST", body)
        if status != 200:
            raise Failed(f"{path}: {status} {document}")


def runner(place):
    """A task's program: dispatch-runner with a home."""
    path = os.path.join(place, "runner")
    home = os.path.join(place, "home")
    os.makedirs(home, exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"#!/bin/sh\nexport HOME={home} TMPDIR={home}\n"
                  f"exec {os.path.abspath(BUILD)}/dispatch-runner\n")
    os.chmod(path, 0o755)
    return path
