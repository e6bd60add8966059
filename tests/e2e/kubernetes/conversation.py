# SPDX-License-Identifier: Apache-2.0
"""Each call that dispatchd makes and each refusal it knows how to take, with the answers as they
are compared. No node is needed."""
import base64
import json
import threading
import urllib.parse

from comparing import REMEMBERS, brief, plain, pod_shown, said
from jobs import (MANAGER, changed, delete_options, event, job, secret, stop_patch, without)
from parts import wait_for
from sides import EVENTS, JOBS, LABELS, MERGE, NAMESPACE, PODS, SECRETS, WITHIN_S

BOOKMARK_S, BOOKMARK_TRIES = 13, 6
NOBODY = "00000000-0000-4000-8000-000000000000"
QUIET = {"suspend": True}  # a Job without pods
NOWHERE = {"nodeSelector": {"dispatch.dev/there-is": "none"}}
RUNNER = ("spec", "template", "spec", "containers", 0)
POD_SPEC = ("spec", "template", "spec")


class Conversation:
    """said: what to compare, by the call's name."""

    def __init__(self, side):
        self.side = side
        self.said = {}

    def ask(self, name, method, path, body=None, **more):
        answer = self.side.ask(method, path, body, **more)
        self.said[name] = said(answer)
        return answer

    def refused(self, name, *words, **more):
        """What says no in words that aren't compared."""
        self.ask(name, *words, **more)
        if isinstance(self.said[name]["body"], dict):
            brief(self.said[name]["body"])

    def hold(self):
        bookmarks = [threading.Thread(target=self.wait_for_bookmark, args=words)
                     for words in (("Jobs", JOBS), ("pods", PODS))]
        for each in bookmarks:
            each.start()
        self.make()
        self.refuse()
        self.read()
        self.page()
        self.change()
        self.tell()
        self.credentials()
        self.manners()
        self.end()
        self.pods()
        self.watch()
        for each in bookmarks:
            each.join()
        return self.said

    # --- Creating -----------------------------------------------------------------------------

    def make(self):
        self.ask("list of none", "GET", f"{JOBS}?limit=1")
        self.begin = self.side.version(JOBS)
        wanted = job("talk-1", spec=QUIET)
        self.first = self.ask("create Job", "POST", f"{JOBS}?{MANAGER}", wanted).document
        self.ask("create Job again", "POST", f"{JOBS}?{MANAGER}", wanted)
        odd = changed(job("talk-2", spec=QUIET), 1, "spec", "fortune")
        odd = changed(odd, 1, *RUNNER, "luck")
        self.ask("create Job, unknown fields", "POST", JOBS, odd)
        self.ask("create Job, unknown fields, strict", "POST", f"{JOBS}?fieldValidation=Strict",
                 changed(odd, "talk-3", "metadata", "name"))
        self.ask("create Job, sparse", "POST", JOBS, {
            "metadata": {"name": "talk-3"}, "spec": {"suspend": True, "template": {"spec": {
                "restartPolicy": "OnFailure", "containers": [{"name": "a", "image": "b"}]}}}})

    def refuse(self):
        good = job("talk-bad", spec=QUIET)
        for what, document in (
                ("invalid label", changed(good, "no spaces", "metadata", "labels", "a")),
                ("invalid label's key", changed(good, {"a b": "c"}, "metadata", "labels")),
                ("label not text", changed(good, 1, "metadata", "labels", "a")),
                ("invalid name", changed(good, "Talk_1", "metadata", "name")),
                ("no name", without(good, "metadata", "name")),
                ("another namespace", changed(good, "other", "metadata", "namespace")),
                ("no template", without(good, "spec", "template")),
                ("no containers", without(good, *POD_SPEC, "containers")),
                ("no image", without(good, *RUNNER, "image")),
                ("restartPolicy Always", changed(good, "Always", *POD_SPEC, "restartPolicy")),
                ("no restartPolicy", without(good, *POD_SPEC, "restartPolicy")),
                ("no such volume", changed(good, "none", *RUNNER, "volumeMounts", 0, "name")),
                ("negative number", changed(good, -1, "spec", "backoffLimit")),
                ("text for a number", changed(good, "1", "spec", "backoffLimit")),
                ("number for text", changed(good, 1, *RUNNER, "env", 0, "value")),
                ("no amount", changed(good, "much", *RUNNER, "resources", "limits", "memory")),
                ("another kind", changed(good, "Task", "kind")),
                ("another version", changed(good, "batch/v2", "apiVersion"))):
            self.refused(f"create Job, {what}", "POST", JOBS, document)
        self.refused("create Job, no JSON", "POST", JOBS, "{")
        self.refused("create Job, nothing", "POST", JOBS, "")
        self.ask("create Job, no such namespace", "POST",
                 JOBS.replace(NAMESPACE, "there-is-none"), good, as_admin=True)

    # --- Reading ------------------------------------------------------------------------------

    def read(self):
        self.ask("get Job", "GET", f"{JOBS}/talk-1")
        self.ask("get Job, none", "GET", f"{JOBS}/talk-none")
        for what, selector in (
                ("ours", ",".join(f"{k}={v}" for k, v in LABELS.items())),
                ("of a run", "dispatch.dev/run-id=talk-1,dispatch.dev/attempt=1"),
                ("nobody's", "dispatch.dev/run-id=none"),
                ("a set", "dispatch.dev/run-id in (talk-1, talk-2)"),
                ("with a label", "dispatch.dev/run-id")):
            self.ask(f"list Jobs, {what}", "GET",
                     f"{JOBS}?labelSelector={urllib.parse.quote(selector)}")
        self.refused("list Jobs, no selector", "GET", f"{JOBS}?labelSelector=a%20b==c")

    def page(self):
        """limit and continue, as far as they go; a continue that isn't one, and an old one."""
        token, pages = "", []
        while token or not pages:
            answer = self.side.ask("GET", f"{JOBS}?limit=2&continue={urllib.parse.quote(token)}")
            page = answer.document
            token = page["metadata"].get("continue", "")
            pages.append({"keys": sorted(page["metadata"]),
                          "names": [each["metadata"]["name"] for each in page["items"]]})
            if len(pages) == 1:
                self.side.expect(201, "POST", JOBS, job("talk-0", spec=QUIET))
        self.said["list Jobs, page by page"] = pages
        self.side.expect(200, "DELETE", f"{JOBS}/talk-0?propagationPolicy=Background")
        self.refused("list Jobs, no continue", "GET", f"{JOBS}?limit=2&continue=nonsense")
        old = json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "talk-1\u0000"})
        old = base64.urlsafe_b64encode(old.encode()).decode().rstrip("=")
        if self.ask("list Jobs, old continue", "GET",
                    f"{JOBS}?limit=2&continue={old}").status == 200:
            self.said["list Jobs, old continue"] = REMEMBERS

    # --- Changing -----------------------------------------------------------------------------

    def patch(self, name, path, document, **more):
        return self.ask(name, "PATCH", f"{path}?{MANAGER}", document, **{"type": MERGE, **more})

    def patch_refused(self, name, path, document):
        self.refused(name, "PATCH", f"{path}?{MANAGER}", document, type=MERGE)

    def change(self):
        one = f"{JOBS}/talk-1"
        self.patch_refused("patch Job, another uid", one, stop_patch(NOBODY))
        self.patch("patch Job", one, stop_patch(self.first["metadata"]["uid"], 300))
        self.patch("patch Job, nothing new", one, {"metadata": {"annotations": {}}})
        self.patch("patch Job, none", f"{JOBS}/talk-none", stop_patch(NOBODY))
        self.patch_refused("patch Job, fixed field", one, {"spec": {"completions": 2}})
        self.patch("patch Job, another name", one, {"metadata": {"name": "talk-9"}})
        self.patch_refused("patch Job, no number", one, {"spec": {"activeDeadlineSeconds": "x"}})
        self.patch("patch Job, unknown field", one, {"spec": {"fortune": 1}})
        self.patch("patch Job, no JSON", one, "{")
        self.patch("patch Job, as JSON", one, {"spec": {}}, type="application/json")
        self.patch("patch Job, an old version", one, {"metadata": {"resourceVersion": "1"}})

    # --- Secrets and Events -------------------------------------------------------------------

    def tell(self):
        wanted = secret("talk-1", self.first["metadata"]["uid"])
        self.ask("create Secret", "POST", f"{SECRETS}?{MANAGER}", wanted)
        self.ask("create Secret again", "POST", f"{SECRETS}?{MANAGER}", wanted)
        self.ask("create Secret, no owner's uid", "POST", SECRETS, changed(
            wanted, "", "metadata", "ownerReferences", 0, "uid"))
        self.ask("get Secret", "GET", f"{SECRETS}/talk-1")
        self.ask("list Secrets", "GET", SECRETS)
        self.ask("watch Secrets", "GET", f"{SECRETS}?watch=true")

        wanted = event("talk-1.e1", self.first)
        self.ask("create Event", "POST", f"{EVENTS}?{MANAGER}", wanted)
        self.ask("create Event again", "POST", f"{EVENTS}?{MANAGER}", wanted)
        self.ask("create Event, of another namespace", "POST", EVENTS, changed(
            event("talk-1.e2", self.first), "other", "involvedObject", "namespace"))
        self.side.expect(201, "POST", EVENTS, event("talk-1.e3", self.first, "FailedCreate"))
        uid = self.first["metadata"]["uid"]
        for what, selector in (("of a Job", f"involvedObject.uid={uid},reason=FailedCreate"),
                               ("of nobody", f"involvedObject.uid={NOBODY}"),
                               ("by no field", "color=red"), ("no selector", "reason")):
            self.ask(f"list Events, {what}", "GET",
                     f"{EVENTS}?fieldSelector={urllib.parse.quote(selector)}")

    # --- Who asks, and how --------------------------------------------------------------------

    def credentials(self):
        self.ask("a wrong token", "GET", f"{JOBS}?limit=1", token="wrong")
        self.ask("a wrong token, create", "POST", JOBS, job("talk-4"), token="wrong")
        self.ask("no such resource", "GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/tasks",
                 as_admin=True)
        self.ask("no such group", "GET", "/apis/batch.dispatch.dev/v1/jobs", as_admin=True)

    def manners(self):
        self.ask("create Job, as text", "POST", JOBS, json.dumps(job("talk-4")),
                 type="text/plain")
        self.refused("list Jobs, as a picture", "GET", f"{JOBS}?limit=1", accept="image/png")
        self.ask("put on all Jobs", "PUT", JOBS, job("talk-4"), as_admin=True)
        self.ask("post on a Job", "POST", f"{JOBS}/talk-1", job("talk-1"), as_admin=True)

    # --- Deleting -----------------------------------------------------------------------------

    def end(self):
        one, uid = f"{JOBS}/talk-1", self.first["metadata"]["uid"]
        self.ask("delete Job, another uid", "DELETE", one, delete_options(NOBODY))
        self.ask("delete Job", "DELETE", one, delete_options(uid))
        self.ask("delete Job again", "DELETE", one, delete_options(uid))
        self.ask("get deleted Job", "GET", one)
        wait_for("the Secret goes with its Job", lambda: not self.side.has_secret("talk-1"),
                 WITHIN_S, 0.05)

    # --- Pods that wait -----------------------------------------------------------------------

    def pods(self):
        self.side.expect(201, "POST", JOBS, job(
            "talk-pod", "true", {"pending": "unschedulable"}, pod=NOWHERE))
        label = urllib.parse.quote("dispatch.dev/run-id=talk-pod,dispatch.dev/attempt=1")
        self.ask("list pods of nobody", "GET", f"{PODS}?labelSelector=dispatch.dev/run-id=none")

        def made():
            page = self.side.expect(200, "GET", f"{PODS}?labelSelector={label}")
            return page["items"] and page

        page = wait_for("a pod is made", made, WITHIN_S, 0.05)
        self.said["list pods of a Job"] = {
            name: plain(value) for name, value in page.items() if name != "items"}
        pod = page["items"][0]
        self.said["pod in a list"] = sorted(pod)
        path, uid = f'{PODS}/{pod["metadata"]["name"]}', pod["metadata"]["uid"]
        self.ask("log, no node yet", "GET", f"{path}/log?container=runner&tailLines=10")
        self.ask("log, no such container", "GET", f"{path}/log?container=other")
        self.ask("log, no such pod", "GET", f"{PODS}/talk-none/log?container=runner")
        self.patch_refused("patch pod, another uid", path, stop_patch(NOBODY))
        self.patch("patch pod, none", f"{PODS}/talk-none", stop_patch(NOBODY))
        patched = self.patch("patch pod", path, stop_patch(uid, 100))
        self.said["patch pod"]["body"] = pod_shown(dict(patched.document, status={}))
        self.patch_refused("patch pod, later deadline", path, stop_patch(uid, 200))
        self.patch_refused("patch pod, no deadline", path,
                           {"spec": {"activeDeadlineSeconds": None}})
        self.patch_refused("patch pod, fixed field", path,
                           {"spec": {"restartPolicy": "Always"}})
        self.ask("get pod", "GET", path)
        self.ask("create pod", "POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "talk-own"}, "spec": {"containers": [{"name": "a", "image": "b"}]}})

    # --- Watching -----------------------------------------------------------------------------

    def watch(self):
        """All that happened to a Job since the first list; and from too long ago."""
        about = []
        for what, obj in self.side.events(JOBS, f"resourceVersion={self.begin}"):
            if obj["metadata"]["name"] == "talk-1":
                about.append((what, obj))
                if what == "DELETED":
                    break
        self.said["watch Jobs"] = [[what, sorted(obj), obj["kind"]] for what, obj in about]
        versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in about]
        self.said["watch Jobs, versions rise"] = versions == sorted(set(versions))
        told = [plain(each) for each in self.side.events(
            JOBS, "resourceVersion=1&timeoutSeconds=5")]
        self.said["watch Jobs, too old"] = told if told[0][0] == "ERROR" else REMEMBERS
        self.ask("watch Jobs, no version", "GET", f"{JOBS}?watch=true&resourceVersion=x")

    def wait_for_bookmark(self, what, path):
        """The real one sends it shortly before the end of a watch that isn't too short."""
        bookmark = None
        for _ in range(BOOKMARK_TRIES):
            query = f"resourceVersion={self.side.version(path)}&allowWatchBookmarks=true"
            bookmark = next((obj for kind, obj in self.side.events(
                path, f"{query}&timeoutSeconds={BOOKMARK_S}") if kind == "BOOKMARK"), None)
            if bookmark:
                break
        self.said[f"watch {what}, a bookmark"] = plain(bookmark)

