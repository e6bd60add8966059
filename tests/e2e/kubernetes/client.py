# SPDX-License-Identifier: Apache-2.0
"""Calls over HTTP from inside the cluster, through Services, by a small program in the pod of the
tests' GitHub. It stays there between calls; `kubectl exec` carries one line for each batch."""
import json
import queue
import subprocess
import threading

from kubectl import KUBECTL, OUTSIDE, Failed

ANSWER_WITHIN_S = 120

# Reads a line with a list of [method, url, headers, body], answers with one of [status, body].
PROGRAM = """
import concurrent.futures, json, sys, urllib.error, urllib.request
def call(wanted):
    method, url, headers, body = wanted
    request = urllib.request.Request(url, method=method, headers=headers,
                                     data=None if body is None else body.encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [answer.status, answer.read().decode("utf-8", "replace")]
    except urllib.error.HTTPError as refused:
        return [refused.code, refused.read().decode("utf-8", "replace")]
    except OSError as failed:
        return [0, str(failed)]
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    for line in sys.stdin:
        print(json.dumps(list(pool.map(call, json.loads(line)))), flush=True)
"""


class Unreachable(Failed):
    """Nobody answered: the cluster is busy, or what was called is being replaced."""


class Client:
    def __init__(self):
        self.process = None
        self.lines = None

    def start(self):
        self.stop()
        self.process = subprocess.Popen(
            [KUBECTL, "-n", OUTSIDE, "exec", "-i", "deploy/github", "--", "python3", "-c",
             PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, self.lines),
                         daemon=True).start()

    @staticmethod
    def _read(process, lines):
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def _exchange(self, line):
        """One line there and back, or None when the way there broke."""
        if not self.process or self.process.poll() is not None:
            self.start()
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
            return self.lines.get(timeout=ANSWER_WITHIN_S)
        except (OSError, queue.Empty):
            return None

    def calls(self, wanted):
        """[(status, parsed or raw body)] for [(method, url, headers, body)], up to 32 at once.
        Status 0: no connection."""
        line = json.dumps([[method, url, {"Content-Type": "application/json", **headers},
                            None if body is None else json.dumps(body)]
                           for method, url, headers, body in wanted]) + "\n"
        answer = self._exchange(line)
        if not answer:
            self.stop()
            raise Unreachable("the client in the cluster is out of reach")
        return [(status, _parsed(text)) for status, text in json.loads(answer)]

    def call(self, url, method="GET", body=None, headers=None):
        return self.calls([(method, url, headers or {}, body)])[0]


def _parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
