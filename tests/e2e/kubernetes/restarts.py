# SPDX-License-Identifier: Apache-2.0
"""What is restarted or replaced while runs are at work: dispatchd, the API server, the image."""
import os
import subprocess

from installation import OVERLAY, check
from kubectl import RUNS, SYSTEM, attempt, get, kubectl
from parts import TREE, Failed, call, wait_for

CONTROL_PLANE = "localhost/dispatch-controlplane:0.1.0"
NEXT = "localhost/dispatch-e2e-next:0.1.0"
CLUSTER = os.path.join(TREE, "hack/cluster")


class Skipped(Exception):
    pass


def dispatchd_pod():
    """The one that stays: another may be on its way out."""
    pods = [pod for pod in get("pods", namespace=SYSTEM)
            if "deletionTimestamp" not in pod["metadata"]]
    check(len(pods) == 1, f"{len(pods)} pods of dispatchd")
    return pods[0]


def one_job_each(run_ids):
    jobs = get("jobs", "-l", "app.kubernetes.io/managed-by=dispatchd", namespace=RUNS)
    names = sorted(job["metadata"]["labels"]["dispatch.dev/run-id"] for job in jobs
                   if job["metadata"]["labels"]["dispatch.dev/run-id"] in run_ids)
    check(names == sorted(run_ids), f"Jobs of {len(run_ids)} runs: {names}")


def dispatchd_killed(installation):
    """Its pod is gone without a farewell while one run works and others are being launched."""
    held = installation.run("hold on while dispatchd is killed")
    pod = installation.held(held)
    others = installation.dispatch(*(f"other {n}" for n in range(10)))
    before = dispatchd_pod()["metadata"]
    kubectl("-n", SYSTEM, "delete", "pod", before["name"], "--force", "--grace-period=0")
    wait_for("another pod", lambda: [each for each in get("pods", namespace=SYSTEM)
                                     if each["metadata"]["uid"] != before["uid"]], every_s=0.5)
    installation.wait_ready()
    installation.ready_github()
    check(installation.task(held)["status"] == "running", "the held run isn't running any more")
    installation.release(pod)
    for run_id in [held, *others]:
        installation.completed(run_id, 180)
    one_job_each([held, *others])
    return "11 runs completed with one Job each"


def cluster(*words):
    done = subprocess.run([CLUSTER, *words], check=False, capture_output=True, text=True,
                          timeout=300)
    check(done.returncode == 0, f"hack/cluster {' '.join(words)}: {done.stderr}")


def api_server_restarted(installation):
    """While it is away, runs are taken in and the one at work goes on; all end afterwards."""
    if os.environ.get("E2E_CLUSTER") != "ours":
        raise Skipped("only where hack/cluster made the cluster")
    held = installation.run("hold on while the API server is away")
    pod = installation.held(held)
    address = dispatchd_pod()["status"]["podIP"]
    cluster("stop", "apiserver")
    try:
        taken = [call(f"http://{address}:5000/dispatchTask", "POST", {"prompt": f"away {n}"},
                      {"Authorization": f"Bearer {installation.token}"}) for n in range(5)]
        ready = call(f"http://{address}:5000/readyz")[0]
    finally:
        cluster("start", "apiserver")
    check(all(status == 200 for status, _ in taken), f"taken in while it was away: {taken}")
    check(ready == 200, f"dispatchd is ready without the API server: {ready}")
    wait_for("the API server answers", lambda: attempt("get", "--raw=/readyz").code == 0,
             every_s=0.5)
    reach_again(installation)
    later = [answer["runId"] for _, answer in taken]
    check(installation.task(held)["status"] == "running", "the held run isn't running any more")
    installation.release(pod)
    for run_id in [held, *later]:
        installation.completed(run_id, 180)
    one_job_each([held, *later])
    return "5 runs were taken in while it was away; they and the one at work completed"


def reach_again(installation):
    """The way into the cluster broke with the API server."""
    def answered():
        try:
            return installation.client.call("http://dispatchd.dispatch.svc/readyz")[0] == 200
        except Failed:
            return False

    wait_for("the client reaches the Service again", answered, every_s=1)


def upgraded(installation):
    """As the documentation has it: another tag, applied, while runs are at work."""
    held = installation.dispatch(*(f"hold {n} during the upgrade" for n in range(3)))
    pods = [installation.held(run_id) for run_id in held]
    queued = installation.dispatch(*(f"queued {n}" for n in range(5)))
    installation.apply(OVERLAY, changes={CONTROL_PLANE: NEXT})
    try:
        installation.ready_github()
        pod = dispatchd_pod()
        check(pod["spec"]["containers"][0]["image"] == NEXT, f"{pod['spec']['containers']}")
        for name in pods:
            installation.release(name)
        for run_id in held + queued:
            installation.completed(run_id, 180)
        one_job_each(held + queued)
    finally:
        installation.apply(OVERLAY)
    installation.ready_github()
    return "8 runs completed across the upgrade with one Job each"


CASES = [dispatchd_killed, api_server_restarted, upgraded]
