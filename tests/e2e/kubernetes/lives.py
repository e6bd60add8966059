# SPDX-License-Identifier: Apache-2.0
"""Jobs that a node runs, or can't, and how they end: conditions of the Job, the pod's last status
and that of its container. All live at once, since a real kubelet takes its time."""
import concurrent.futures
import urllib.parse

from comparing import job_shown, meta_shown, plain_text, pod_shown, said, stages
from jobs import delete_options, job, secret, stop_patch
from parts import Failed, wait_for
from sides import EVENTS, JOBS, MERGE, NAMESPACE, PODS, SECRETS, WITHIN_S, Follower

LONG = {"run_ms": 3600000}
SLEEP = "trap 'exit 143' TERM; sleep 3600 & wait"
STUBBORN = "trap '' TERM; while :; do sleep 1; done"
TOKEN = [{"name": "DISPATCH_TASK_TOKEN", "valueFrom": {"secretKeyRef": {
    "name": "life-token", "key": "token"}}}]
UNKNOWN_ACCOUNT = ('pods "life-refused-" is forbidden: error looking up service account '
                   f'{NAMESPACE}/nobody: serviceaccount "nobody" not found')


def condition(obj, kind):
    return next((each for each in obj["status"].get("conditions") or []
                 if each["type"] == kind and each["status"] == "True"), None)


def is_over(what, obj):
    return what != "DELETED" and (condition(obj, "Complete") or condition(obj, "Failed"))


def runs(_, pod):
    return any("running" in each["state"] for each in pod["status"].get("containerStatuses", []))


def waits(*reasons):
    def why(_, pod):
        return any(each["state"].get("waiting", {}).get("reason") in reasons
                   for each in pod["status"].get("containerStatuses", []))
    return why


def is_gone(what, _):
    return what == "DELETED"


class Life:
    """One Job; `said` is what is compared of it."""

    def __init__(self, side, follower, name):
        self.side, self.follower, self.name = side, follower, f"life-{name}"
        self.said = {}

    def start(self, command="", standin=None, **changes):
        document = job(self.name, command, standin, **changes)
        self.made = self.side.expect(201, "POST", JOBS, document)
        self.uid = self.made["metadata"]["uid"]

    def pod(self, when, nth=0):
        return self.follower.pod(self.name, when, nth)

    def pods_call(self, method, more="", body=None, **words):
        name = self.follower.pods(self.name)[0][0][1]["metadata"]["name"]
        return self.side.ask(method, f"{PODS}/{name}{more}", body, **words)

    def log(self):
        return said(self.pods_call("GET", "/log?container=runner&tailLines=100"))

    def patch_job(self, document):
        self.side.expect(200, "PATCH", f"{JOBS}/{self.name}", document, type=MERGE)

    def end(self):
        """Waits until the Job has ended, and shows it and its pod as they were left."""
        self.said["Job"] = job_shown(self.follower.job(self.name, is_over))
        self.said["conditions"] = stages(self.follower.history(self.name))

    def pod_end(self):
        """The pod once it has ended and the Job controller has counted it."""
        self.said["pod"] = pod_shown(self.pod(
            lambda what, pod: pod["status"]["phase"] in ("Succeeded", "Failed")
            and not pod["metadata"].get("finalizers")))


# --- Lives that end by themselves --------------------------------------------------------------

def success(life):
    life.start("echo started; sleep 1; echo all is well >/dev/termination-log",
               {"run_ms": 100, "message": "all is well\n"})
    life.end()
    life.pod_end()
    life.said["log"] = life.log()


def failure(life):
    life.start("echo oh no; exit 3", {"run_ms": 100, "exit": 3, "log": "oh no\n"})
    life.end()
    life.pod_end()
    life.said["log"] = life.log()


def out_of_memory(life):
    life.start("exec tail /dev/zero", {"run_ms": 100, "end": "oom"})
    life.end()
    life.pod_end()


def no_program(life):
    life.start(standin={"pending": "start_error"}, container={"command": ["/there-is-none"]})
    life.end()
    life.pod_end()


def short_lived(life):
    """Gone by itself a while after its end."""
    life.start("true", {}, spec={"ttlSecondsAfterFinished": 1})
    life.end()
    life.follower.job(life.name, is_gone)
    life.said["pod goes too"] = bool(life.pod(is_gone))


# --- Lives that don't begin --------------------------------------------------------------------

def no_image(life):
    """Then stopped, as dispatchd stops what has no runner yet."""
    life.start(standin={"pending": "image_pull"},
               container={"image": "localhost/there-is-none:1"})
    life.said["pull fails"] = pod_shown(life.pod(waits("ErrImagePull")))
    life.said["pull waits"] = pod_shown(life.pod(waits("ImagePullBackOff")))
    life.said["log"] = life.log()
    life.patch_job(stop_patch(life.uid))
    life.end()
    life.pod(is_gone)


def no_image_name(life):
    life.start(standin={"pending": "image_name"}, container={"image": "Not a name"})
    life.said["pod"] = pod_shown(life.pod(waits("InvalidImageName")))
    life.side.expect(200, "DELETE", f"{JOBS}/{life.name}", delete_options(life.uid))
    life.follower.job(life.name, is_gone)
    life.said["pod goes too"] = bool(life.pod(is_gone))


def token(life):
    """Without its Secret, and then with it."""
    life.start('echo "$DISPATCH_TASK_TOKEN"', {"log": "the task's token\n"},
               container={"env": TOKEN})
    life.said["pod waits"] = pod_shown(life.pod(waits("CreateContainerConfigError")))
    life.said["log while it waits"] = life.log()
    life.said["Job"] = job_shown(life.follower.job(
        life.name, lambda _, obj: obj["status"].get("active")))
    life.side.expect(201, "POST", SECRETS, secret(life.name, life.uid))
    life.end()
    life.pod_end()
    life.said["log"] = life.log()


