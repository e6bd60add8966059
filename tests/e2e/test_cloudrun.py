#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole runs by launcher `cloudrun` on the stand-in, whose tasks are real runners: from the Job
that `dispatchd cloudrun apply` makes to the pull request, the task token on both of its ways."""
import sys

from cloudrun_api import TOKEN, CloudRunStandin, runner
from parts import Dispatchd, Failed, Place, Standin, agent_script, call, wait_for

AGENT = 'cat >/dev/null; echo "hello" >> hello.txt\n'
FAILING = "cat >/dev/null; exit 1\n"
SLOW = 'cat >/dev/null; echo "begun" >> hello.txt; sleep 600\n'


def expect(what, condition):
    if not condition:
        raise Failed(what)
    print(f"  {what}", flush=True)


def complete(dispatchd, token, prompt):
    status, answer = dispatchd.dispatch(token, prompt)
    if status != 200:
        raise Failed(f"dispatch: {status} {answer}")
    task = dispatchd.wait_ended(answer["runId"])
    if task["status"] != "completed" or not task["result"].get("pr_url"):
        raise Failed(f"{task}\n{dispatchd.tail()}")
    return answer["runId"]


def text_of_requests(cloud, part, method="POST"):
    return str(cloud.get(f"/standin/requests?method={method}&path={part}"))


def has_log(dispatchd, run):
    status, text = call(f"{dispatchd.url}/api/tasks/{run}/logs?source=job",
                        headers={"Authorization": f"Bearer {dispatchd.api_key}"})
    return status == 200 and "agent ended" in str(text)


def by_override(place, github, cloud):
    agent = agent_script(place, "agent", AGENT)
    with Dispatchd(place, github, agent, **cloud.settings()) as dispatchd:
        expect("apply makes the Job", "created projects/acme" in dispatchd.command(
            "cloudrun", "apply"))
        expect("apply finds it as it should be", "unchanged" in dispatchd.command(
            "cloudrun", "apply"))
        dispatchd.start()
        token = dispatchd.token()
        run = complete(dispatchd, token, "by override")
        expect("a run is completed by its execution", True)
        wait_for("its log comes from Cloud Logging", lambda: has_log(dispatchd, run))
        expect("its log comes from Cloud Logging", True)
        logs = cloud.get("/standin/counts")["made"]
        expect("by one execution", logs == 1)
        expect("the key file's assertion was taken",
               len(cloud.get("/standin/requests?path=/token")) >= 1)
        cloud.post("/standin/faults", {"action": "reset_after", "method": "POST",
                                       "path": ":run"})
        complete(dispatchd, token, "its answer lost")
        expect("a jobs.run whose answer is lost makes one execution",
               cloud.get("/standin/counts")["made"] == 2)
        cloud.post("/standin/faults", {"action": "status", "status": 429, "times": 2,
                                       "method": "POST", "path": ":run"})
        complete(dispatchd, token, "over quota")
        expect("a quota that is used up delays a run and fails none", True)
        return run


def by_secret(place, github, cloud):
    agent = agent_script(place, "agent", AGENT)
    settings = cloud.settings(DISPATCH_CLOUDRUN_TOKEN_VIA="secret_manager")
    before = len(cloud.get("/standin/requests?path=:run"))
    with Dispatchd(place, github, agent, **settings) as dispatchd:
        dispatchd.start()
        complete(dispatchd, dispatchd.token(), "by secret")
        expect("a run whose token is a secret is completed", True)
        wait_for("its secret is deleted",
                 lambda: cloud.get("/standin/counts")["secrets"] == 0)
        sent = cloud.get("/standin/requests?path=:run")[before:]
        expect("its override shows no token", sent and "vgvtask_" not in str(sent))
        expect("the runner read it as its own service account",
               ":access" in text_of_requests(cloud, ":access", "GET"))


def failed(place, github, cloud):
    agent = agent_script(place, "agent", FAILING)
    settings = cloud.settings(DISPATCH_CLOUDRUN_MEMORY="8Gi")
    with Dispatchd(place, github, agent, **settings) as dispatchd:
        expect("apply changes the Job", "updated" in dispatchd.command("cloudrun", "apply"))
        dispatchd.start()
        there = cloud.get("/standin/counts")["executions"]
        expect("there are executions from before", there >= 4)
        run = dispatchd.dispatch(dispatchd.token(), "it fails")[1]["runId"]
        expect("a run whose agent fails has failed",
               dispatchd.wait_ended(run)["status"] == "failed")
        wait_for("its task was looked at", lambda: cloud.get("/standin/requests?path=/tasks"))
        dispatchd.kill()
        dispatchd.environment["CODEBOT_TASK_RETENTION"] = "1"  # from now on: its end was seen
        dispatchd.start()
        wait_for("executions of runs that are pruned are deleted",
                 lambda: cloud.get("/standin/counts")["executions"] == 0)


def stopped(place, github, cloud):
    agent = agent_script(place, "agent", SLOW)
    with Dispatchd(place, github, agent, **cloud.settings()) as dispatchd:
        dispatchd.start()
        headers = {"Authorization": f"Bearer {dispatchd.api_key}"}
        run = dispatchd.dispatch(dispatchd.token(), "a long one")[1]["runId"]
        wait_for("it runs", lambda: dispatchd.task(run)["status"] == "running")
        dispatchd.kill()
        dispatchd.start()
        call(f"{dispatchd.url}/api/tasks/{run}/stop", "POST", {}, headers)
        task = dispatchd.wait_ended(run)
        expect("a run that outlived dispatchd is stopped", task["status"] == "stopped")
        wait_for("no execution goes on", lambda: all(
            "completionTime" in one for one in cloud.get("/standin/executions")))
        with open(dispatchd.log, encoding="utf-8", errors="replace") as log:
            said = log.read()
        expect("no secret is in the log", TOKEN not in said and "ya29." not in said
               and "vgvtask_" not in said and "PRIVATE KEY" not in said)


def session(place, cloud):
    with Standin(place) as github:
        by_override(place, github, cloud)
        by_secret(place, github, cloud)
        failed(place, github, cloud)
        stopped(place, github, cloud)


def main():
    try:
        with Place() as place, CloudRunStandin(
                place, "--run-command", runner(place), "--grace-ms", "3000") as cloud:
            session(place, cloud)
    except (Failed, OSError) as problem:
        print(f"FAIL  {problem}")
        return 1
    print("runs by Cloud Run: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
