# SPDX-License-Identifier: Apache-2.0
"""Single runs: the main job, what an operator sees of it, and what goes wrong with pods."""
import json

from installation import GITHUB, OVERLAY, check, pull_of
from kubectl import RUNS, attempt, find, get, kubectl
from parts import API_KEY, GITHUB_TOKEN, wait_for

RUNNER_IMAGE = "localhost/dispatch-e2e-runner:0.1.0"


def full_run(installation):
    run_id = installation.run("change something\n\nFixes #1")
    task = installation.completed(run_id)
    pull = pull_of(installation.pulls(), task)
    check(task["result"]["branch_name"].startswith(f"u/dispatch/{run_id[-7:]}/"), f"{task}")
    check(f"Dispatch-Run: {run_id}" in pull["body"], "the trailer is missing")
    status, diff = installation.client.call(
        f"{GITHUB}/repos/octo/hello/pulls/{pull['number']}",
        headers={"Authorization": f"Bearer {GITHUB_TOKEN}",
                 "Accept": "application/vnd.github.diff"})
    check(status == 200 and "+change something" in diff, f"the diff: {diff}")
    return "cloned, changed, pushed, pull request open, reported home"


def default_job(installation):
    """What dispatchd makes without a template of the operator's, where `restricted` is enforced."""
    run_id = installation.run("hold, to be looked at")
    pod = installation.held(run_id)
    spec = installation.job(run_id)["spec"]
    template = spec["template"]["spec"]
    installation.release(pod)
    installation.completed(run_id)
    alone = {"apiVersion": "v1", "kind": "Pod", "spec": template,
             "metadata": {"name": "as-of-the-job", "namespace": RUNS}}
    taken = attempt("create", "--dry-run=server", "-f", "-", text=json.dumps(alone))
    check(taken.code == 0 and "Warning" not in taken.err, f"its pod alone: {taken.err}")
    [container] = template["containers"]
    for resource in ("cpu", "memory", "ephemeral-storage"):
        check(resource in container["resources"]["limits"], f"no limit of {resource}")
    for where, field, value in (
            (spec, "backoffLimit", 0), (spec, "podReplacementPolicy", "Failed"),
            (template, "restartPolicy", "Never"),
            (template, "automountServiceAccountToken", False),
            (container["securityContext"], "readOnlyRootFilesystem", True)):
        check(where.get(field) == value, f"{field}: {where.get(field)}")
    check(spec["activeDeadlineSeconds"] and spec["ttlSecondsAfterFinished"], f"{spec}")
    return "accepted without a warning, limited in time, processor, memory and disk"


def operators_view(installation):
    """Labels, Events, termination message, log and the Secret's owner, with kubectl alone."""
    run_id = installation.run("hold, then change")
    pod = installation.held(run_id)
    name = f"run-{run_id}-1"
    secret = get("secret", name, namespace=RUNS)
    [owner] = secret["metadata"]["ownerReferences"]
    job = installation.job(run_id)
    check((owner["kind"], owner["uid"]) == ("Job", job["metadata"]["uid"]), f"{owner}")
    installation.release(pod)
    installation.completed(run_id)
    kubectl("-n", RUNS, "wait", "--for=condition=Complete", f"job/{name}", "--timeout=180s")
    labels = installation.job(run_id)["metadata"]["labels"]
    for label, value in (("app.kubernetes.io/name", "dispatch-runner"),
                         ("app.kubernetes.io/managed-by", "dispatchd"),
                         ("dispatch.dev/run-id", run_id), ("dispatch.dev/agent", "command")):
        check(labels.get(label) == value, f"label {label}: {labels}")
    check("octo" in labels.get("dispatch.dev/repo", ""), f"{labels}")
    check_story(name)
    [last] = installation.pods(run_id)
    check_outcome(last, run_id)
    log = kubectl("-n", RUNS, "logs", f"job/{name}")
    check(log.strip(), "the runner wrote no log")
    for secret_text in (GITHUB_TOKEN, API_KEY, "vgvtask_", installation.token[7:]):
        check(secret_text not in log + json.dumps(last), f"it shows {secret_text[:8]}...")
    kubectl("-n", RUNS, "delete", "job", name)
    wait_for("the Secret goes with its Job", lambda: not find("secret", name, namespace=RUNS))
    return "labels, Events, termination message and log tell it; the Secret went with the Job"


def check_story(job):
    wanted = {"Claimed", "PullRequestOpened", "Completed"}

    def told():
        events = get("events", "--field-selector", f"involvedObject.name={job}", namespace=RUNS)
        return wanted <= {event["reason"] for event in events}

    wait_for(f"Events {wanted} on {job}", told, every_s=0.5)
    shown = kubectl("-n", RUNS, "describe", "job", job)
    check("PullRequestOpened" in shown and "dispatchd" in shown, f"describe: {shown}")


def check_outcome(pod, run_id):
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    outcome = json.loads(ended["message"])
    check(outcome["status"] == "completed" and run_id in ended["message"], f"{ended}")
    check(len(ended["message"].strip().splitlines()) == 1, "the outcome isn't one line")


def stopped_run(installation):
    """An agent that ignores TERM, and leaves a process of its own behind."""
    run_id = installation.run("endless work")
    installation.held(run_id)
    installation.stop(run_id)
    task = installation.end(run_id)
    check(task["status"] == "stopped", f"{task}")
    wait_for("its pod ends", lambda: all(pod["status"]["phase"] not in ("Running", "Pending")
                                         for pod in installation.pods(run_id)), every_s=0.5)
    return "stopped, and its pod has ended"


def out_of_memory(installation):
    run_id = installation.run("memory, all of it")
    return installation.failed(run_id, "out_of_memory")


def image_missing(installation):
    """One that no registry and no node has."""
    installation.apply(OVERLAY, changes={RUNNER_IMAGE: "localhost/dispatch-e2e-nowhere:1"})
    try:
        return installation.failed(installation.run("never starts"), "image_pull", 180)
    finally:
        installation.apply(OVERLAY)


def deleted_pod(installation):
    """By hand, while its agent works: the run ends, with a code, and isn't started again."""
    run_id = installation.run("hold on")
    kubectl("-n", RUNS, "delete", "pod", installation.held(run_id), "--wait=false")
    said = taken_away(installation.end(run_id, 120))
    check(not installation.job(run_id, 2), "after its claim a run isn't started again")
    return said


def taken_away(task):
    """Nobody asked Dispatch to stop it: it failed, unless its runner saved what there was."""
    if task["status"] == "completed":
        check(task["result"].get("partial") and task["result"].get("draft"), f"{task}")
        return "what there was is in a draft"
    check(task["status"] == "failed" and task["error_code"] == "evicted", f"{task}")
    return task["error"]


def drained_node(installation):
    """Only runs' pods are drained: on a single node, dispatchd has no other to go to."""
    run_id = installation.run("hold on")
    pod = get("pod", installation.held(run_id), namespace=RUNS)
    node = pod["spec"]["nodeName"]
    try:
        kubectl("drain", node, "--pod-selector=app.kubernetes.io/name=dispatch-runner",
                "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s", timeout_s=200)
        waiting = installation.run("waits for a node")
        said = taken_away(installation.end(run_id, 120))
        check(installation.task(waiting)["status"] == "pending", "a run without a node waits")
    finally:
        kubectl("uncordon", node)
    installation.completed(waiting, 180)
    return f"{said}; the next run waited and was done after the uncordon"



CASES = [full_run, default_job, operators_view, stopped_run, out_of_memory, deleted_pod, drained_node,
         image_missing]
