# SPDX-License-Identifier: Apache-2.0
"""An engine whose containers are processes of this machine, in a folder each."""
import base64
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid

OWN = "/run/dispatch"


def timestamp(seconds):
    if not seconds:
        return "0001-01-01T00:00:00Z"
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e9):09d}Z"


def may_pull(name, header):
    """X-Registry-Auth as Docker reads it: padded base64 of the URL alphabet, a JSON object."""
    try:
        given = json.loads(base64.b64decode(header or "", b"-_", validate=True))
    except ValueError:
        return False
    return given == {"username": "someone", "password": "pass:word",
                     "serveraddress": name.split("/")[0]}


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


class Container:
    def __init__(self, name, config, folder):
        self.id = uuid.uuid4().hex * 2
        self.name, self.config, self.folder = name, config, folder
        self.created, self.started, self.finished = time.time(), 0, 0
        self.status, self.exit_code, self.oom = "created", 0, False
        self.log, self.process = b"", None
        self.lock = threading.Lock()
        os.makedirs(folder + OWN)

    def inspected(self):
        return {
            "Id": self.id, "Name": "/" + self.name, "Created": timestamp(self.created),
            "Config": {**{k: v for k, v in self.config.items() if k != "HostConfig"}},
            "HostConfig": self.config.get("HostConfig", {}),
            "State": {"Status": self.status, "Running": self.status in ("running", "paused"),
                      "Paused": self.status == "paused", "OOMKilled": self.oom,
                      "ExitCode": self.exit_code, "Error": "",
                      "StartedAt": timestamp(self.started),
                      "FinishedAt": timestamp(self.finished)},
        }

    def listed(self):
        return {"Id": self.id, "Names": ["/" + self.name], "State": self.status,
                "Created": int(self.created), "Labels": self.config.get("Labels") or {}}

    def environment(self):
        """As it was made, with the paths of the folder that stands for its root."""
        there = dict(pair.split("=", 1) for pair in self.config.get("Env", []))
        for name in ("DISPATCH_TASK_TOKEN_FILE", "DISPATCH_TERMINATION_LOG"):
            if name in there:
                there[name] = self.folder + there[name]
        return {"PATH": os.environ["PATH"], **there, "HOME": self.folder,
                "DISPATCH_WORK_DIR": self.folder, "TMPDIR": self.folder}


class Engine:
    def __init__(self, command, images, pullable, private):
        self.command, self.images, self.pullable = command, set(images), set(pullable)
        self.private = set(private)
        self.lock = threading.Lock()
        self.by_name, self.listeners = {}, set()
        self.folder = tempfile.mkdtemp(prefix="engine-standin.")

    def close(self):
        for container in list(self.by_name.values()):
            try:
                self.signal(container, signal.SIGKILL)
            except Refusal:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- Events ---------------------------------------------------------------------------

    def say(self, container, action):
        event = {"Type": "container", "Action": action, "time": int(time.time()),
                 "Actor": {"ID": container.id,
                           "Attributes": {**(container.config.get("Labels") or {}),
                                          "name": container.name}}}
        for listener in list(self.listeners):
            listener(event)

    # --- Containers -----------------------------------------------------------------------

    def find(self, which):
        with self.lock:
            for container in self.by_name.values():
                if which in (container.name, container.id):
                    return container
        raise Refusal(404, f"No such container: {which}")

    def create(self, name, config):
        image = config.get("Image", "")
        if image not in self.images and "*" not in self.images:
            raise Refusal(404, f"No such image: {image}")
        with self.lock:
            if name in self.by_name:
                raise Refusal(409, f'Conflict. The container name "/{name}" is already in use')
            container = Container(name, config, os.path.join(self.folder, name))
            self.by_name[name] = container
        self.say(container, "create")
        return container

    def start(self, container):
        """As Docker does: one that has ended begins again."""
        with container.lock:
            if container.status in ("running", "paused"):
                return 304
            container.process = subprocess.Popen(
                self.command, shell=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=container.environment(), cwd=container.folder,
                start_new_session=True)
            container.status, container.started = "running", time.time()
        self.say(container, "start")
        threading.Thread(target=self.follow, args=(container,), daemon=True).start()
        return 204

    def follow(self, container):
        """Its log until its first process has ended; what it left running goes with it."""
        process = container.process
        reader = threading.Thread(target=self.read_log, args=(container, process), daemon=True)
        reader.start()
        code = process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        reader.join()
        with container.lock:
            container.exit_code = code if code >= 0 else 128 - code
            container.finished, container.status = time.time(), "exited"
        self.say(container, "die")

    @staticmethod
    def read_log(container, process):
        while True:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return
            container.log += struct.pack(">BxxxL", 1, len(piece)) + piece

    def signal(self, container, number):
        with container.lock:
            if container.status == "paused" and number != signal.SIGKILL:
                raise Refusal(409, f"Container {container.id} is paused")
            if container.status not in ("running", "paused"):
                raise Refusal(409, f"Container {container.id} is not running")
            if container.status == "paused":
                container.process.send_signal(signal.SIGCONT)
            try:
                container.process.send_signal(number)
            except ProcessLookupError:
                pass
        self.say(container, "kill")

    def pause(self, container, on):
        with container.lock:
            os.killpg(container.process.pid, signal.SIGSTOP if on else signal.SIGCONT)
            container.status = "paused" if on else "running"

    def remove(self, container):
        if container.status in ("running", "paused"):
            raise Refusal(409, f"You cannot remove a running container {container.id}")
        with self.lock:
            self.by_name.pop(container.name, None)
        shutil.rmtree(container.folder, ignore_errors=True)
        self.say(container, "destroy")

    def listed(self, labels):
        wanted = dict(label.split("=", 1) for label in labels)
        with self.lock:
            everything = [container.listed() for container in self.by_name.values()]
        return [one for one in everything if wanted.items() <= one["Labels"].items()]

    # --- Files ----------------------------------------------------------------------------

    @staticmethod
    def put_archive(container, path, body):
        if not path.startswith(OWN):
            raise Refusal(400, "container rootfs is marked read-only")
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            for entry in archive:
                entry.uid, entry.gid = os.getuid(), os.getgid()
                archive.extract(entry, container.folder + path)

    @staticmethod
    def get_archive(container, path):
        real = container.folder + path
        if not os.path.lexists(real):
            raise Refusal(404, f"Could not find the file {path} in container")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(real, arcname=os.path.basename(path), recursive=False)
        return archive.getvalue()

    # --- Images ---------------------------------------------------------------------------

    def pull(self, name, credentials):
        if name in self.private and not may_pull(name, credentials):
            return [{"error": "unauthorized: authentication required",
                     "errorDetail": {"message": "unauthorized: authentication required"}}]
        if name not in self.pullable | self.private:
            return [{"status": f"Pulling from {name}"},
                    {"error": f"manifest for {name} not found",
                     "errorDetail": {"message": f"manifest for {name} not found"}}]
        self.images.add(name)
        return [{"status": "Pulling fs layer", "id": "0123456789ab"}, {"status": "Done"}]
