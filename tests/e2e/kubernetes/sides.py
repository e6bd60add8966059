# SPDX-License-Identifier: Apache-2.0
"""The two that are compared: a real API server and its stand-in, each with one namespace and with
dispatchd's own rights there, those of manifests/base/role.yaml."""
import http.client
import json
import os
import random
import ssl
import threading
import urllib.parse

from kubectl import kubectl
from kubernetes_api import TOKEN, KubernetesStandin, api_of
from parts import TREE, Failed, wait_for

ROLE = os.path.join(TREE, "manifests/base/role.yaml")
NAMESPACE = f"dispatch-standin-{random.SystemRandom().randrange(1 << 32):08x}"
ACCOUNT = "dispatchd"
LABELS = {"app.kubernetes.io/managed-by": "dispatchd",
          "app.kubernetes.io/name": "dispatch-runner"}
OURS = "labelSelector=" + urllib.parse.quote(",".join(f"{k}={v}" for k, v in LABELS.items()))
CORE = f"/api/v1/namespaces/{NAMESPACE}"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS, SECRETS, EVENTS = f"{CORE}/pods", f"{CORE}/secrets", f"{CORE}/events"
MERGE = "application/merge-patch+json"
# This machine may be busy with much else.
WITHIN_S = 180
ASK_TIMEOUT_S = 90


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.type = response.headers.get_content_type()
        self.warnings = response.headers.get_all("Warning") or []
        self.retry_after = response.headers.get("Retry-After")
        self.text = response.read().decode("utf-8", "replace")

    @property
    def document(self):
        return json.loads(self.text)


class Side:
    """Calls as dispatchd (or another, by its token; or the administrator, by None), each over a
    connection of its own."""

    def __init__(self, url, token, tls, admin_tls, admin_headers):
        self.url, self.tls, self.admin_tls = urllib.parse.urlsplit(url), tls, admin_tls
        self.token, self.admin_headers = token, admin_headers

    def connect(self, as_admin):
        where = (self.url.hostname, self.url.port)
        tls = self.admin_tls if as_admin else self.tls
        if tls:
            return http.client.HTTPSConnection(*where, timeout=ASK_TIMEOUT_S, context=tls)
        return http.client.HTTPConnection(*where, timeout=ASK_TIMEOUT_S)

    def ask(self, method, path, body=None, **more):
        """An Answer. More: type and accept (media types), token, as_admin."""
        as_admin = more.get("as_admin", False)
        headers = dict(self.admin_headers) if as_admin else \
            {"Authorization": f"Bearer {more.get('token', self.token)}"}
        if body is not None:
            headers["Content-Type"] = more.get("type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        if "accept" in more:
            headers["Accept"] = more["accept"]
        connection = self.connect(as_admin)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def expect(self, status, method, path, body=None, **more):
        answer = self.ask(method, path, body, **more)
        if answer.status != status:
            raise Failed(f"{method} {path}: {answer.status} {answer.text}")
        return answer.document

    def events(self, path, query):
        """Yields (type, object) of a watch until it ends."""
        connection = self.connect(False)
        try:
            connection.request("GET", f"{path}?watch=true&{query}",
                               headers={"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            if response.status != 200:
                raise Failed(f"watch {path}?{query}: {response.status} {response.read()}")
            while line := response.readline():
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            connection.close()

    def version(self, path):
        return self.expect(200, "GET", f"{path}?limit=1")["metadata"]["resourceVersion"]


class RealSide(Side):
    name = "real"

    def __init__(self, kubeconfig, place):
        self.kubeconfig, self.admin = kubeconfig, api_of(kubeconfig, place)
        tls = ssl.create_default_context(cafile=self.admin.files["certificate-authority"]) \
            if self.admin.tls else None
        super().__init__(self.admin.server.geturl(), None, tls, self.admin.tls,
                         self.admin.headers)

    def __enter__(self):
        try:
            self.settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def settle(self):
        for path, document in self.setting():
            self.expect(201, "POST", path, document, as_admin=True)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        self.token = self.expect(201, "POST", f"{CORE}/serviceaccounts/{ACCOUNT}/token", asked,
                                 as_admin=True)["status"]["token"]
        # Pods can't be made before the namespace has its default service account, and rights
        # take a moment to be known.
        wait_for("the namespace is ready", lambda: self.ask(
            "GET", f"{CORE}/serviceaccounts/default", as_admin=True).status == 200
            and self.ask("GET", JOBS).status == 200, WITHIN_S, 0.1)

    def setting(self):
        yield "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                     "metadata": {"name": NAMESPACE}}
        yield f"{CORE}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount",
                                          "metadata": {"name": ACCOUNT}}
        text = kubectl("--kubeconfig", self.kubeconfig, "create", "--dry-run=client", "-o",
                       "json", "-f", ROLE)
        role, binding = read_documents(text)
        for document in (role, binding):
            document["metadata"]["namespace"] = NAMESPACE
        binding["subjects"][0]["namespace"] = NAMESPACE
        under = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
        yield f"{under}/roles", role
        yield f"{under}/rolebindings", binding

    def __exit__(self, *ignored):
        self.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}", as_admin=True)

    def has_node(self):
        nodes = self.expect(200, "GET", "/api/v1/nodes", as_admin=True)["items"]
        return any(condition["type"] == "Ready" and condition["status"] == "True"
                   for node in nodes for condition in node["status"]["conditions"])

    def has_secret(self, name):
        return self.ask("GET", f"{SECRETS}/{name}", as_admin=True).status == 200

    def delete_pod(self, pod):
        self.expect(200, "DELETE", f"{PODS}/{pod}", as_admin=True)

    def evict(self, pod):
        body = {"apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": pod, "namespace": NAMESPACE}}
        self.expect(201, "POST", f"{PODS}/{pod}/eviction", body, as_admin=True)


