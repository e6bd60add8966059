# SPDX-License-Identifier: Apache-2.0
"""One container: a local process with the container's environment, or a pretended one. Files
of mounted Secrets and emptyDirs are made in its directory and named in its environment."""
import base64
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from status import Refused

MESSAGE_MAX = 4096
LOG_TAIL_MAX = 2048
PIECE = 65536
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ConfigError(Exception):
    """CreateContainerConfigError."""


class Container:
    def __init__(self, store, pod, root, command, script):
        self.store, self.pod, self.command, self.script = store, pod, command, script
        self.spec = pod["spec"]["containers"][0]
        self.dir = tempfile.mkdtemp(prefix="pod-", dir=root)
        self.log_path = os.path.join(self.dir, "log")
        self.message_path = os.path.join(self.dir, "termination-log")
        self.process = self.pid_fd = None
        self.end_at = self.kill_at = None  # a pretended one's end; KILL
        self.code = None
        try:
            self.mounts = self.mount()
            self.environment = self.make_environment()
        except ConfigError:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        for path in (self.log_path, self.message_path):
            with open(path, "wb"):
                pass

    # --- Making it ---

    def secret(self, name, optional):
        try:
            data = self.store.get("secrets", self.pod["metadata"]["namespace"], name)
        except Refused:
            if optional:
                return {}
            raise ConfigError(f'secret "{name}" not found') from None
        values = {key: base64.b64decode(value)
                  for key, value in (data.get("data") or {}).items()}
        values.update({key: value.encode()
                       for key, value in (data.get("stringData") or {}).items()})
        return values

    def mount(self):
        """{path in the container: path here}"""
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or []}
        mounts = {}
        for mount in self.spec.get("volumeMounts") or []:
            volume = volumes[mount["name"]]
            here = os.path.join(self.dir, "mounts", mount["name"])
            os.makedirs(here, exist_ok=True)
            source = volume.get("secret")
            for nested in (volume.get("projected") or {}).get("sources") or []:
                source = source or nested.get("secret")
            if source:
                name = source.get("secretName", source.get("name"))
                values = self.secret(name, source.get("optional"))
                names = {item["key"]: item["path"] for item in source.get("items") or []}
                for key, value in values.items():
                    with open(os.path.join(here, names.get(key, key)), "wb") as out:
                        out.write(value)
            if mount.get("subPath"):
                here = os.path.join(here, mount["subPath"])
            mounts[mount["mountPath"].rstrip("/")] = here
        return mounts

    def value_of(self, env, known):
        source = env.get("valueFrom")
        if not source:
            return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)",
                          lambda found: known.get(found[1], found[0]), env.get("value", ""))
        if "secretKeyRef" in source:
            wanted = source["secretKeyRef"]
            values = self.secret(wanted["name"], wanted.get("optional"))
            if wanted["key"] in values:
                return values[wanted["key"]].decode()
            if wanted.get("optional"):
                return None
            raise ConfigError(f'couldn\'t find key {wanted["key"]} in Secret '
                              f'{self.pod["metadata"]["namespace"]}/{wanted["name"]}')
        if "fieldRef" in source:
            return self.field(source["fieldRef"]["fieldPath"])
        return None

    def field(self, path):
        quoted = re.match(r"metadata\.(labels|annotations)\['(.*)'\]\Z", path)
        if quoted:
            return (self.pod["metadata"].get(quoted[1]) or {}).get(quoted[2], "")
        value = self.pod
        for part in path.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return str(value)

    def make_environment(self):
        made = {}
        for env in self.spec.get("env") or []:
            value = self.value_of(env, made)
            if value is not None:
                made[env["name"]] = value
        for name, value in made.items():
            for there, here in self.mounts.items():
                if value == there or value.startswith(there + "/"):
                    made[name] = here + value[len(there):]
        made.setdefault("PATH", PATH)
        made["DISPATCH_TERMINATION_LOG"] = self.message_path
        return made

    # --- Running it ---

    def start(self):
        if self.command:
            work = os.path.join(self.dir, "cwd")
            os.makedirs(work)
            with open(self.log_path, "ab") as log:
                # pylint: disable-next=consider-using-with
                self.process = subprocess.Popen(
                    [self.command], env=self.environment, cwd=work, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.pid_fd = os.pidfd_open(self.process.pid)
            return
        run_ms = self.script.get("run_ms", 5)
        self.end_at = float("inf") if "end" in self.script else \
            time.monotonic() + run_ms / 1000
        with open(self.log_path, "ab") as log:
            log.write(self.script.get("log", "started\n").encode())

    @staticmethod
    def wait_for_bell(bell, limit_s, pid_fd=None):
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        if pid_fd is not None:
            poll.register(pid_fd, select.POLLIN)
        poll.poll(None if limit_s is None else max(0, limit_s) * 1000 + 1)
        try:
            os.eventfd_read(bell)
        except BlockingIOError:
            pass

    def wait(self, bell, limit_s):
        """Until it has ended or is to be killed, the bell rings, or the time is up."""
        times = [at - time.monotonic() for at in (self.end_at, self.kill_at)
                 if at not in (None, float("inf"))]
        if limit_s is not None:
            times.append(limit_s)
        self.wait_for_bell(bell, min(times) if times else None, self.pid_fd)
        if self.kill_at and time.monotonic() >= self.kill_at:
            self.kill()

    def has_ended(self):
        if self.process:
            if self.code is None and self.process.poll() is not None:
                code = self.process.returncode
                self.code = code if code >= 0 else 128 - code
                self.signal_all(signal.SIGKILL)  # a container ends with its first process
                os.close(self.pid_fd)
                self.pid_fd = None
        elif self.code is None and time.monotonic() >= self.end_at:
            self.code = self.script.get("exit", 0)
        return self.code is not None

    def signal_all(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def terminate(self, grace_s):
        if self.kill_at is None:
            self.kill_at = time.monotonic() + grace_s
            if self.process:
                self.process.send_signal(signal.SIGTERM)
            elif not self.script.get("stubborn"):
                self.end_pretended(143)
        self.kill_at = min(self.kill_at, time.monotonic() + grace_s)

    def kill(self):
        if self.process and self.code is None:
            self.signal_all(signal.SIGKILL)
            self.process.wait()
        elif not self.process:
            self.end_pretended(137)

    def end_pretended(self, code):
        if self.code is None:
            self.code = code

    def exit_code(self):
        return self.code

    # --- What it left ---

    def message(self):
        with open(self.message_path, "rb") as file:
            text = file.read(MESSAGE_MAX)
        if not self.process and self.script.get("message"):
            text = self.script["message"].encode()[:MESSAGE_MAX]
        if not text and self.code \
                and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            with open(self.log_path, "rb") as file:
                text = b"\n".join(file.read()[-LOG_TAIL_MAX:].split(b"\n")[-81:])
        return text.decode("utf-8", "replace")