def no_node(life):
    life.start("true", {"pending": "unschedulable"}, pod={"nodeSelector": {"no": "node"}})
    pod = pod_shown(life.pod(lambda _, obj: obj["status"].get("conditions")))
    for each in pod["conditions"]:
        each.pop("message")  # of how many nodes, and what they lack
    life.said["pod"] = pod
    life.patch_job(stop_patch(life.uid))
    life.end()


def refused(life):
    """A Job whose pod may not be made."""
    life.start("true", {"create_fails": UNKNOWN_ACCOUNT}, pod={"serviceAccountName": "nobody"})
    selector = f"involvedObject.uid={life.uid},reason=FailedCreate"

    def told():
        return life.side.expect(
            200, "GET", f"{EVENTS}?fieldSelector={urllib.parse.quote(selector)}")["items"]

    event = wait_for("an Event says why", told, WITHIN_S, 0.1)[0]
    life.said["event"] = {name: plain_text(str(event[name])) for name in
                          ("reason", "type", "source", "message", "reportingComponent")}
    life.said["event keys"] = sorted(set(event) - {"series"})
    life.said["about"] = sorted(event["involvedObject"])
    life.patch_job(stop_patch(life.uid))
    life.end()


# --- Lives that are ended ----------------------------------------------------------------------

def deadline(life):
    """Of a runner that doesn't listen: the Job fails only when the pod is gone."""
    life.start(STUBBORN, dict(LONG, stubborn=True), pod={"terminationGracePeriodSeconds": 2})
    life.pod(runs)
    life.patch_job({"spec": {"activeDeadlineSeconds": 1}})
    life.end()
    life.said["pod"] = pod_shown(life.pod(is_gone))


def stopped(life):
    """As dispatchd stops a runner that runs: its pod stays, with the log."""
    life.start(f"echo started; {SLEEP}", LONG)
    life.said["pod runs"] = pod_shown(life.pod(runs))
    life.said["Job runs"] = job_shown(life.follower.job(
        life.name, lambda _, obj: obj["status"].get("ready")))
    uid = life.pod(runs)["metadata"]["uid"]
    answer = life.pods_call("PATCH", "", stop_patch(uid), type=MERGE)
    life.said["patch"] = answer.status
    life.end()
    life.pod_end()
    life.said["log"] = life.log()


def stopped_stubborn(life):
    life.start(STUBBORN, dict(LONG, stubborn=True), pod={"terminationGracePeriodSeconds": 2})
    life.pod(runs)
    life.pods_call("PATCH", "", {"spec": {"activeDeadlineSeconds": 1}}, type=MERGE)
    life.end()
    life.pod_end()


def deleted(life):
    """The pod, by hand."""
    life.start(SLEEP, LONG)
    life.pod(runs)
    life.side.delete_pod(life.pod(runs)["metadata"]["name"])
    life.said["pod leaves"] = meta_shown(life.pod(
        lambda _, pod: "deletionTimestamp" in pod["metadata"]))
    life.end()
    life.said["pod"] = pod_shown(life.pod(is_gone))


def evicted(life):
    """As draining a node does."""
    life.start(SLEEP, LONG)
    life.side.evict(life.pod(runs)["metadata"]["name"])
    life.end()
    life.said["pod"] = pod_shown(life.pod(is_gone))


def forgotten(life):
    """Deleted while it runs."""
    life.start(SLEEP, LONG)
    life.pod(runs)
    life.said["delete"] = said(life.side.ask("DELETE", f"{JOBS}/{life.name}",
                                             delete_options(life.uid)))
    life.follower.job(life.name, is_gone)
    life.said["pod"] = pod_shown(life.pod(is_gone))


def suspended(life):
    """As a queue does that admits it, takes it back, and admits it again."""
    life.start(SLEEP, LONG, spec={"suspend": True})
    life.said["waits"] = job_shown(life.follower.job(
        life.name, lambda _, obj: condition(obj, "Suspended")))
    life.patch_job({"spec": {"suspend": False}})
    life.pod(runs)
    life.patch_job({"spec": {"suspend": True}})
    life.said["pod taken back"] = pod_shown(life.pod(is_gone))
    life.said["taken back"] = job_shown(life.follower.job(
        life.name, lambda _, obj: obj["metadata"]["generation"] == 3
        and condition(obj, "Suspended") and not obj["status"].get("terminating")))
    life.patch_job({"spec": {"suspend": False}})
    life.pod(runs, 1)
    life.said["conditions"] = stages(life.follower.history(life.name))
    life.side.expect(200, "DELETE", f"{JOBS}/{life.name}", delete_options(life.uid))


LIVES = [success, failure, out_of_memory, no_program, short_lived, no_image, no_image_name, token,
         no_node, refused, deadline, stopped, stopped_stubborn, deleted, evicted, forgotten,
         suspended]


def live(side):
    follower = Follower(side)

    def one(story):
        life = Life(side, follower, story.__name__.replace("_", "-"))
        try:
            story(life)
        except Failed as failed:
            life.said[f"on {side.name}"] = str(failed)
        return {f"{story.__name__}: {name}": value for name, value in life.said.items()}

    with concurrent.futures.ThreadPoolExecutor(len(LIVES)) as pool:
        told = {}
        for one_told in pool.map(one, LIVES):
            told.update(one_told)
    return told
