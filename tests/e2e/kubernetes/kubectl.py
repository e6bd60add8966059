# SPDX-License-Identifier: Apache-2.0
"""kubectl, which is how an operator reads and changes a cluster, and so how these tests do."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from parts import Failed  # noqa: E402

KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
SYSTEM = "dispatch"
RUNS = "dispatch-runs"
OUTSIDE = "dispatch-e2e"


class Done:
    def __init__(self, words, process):
        self.words = words
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr


def attempt(*words, text=None, timeout_s=240):
    """What `kubectl WORDS...` came to, whatever that is."""
    try:
        return Done(words, subprocess.run([KUBECTL, *words], check=False, input=text, text=True,
                                          capture_output=True, timeout=timeout_s))
    except subprocess.TimeoutExpired as late:
        raise Failed(f"kubectl {' '.join(words)}: not within {timeout_s} s") from late


def kubectl(*words, text=None, timeout_s=240):
    done = attempt(*words, text=text, timeout_s=timeout_s)
    if done.code:
        raise Failed(f"kubectl {' '.join(words)}: {done.err.strip()[-2000:]}")
    return done.out


def get(*words, namespace=None):
    """Objects, parsed: a list's items, or the one that was named."""
    where = ["-n", namespace] if namespace else []
    answer = json.loads(kubectl("get", *words, *where, "-o", "json"))
    return answer["items"] if answer["kind"] == "List" else answer


def find(*words, namespace=None):
    """One object, or None when it isn't there."""
    where = ["-n", namespace] if namespace else []
    done = attempt("get", *words, *where, "-o", "json", "--ignore-not-found")
    if done.code:
        raise Failed(f"kubectl get {' '.join(words)}: {done.err.strip()}")
    return json.loads(done.out) if done.out.strip() else None
