# SPDX-License-Identifier: Apache-2.0
"""Scheduler and kubelet for one node: each pod has a thread that lives its life, as its script
asks, with the first container as a real local process where there is a program to run."""
import os
import random
import shutil
import tempfile
import threading
import time

from container import ConfigError, Container
from controller import set_condition
from status import Refused
from store import now

NODE = "standin-node"
CONFIG_RETRY_S = 0.1
REMOVE_TRIES = 50
UNSCHEDULABLE = ("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
                 "preemption: 0/1 nodes are available: 1 No preemption victims found for "
                 "incoming pod.")
EVICTED = ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. "
           "Container runner was using 500Mi, request is 100Mi, has larger consumption of "
           "memory. ")
START_ERROR = ('failed to create containerd task: failed to create shim task: OCI runtime create '
               'failed: runc create failed: unable to start container process: exec: no such '
               'file or directory: unknown')
LATE = "Pod was active on the node longer than the specified deadline"
DISRUPTIONS = {
    "evict": ("TerminationByKubelet", EVICTED),
    "drain": ("EvictionByEvictionAPI", "Eviction API: evicting"),
    "preempt": ("PreemptionByScheduler",
                "default-scheduler: preempting to accommodate a higher priority pod"),
    "node_lost": ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
}


def reference(pod):
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


class Kubelet:
    def __init__(self, store, scripts, command, latency_s):
        self.store, self.scripts, self.command = store, scripts, command
        self.latency_s = latency_s
        self.root = tempfile.mkdtemp(prefix="kubernetes-standin-")
        self.lives = {}  # uid -> Life
        self.closing = False

    def see(self, what, pod):
        """A pod changed; called under the store's lock."""
        uid = pod["metadata"]["uid"]
        life = self.lives.get(uid)
        if what == "ADDED" and not self.closing:
            self.lives[uid] = life = Life(self, pod)
            life.start()
        elif what == "DELETED" and life:
            life.gone = True
            life.wake()
            del self.lives[uid]
        elif life and ("deletionTimestamp" in pod["metadata"]
                       or "activeDeadlineSeconds" in pod["spec"]):
            life.wake()

    def life_of(self, namespace, name):
        """By the pod's name or its Job's; None."""
        with self.store.lock:
            for life in self.lives.values():
                pod = life.pod
                owners = [ref["name"] for ref in pod["metadata"].get("ownerReferences", [])]
                if pod["metadata"]["namespace"] == namespace or namespace is None:
                    if name == pod["metadata"]["name"] or name in owners:
                        return life
        return None

    def close(self):
        self.closing = True
        with self.store.lock:
            lives = list(self.lives.values())
        for life in lives:
            if life.container:
                life.container.kill()
        for _ in range(REMOVE_TRIES):  # threads of pods may be making more
            shutil.rmtree(self.root, ignore_errors=True)
            if not os.path.exists(self.root):
                return
            time.sleep(0.01)


class Gone(Exception):
    """The pod is to end before its container ran."""


