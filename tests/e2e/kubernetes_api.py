# SPDX-License-Identifier: Apache-2.0
"""An API server for end-to-end tests: a real one, by its kubeconfig, or the stand-in. What a
test itself asks of it goes through here, with the administrator's rights."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import threading
import urllib.parse

from parts import TREE, Failed, end, wait_for

STANDIN = os.path.join(TREE, "tests/support/kubernetes-standin/kubernetes-standin")
TOKEN = "kubernetes-e2e-token"
PAGE = 500


class Api:
    """Calls; each thread has a connection of its own."""

    def __init__(self, server, headers=None, tls=None):
        self.server, self.headers, self.tls = urllib.parse.urlsplit(server), headers or {}, tls
        self.files = {}  # of the credentials, by their name in a kubeconfig
        self.local = threading.local()

    def connect(self):
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        more = {"context": self.tls} if self.tls else {}
        return kind(self.server.hostname, self.server.port, timeout=60, **more)

    def call(self, method, path, body=None, content_type="application/json"):
        """(status, document); asks again once when a kept connection has gone."""
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = content_type
        for again in (True, False):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = self.connect()
            try:
                connection.request(method, path, None if body is None else json.dumps(body),
                                   headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read() or b"null")
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if not again:
                    raise
        raise AssertionError

    def expect(self, status, method, path, body=None):
        got, document = self.call(method, path, body)
        if got not in (status if isinstance(status, tuple) else (status,)):
            raise Failed(f"{method} {path}: {got} {document}")
        return document

    def list(self, path):
        items, token = [], ""
        while True:
            more = f"&continue={urllib.parse.quote(token)}" if token else ""
            page = self.expect(200, "GET", f"{path}?limit={PAGE}{more}")
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items

    def watch(self, path, version, each):
        """Calls each(type, object) until the stream ends."""
        connection = self.connect()
        try:
            connection.request("GET", f"{path}?watch=1&allowWatchBookmarks=true"
                                      f"&resourceVersion={version}", headers=self.headers)
            answer = connection.getresponse()
            while line := answer.readline():
                event = json.loads(line)
                each(event["type"], event["object"])
        except (http.client.HTTPException, OSError, ValueError):
            pass
        finally:
            connection.close()


def api_of(kubeconfig, place):
    """By kubectl, which knows how to read it."""
    shown = subprocess.run(
        [os.environ.get("KUBECTL", "kubectl"), "--kubeconfig", kubeconfig, "config", "view",
         "--raw", "--minify", "-o", "json"], check=True, capture_output=True, text=True)
    document = json.loads(shown.stdout)
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    if not cluster["server"].startswith("https:"):
        return Api(cluster["server"], headers)

    def as_file(owner, name):
        if name in owner:
            return os.path.join(os.path.dirname(kubeconfig), owner[name])
        if name + "-data" not in owner:
            return None
        path = os.path.join(place, name)
        with open(path, "wb") as out:
            out.write(base64.b64decode(owner[name + "-data"]))
        return path

    files = {"certificate-authority": as_file(cluster, "certificate-authority"),
             "client-certificate": as_file(user, "client-certificate"),
             "client-key": as_file(user, "client-key")}
    tls = ssl.create_default_context(cafile=files["certificate-authority"])
    if files["client-certificate"]:
        tls.load_cert_chain(files["client-certificate"], files["client-key"])
    api = Api(cluster["server"], headers, tls)
    api.files = files
    return api


class KubernetesStandin:
    """The stand-in with a kubeconfig for it."""

    def __init__(self, place, *flags):
        port_file = os.path.join(place, "kubernetes.port")
        self.process = subprocess.Popen(
            [STANDIN, "--port-file", port_file, "--token", TOKEN, "--exit-with-parent", *flags],
            stdout=subprocess.DEVNULL)
        wait_for("the Kubernetes stand-in listens",
                 lambda: os.path.exists(port_file) or self.process.poll() is not None)
        with open(port_file, encoding="ascii") as text:
            self.url = f"http://127.0.0.1:{int(text.read())}"
        self.kubeconfig = os.path.join(place, "kubeconfig")
        with open(self.kubeconfig, "w", encoding="utf-8") as out:
            json.dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "standin",
                "clusters": [{"name": "standin", "cluster": {"server": self.url}}],
                "users": [{"name": "tests", "user": {"token": TOKEN}}],
                "contexts": [{"name": "standin",
                              "context": {"cluster": "standin", "user": "tests"}}]}, out)
        self.api = Api(self.url, {"Authorization": f"Bearer {TOKEN}"})

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)

    def objects(self, kind):
        return self.api.expect(200, "GET", f"/standin/objects?kind={kind}")
