# SPDX-License-Identifier: Apache-2.0
"""dispatchctl as kubectl's plugin: through the API server to the dispatchd of this cluster, with a
credential of dispatchd's."""
import json
import os
import subprocess
import tempfile

from kubectl import KUBECTL, SYSTEM
from parts import API_KEY, BUILD, Failed
from restarts import Skipped

DISPATCHCTL = os.path.join(BUILD, "dispatchctl")


def plugin(*words, code=0, key=API_KEY, namespace=SYSTEM):
    """What `kubectl dispatch WORDS...` prints."""
    if not os.path.exists(DISPATCHCTL):
        raise Skipped(f"there is no {DISPATCHCTL}")
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(DISPATCHCTL, os.path.join(folder, "kubectl-dispatch"))
        os.symlink(KUBECTL, os.path.join(folder, "kubectl"))
        done = subprocess.run(
            ["kubectl", "dispatch", *words, "--namespace", namespace], check=False, text=True,
            capture_output=True, timeout=180,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "DISPATCH_TOKEN": key,
                 "DISPATCH_CONFIG": os.path.join(folder, "none.yaml")})
    if done.returncode != code:
        raise Failed(f"kubectl dispatch {' '.join(words)}: {done.returncode}, expected {code}: "
                     f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def kubectl_dispatch(installation):
    run_id = installation.run("by way of the plugin")
    plugin("watch", run_id)
    if run_id not in plugin("list", "-o", "name").split():
        raise Failed("kubectl dispatch list doesn't know the run")
    shown = json.loads(plugin("get", run_id, "-o", "json", "--quiet"))
    if shown["status"] != "completed":
        raise Failed(f"kubectl dispatch get: {shown}")
    plugin("list", code=7, key="not-the-key")
    plugin("list", code=6, namespace="nowhere")
    return "list, get and watch through a port-forward"


CASES = [kubectl_dispatch]
