# SPDX-License-Identifier: Apache-2.0
"""The life of one execution with one task: a local process, or a pretended one."""
import os
import select
import signal
import subprocess
import threading
import time

from times import now_text, seconds_of

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REFUSALS = {
    "image": ("CONTAINER_MISSING", "Image '{image}' not found."),
    "denied": ("CONTAINER_PERMISSION_DENIED",
               "Google Cloud Run Service Agent must have permission to read the image, "
               "{image}."),
    "secret": ("SECRETS_ACCESS_CHECK_FAILED", "Permission denied on secret: model-key"),
    "internal": ("INTERNAL", "Internal error occurred while starting the execution."),
}
OOM = "The configured memory limit was reached."
TIMEOUT = "The configured timeout was reached."
EXITED = "The container exited with an error."


class Life:
    def __init__(self, cloud, api, execution):
        self.cloud, self.api = cloud, api
        self.name = execution["name"]
        self.id = self.name.rsplit("/", 1)[-1]
        self.job = execution["job"]
        self.template = execution["template"]
        self.result = None  # of the last attempt: TaskAttemptResult
        self.cancelled, self.timed_out = threading.Event(), False
        self.bell = os.eventfd(0, os.EFD_NONBLOCK)
        self.process = None
        self.environment = self.make_environment()
        self.script = cloud.scripts.of(self.environment)

    def start(self):
        threading.Thread(target=self.live, daemon=True).start()

    # --- What others ask for ---

    def ring(self):
        os.eventfd_write(self.bell, 1)

    def cancel(self):
        self.set_condition("CONDITION_RECONCILING", executionReason="CANCELLING")
        self.cancelled.set()
        self.ring()

    def kill(self):
        if self.process:
            self.signal_all(signal.SIGKILL)

    # --- Its steps ---

    def make_environment(self):
        made = {"PATH": PATH, "CLOUD_RUN_JOB": self.job, "CLOUD_RUN_EXECUTION": self.id,
                "CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_ATTEMPT": "0",
                "CLOUD_RUN_TASK_COUNT": "1",
                "GCE_METADATA_HOST": f"127.0.0.1:{self.cloud.port}"}
        for env in self.template["containers"][0].get("env", []):
            source = env.get("valueSource", {}).get("secretKeyRef")
            if source:
                value = self.cloud.secrets.value(source["secret"],
                                                 source.get("version", "latest"))[1].decode()
            else:
                value = env.get("value", "")
            made[env["name"]] = value
        return made

    def set_condition(self, state, message=None, **reason):
        now = now_text()
        done = {"state": "CONDITION_SUCCEEDED", "lastTransitionTime": now}
        conditions = [{"type": "Completed", "state": state, "lastTransitionTime": now,
                       **({"message": message} if message else {}), **reason}]
        if self.started:
            conditions += [{"type": name, **done}
                           for name in ("ResourcesAvailable", "Started", "ContainerReady")]
        self.api.change(self.name, conditions=conditions)

    started = False

    def pause(self, limit_s):
        """Until then, unless it is cancelled."""
        self.cancelled.wait(limit_s)

    def live(self):
        self.pause((self.cloud.options.latency_ms + self.script.get("start_ms", 0)) / 1000)
        if self.cancelled.is_set():
            self.end_cancelled()
            return
        if self.script.get("pending"):
            reason, message = REFUSALS[self.script["pending"]]
            image = self.template["containers"][0]["image"]
            self.set_condition("CONDITION_FAILED", message.format(image=image), reason=reason)
            self.api.change(self.name, completionTime=now_text(), reconciling=False,
                            failedCount=1)
            return
        self.started = True
        self.set_condition("CONDITION_RECONCILING")
        self.api.change(self.name, startTime=now_text(), runningCount=1)
        for attempt in range(self.template["maxRetries"] + 1):
            self.environment["CLOUD_RUN_TASK_ATTEMPT"] = str(attempt)
            self.run_once()
            if self.cancelled.is_set() or not self.result["status"]:
                break
            self.api.change(self.name, retriedCount=attempt)
        self.end()

    # --- One attempt ---

    def run_once(self):
        limit_s = seconds_of(self.template["timeout"], "timeout")
        if self.cloud.options.run_command:
            code = self.run_process(limit_s)
        else:
            code = self.pretend(limit_s)
        self.result = self.result_of(code)

    def result_of(self, code):
        end = self.script.get("end")
        if end == "oom":
            return {"status": {"code": 8, "message": OOM}, "termSignal": 9}
        if self.timed_out:
            return {"status": {"code": 4, "message": TIMEOUT}}
        if code < 0 or end == "kill":
            signal_number = -code if code < 0 else 9
            return {"status": {"code": 2, "message":
                               f"Container terminated on signal {signal_number}."},
                    "termSignal": signal_number}
        if code:
            return {"status": {"code": 2, "message": EXITED}, "exitCode": code}
        return {"status": {}}

    def pretend(self, limit_s):
        self.cloud.logs.write({"name": self.name, "job": self.job}, "stdout",
                              self.script.get("log", "started"))
        run_s = self.script.get("run_ms", 5) / 1000
        self.pause(min(run_s, limit_s))
        if self.cancelled.is_set() and self.script.get("stubborn"):
            time.sleep(self.cloud.options.grace_ms / 1000)
        self.timed_out = limit_s < run_s and not self.cancelled.is_set()
        return self.script.get("exit", 0)

    def signal_all(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def copy_log(self, stream, pipe):
        with pipe:
            for line in pipe:
                self.cloud.logs.write({"name": self.name, "job": self.job}, stream,
                                      line.decode("utf-8", "replace").rstrip("\n"))

    def wait_for_end(self, limit_s):
        """TERM once it is cancelled or late, KILL a while later."""
        late_at = time.monotonic() + limit_s
        kill_at = None
        pid_fd = os.pidfd_open(self.process.pid)
        poll = select.poll()
        poll.register(pid_fd, select.POLLIN)
        poll.register(self.bell, select.POLLIN)
        try:
            while self.process.poll() is None:
                now = time.monotonic()
                if kill_at is None and (self.cancelled.is_set() or now >= late_at):
                    self.timed_out = not self.cancelled.is_set()
                    kill_at = now + self.cloud.options.grace_ms / 1000
                    self.process.send_signal(signal.SIGTERM)
                    poll.unregister(self.bell)
                elif kill_at is not None and now >= kill_at:
                    self.signal_all(signal.SIGKILL)
                    self.process.wait()
                    break
                until = late_at if kill_at is None else kill_at
                poll.poll(max(0, until - time.monotonic()) * 1000 + 1)
        finally:
            os.close(pid_fd)

    def run_process(self, limit_s):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [self.cloud.options.run_command], env=self.environment,
            cwd=self.api.work_dir(self.id), start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        readers = [threading.Thread(target=self.copy_log, args=pair, daemon=True)
                   for pair in (("stdout", self.process.stdout),
                                ("stderr", self.process.stderr))]
        for reader in readers:
            reader.start()
        self.wait_for_end(limit_s)
        self.signal_all(signal.SIGKILL)  # a container ends with its first process
        for reader in readers:
            reader.join()
        return self.process.returncode

    # --- The end ---

    def end_cancelled(self):
        self.set_condition("CONDITION_FAILED", "Execution has been cancelled.",
                           executionReason="CANCELLED")
        self.api.change(self.name, completionTime=now_text(), reconciling=False,
                        runningCount=0, cancelledCount=1)

    def end(self):
        if self.cancelled.is_set():
            self.end_cancelled()
        elif self.result["status"]:
            self.set_condition(
                "CONDITION_FAILED",
                f"Task {self.id}-task0 failed with exit code: {self.result.get('exitCode', 0)} "
                f"and message: {self.result['status']['message']}",
                executionReason="NON_ZERO_EXIT_CODE")
            self.api.change(self.name, completionTime=now_text(), reconciling=False,
                            runningCount=0, failedCount=1)
        else:
            self.set_condition("CONDITION_SUCCEEDED")
            self.api.change(self.name, completionTime=now_text(), reconciling=False,
                            runningCount=0, succeededCount=1)