def read_documents(text):
    """JSON documents that follow each other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        found += document["items"] if document["kind"] == "List" else [document]
        while at < len(text) and text[at].isspace():
            at += 1
    return found


class StandinSide(Side):
    name = "stand-in"

    def __init__(self, place):
        self.program = KubernetesStandin(
            place, "--namespace", NAMESPACE, "--deny", "get:pods", "--deny", "create:pods")
        super().__init__(self.program.url, TOKEN, None, None,
                         {"Authorization": f"Bearer {TOKEN}"})

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.program.__exit__()

    def has_secret(self, name):
        return name in (secret["metadata"]["name"] for secret in self.program.objects("secrets"))

    def delete_pod(self, pod):
        self.expect(200, "DELETE", f"{PODS}/{pod}")

    def evict(self, pod):
        self.expect(200, "POST", "/standin/pods", {"name": pod, "do": "drain"})


class Follower:
    """Keeps up with our Jobs and pods by watches as dispatchd's, and keeps each version."""

    def __init__(self, side):
        self.side = side
        self.changed = threading.Condition()
        self.seen = {JOBS: {}, PODS: {}}  # path -> name -> [(type, object)]
        self.failure = None
        for path in self.seen:
            threading.Thread(target=self._follow, args=(path, side.version(path)),
                             daemon=True).start()

    def _follow(self, path, version):
        try:
            while True:
                query = f"allowWatchBookmarks=true&resourceVersion={version}&{OURS}"
                for what, obj in self.side.events(path, query):
                    if what == "ERROR":
                        raise Failed(f"a watch ended with {obj}")
                    version = obj["metadata"]["resourceVersion"]
                    if what != "BOOKMARK":
                        with self.changed:
                            self.seen[path].setdefault(obj["metadata"]["name"], []).append(
                                (what, obj))
                            self.changed.notify_all()
        except (OSError, ValueError, http.client.HTTPException, Failed) as failure:
            with self.changed:
                self.failure = failure
                self.changed.notify_all()

    def history(self, job):
        """The Job's versions."""
        with self.changed:
            return list(self.seen[JOBS].get(job, []))

    def pods(self, job):
        """The versions of each of the Job's pods, in the order they were made."""
        with self.changed:
            return [list(versions) for versions in self.seen[PODS].values()
                    if versions[0][1]["metadata"]["ownerReferences"][0]["name"] == job]

    def wait(self, what, condition):
        """What condition() returns once it is true; asked at each event."""
        with self.changed:
            found = self.changed.wait_for(lambda: condition() or self.failure, WITHIN_S)
            if self.failure:
                raise Failed(f"{self.side.name}: {self.failure}")
            if not found:
                raise Failed(f"{self.side.name}: not within {WITHIN_S} s: {what}")
            return found

    def job(self, name, condition):
        """Its version for which condition() is true, the first."""
        return self.wait(f"Job {name}", lambda: next(
            (obj for what, obj in self.history(name) if condition(what, obj)), None))

    def pod(self, job, condition, nth=0):
        return self.wait(f"pod {nth} of {job}", lambda: next(
            (obj for what, obj in (self.pods(job)[nth:nth + 1] or [[]])[0]
             if condition(what, obj)), None))