class Life(threading.Thread):
    def __init__(self, kubelet, pod):
        super().__init__(daemon=True)
        self.kubelet, self.store, self.pod = kubelet, kubelet.store, pod
        self.key = reference(pod)
        self.spec = pod["spec"]["containers"][0]
        self.script = kubelet.scripts.of(pod)
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.container = None
        self.gone = False
        self.ordered = None  # one of scripts.ENDS
        self.started_at = None
        self.began = time.monotonic()  # what the kubelet calls the pod's start
        self.late = False

    def wake(self):
        os.eventfd_write(self.bell, 1)

    def order(self, what):
        self.ordered = what
        self.wake()

    def change(self, change):
        return self.store.update("pods", *self.key, change)

    def now(self):
        return self.store.get("pods", *self.key)

    def is_deleted(self):
        return self.gone or "deletionTimestamp" in self.now()["metadata"]

    def deadline(self):
        """When the pod's own time is up, or None."""
        limit_s = self.now()["spec"].get("activeDeadlineSeconds")
        return None if limit_s is None else self.began + limit_s

    def pause(self, pause_s):
        """Gone when the pod is to end within that time; None: for ever."""
        until = None if pause_s is None else time.monotonic() + pause_s
        while not self.is_deleted() and not self.ordered:
            left_s = None if until is None else until - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            Container.wait_for_bell(self.bell, left_s)
        raise Gone

    def run(self):
        try:
            self.live()
        except Gone:
            self.end_early()
        except Refused:
            pass  # the pod is gone
        finally:
            if self.container:
                self.container.kill()

    def live(self):
        self.pause(self.kubelet.latency_s)
        self.schedule()
        self.prepare()
        self.pause(self.script.get("start_ms", 0) / 1000)
        self.execute()

    # --- Pending ---

    def wait_pending(self, what):
        """While the script says that it is pending for this reason."""
        if self.script.get("pending") == what:
            pause_ms = self.script.get("pending_ms")
            self.pause(None if pause_ms is None else pause_ms / 1000)

    def schedule(self):
        if self.script.get("pending") == "unschedulable":
            self.change(lambda pod: set_condition(pod, "PodScheduled", "False", "Unschedulable",
                                                  UNSCHEDULABLE))
            self.wait_pending("unschedulable")

        def bind(pod):
            pod["spec"]["nodeName"] = NODE
            set_condition(pod, "PodScheduled", "True", "", "")

        self.change(bind)

    def show_waiting(self, reason, message=None):
        waiting = {"reason": reason}
        if message:
            waiting["message"] = message

        def show(pod):
            self.show(pod, {"waiting": waiting}, "Pending", False,
                      sandbox=reason != "ContainerCreating")

        self.change(show)

    def prepare(self):
        image = self.spec["image"]
        pull = f'failed to pull and unpack image "{image}": not found'
        reasons = {
            "image_pull": ("ImagePullBackOff",
                           f'Back-off pulling image "{image}": ErrImagePull: {pull}'),
            "image_name": ("InvalidImageName",
                           f'Failed to apply default image tag "{image}": couldn\'t parse image '
                           f'name "{image}": invalid reference format'),
            "config_error": ("CreateContainerConfigError", 'secret "settings" not found'),
            "run_error": ("RunContainerError", "context deadline exceeded")}
        self.show_waiting("ContainerCreating")
        self.wait_pending("creating")
        pending = self.script.get("pending")
        if pending in reasons:
            if pending == "image_pull":
                self.show_waiting("ErrImagePull", pull)
                self.pause(self.kubelet.latency_s)
            self.show_waiting(*reasons[pending])
            self.wait_pending(pending)
        self.container = self.configure()

    def configure(self):
        while True:
            try:
                return Container(self.store, self.now(), self.kubelet.root,
                                 self.kubelet.command, self.script)
            except ConfigError as problem:
                self.show_waiting("CreateContainerConfigError", str(problem))
                self.pause(CONFIG_RETRY_S)

    # --- Running and ending ---

    def show(self, pod, state, phase, ready, sandbox=None):
        """sandbox: is the one there that its containers start in? By default, once they run."""
        status = pod["status"]
        status.setdefault("startTime", now())
        status.update(phase=phase, hostIP="192.0.2.10", hostIPs=[{"ip": "192.0.2.10"}])
        if ready:
            status.update(podIP="192.0.2.99", podIPs=[{"ip": "192.0.2.99"}])
        over = phase in ("Succeeded", "Failed")
        why = ("PodCompleted" if phase == "Succeeded" else "PodFailed") if over else \
            "ContainersNotReady"
        unready = f'containers with unready status: [{self.spec["name"]}]'
        set_condition(pod, "PodReadyToStartContainers",
                      "True" if (ready if sandbox is None else sandbox) else "False", "", "")
        set_condition(pod, "Initialized", "True",
                      "PodCompleted" if phase == "Succeeded" else "", "")
        for kind in ("Ready", "ContainersReady"):
            set_condition(pod, kind, "True" if ready else "False", "" if ready else why,
                          "" if ready or over else unready)
        status["containerStatuses"] = [{
            "name": self.spec["name"], "image": self.spec["image"],
            "imageID": "" if "waiting" in state else "sha256:standin", "restartCount": 0,
            "ready": ready, "started": ready, "state": state, "lastState": {},
            "resources": self.spec.get("resources", {})}]

    def execute(self):
        self.started_at = now()
        if self.script.get("pending") == "start_error":
            self.fail_to_start()
            return
        self.container.start()
        self.change(lambda pod: self.show(pod, {"running": {"startedAt": self.started_at}},
                                          "Running", True))
        self.wait_for_end()
        if self.gone:
            return
        if self.ordered == "node_lost":
            self.lose_node()
            return
        self.write_end()
        if self.is_deleted():
            self.let_go()

    def fail_to_start(self):
        """The runtime can't start what is in the image."""
        ended = {"exitCode": 128, "reason": "StartError", "message": START_ERROR,
                 "startedAt": "1970-01-01T00:00:00Z", "finishedAt": now(),
                 "containerID": f"containerd://{random.randbytes(32).hex()}"}
        self.change(lambda pod: self.show(pod, {"terminated": ended}, "Failed", False))

    def wait_for_end(self):
        """Until the container has ended, by itself, by order or by deletion."""
        told = False
        if "end" in self.script:
            until = time.monotonic() + self.script.get("run_ms", 5) / 1000
            while not self.container.has_ended() and not self.ordered \
                    and not self.is_deleted() and time.monotonic() < until:
                self.container.wait(self.bell, until - time.monotonic())
            self.ordered = self.ordered or self.script["end"]
        while not self.container.has_ended():
            if self.ordered and not told:
                self.carry_out(self.ordered)
                told = self.ordered in ("evict", "kill", "oom", "node_lost")
            if self.gone:
                self.container.kill()
                continue
            self.keep_time()
            if self.is_deleted() and self.ordered != "node_lost":
                grace_s = self.now()["metadata"].get("deletionGracePeriodSeconds", 30)
                self.container.terminate(grace_s)
            if not self.container.has_ended():
                until = self.deadline() if not self.late else None
                self.container.wait(self.bell,
                                    None if until is None else until - time.monotonic())

    def keep_time(self):
        until = self.deadline()
        if until is not None and time.monotonic() >= until:
            self.late = True
            self.container.terminate(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    def carry_out(self, what):
        if what in DISRUPTIONS:
            self.change(lambda pod: set_condition(pod, "DisruptionTarget", "True",
                                                  *DISRUPTIONS[what]))
        if what in ("drain", "preempt", "delete"):
            if not self.is_deleted():
                self.store.delete("pods", *self.key, {})
            self.ordered = None
        else:
            self.container.kill()

    def write_end(self):
        code, message = self.container.exit_code(), self.container.message()
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error",
                 "startedAt": self.started_at, "finishedAt": now(),
                 "containerID": f"containerd://{random.randbytes(32).hex()}"}
        if self.ordered == "oom":
            ended.update(exitCode=137, reason="OOMKilled")
        if message:
            ended["message"] = message
        phase = "Succeeded" if ended["exitCode"] == 0 else "Failed"

        def write(pod):
            self.show(pod, {"terminated": ended}, phase, False)
            if self.ordered == "evict":
                pod["status"].update(reason="Evicted", message=EVICTED)
            elif self.late:
                pod["status"].update(phase="Failed", reason="DeadlineExceeded", message=LATE)

        self.change(write)

    def end_early(self):
        """Deleted, or ordered away, before the container ran."""
        try:
            if self.ordered in DISRUPTIONS:
                self.change(lambda pod: set_condition(pod, "DisruptionTarget", "True",
                                                      *DISRUPTIONS[self.ordered]))

            def write(pod):
                pod["status"]["phase"] = "Failed"
                if self.ordered == "evict":
                    pod["status"].update(reason="Evicted", message=EVICTED)

            self.change(write)
            if self.ordered in ("drain", "preempt", "delete", "node_lost") \
                    and not self.is_deleted():
                self.store.delete("pods", *self.key, {})
            if self.is_deleted():
                self.let_go()
        except Refused:
            pass

    def lose_node(self):
        """Deleted by the taint manager; no kubelet answers; the pod collector cleans up."""
        if not self.is_deleted():
            self.store.delete("pods", *self.key, {})
        time.sleep(max(self.kubelet.latency_s, 0.05))

        def write(pod):
            set_condition(pod, "DisruptionTarget", "True", "DeletionByPodGC",
                          "PodGC: node no longer exists")
            pod["status"]["phase"] = "Failed"

        self.change(write)
        self.let_go()

    def let_go(self):
        """The kubelet's last word on a deleted pod: the object may go."""
        self.store.delete("pods", *self.key, {"gracePeriodSeconds": 0})
