#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job with every real part: dispatch, clone, agent, push, pull request, report; what
the pull request looks like; what a hostile or unlucky agent comes to; and that no secret is
left anywhere."""
import os
import signal
import sqlite3
import sys
import time

from parts import (API_KEY, GITHUB_TOKEN, Dispatchd, Failed, Place, Standin, agent_script, call,
                   is_runner, processes_in, signal_runners, wait_for)

AGENT = r"""
prompt=$(cat)
case $prompt in
    *partial*) echo "work work"; echo "<<<VGVBOT_STATUS: partial: the tests @octocat wrote fail>>>" ;;
    *nothing*) echo "nothing to do"; exit 0 ;;
    *fails*) echo "cannot go on"; echo half > half.txt; exit 3 ;;
    *endless*)
        trap '' TERM
        (setsid sh -c 'trap "" TERM; while :; do sleep 1; done' &)
        touch "$(dirname "$0")/endless-agent-works"
        while :; do sleep 1; done
        ;;
    *sabotage*)
        job=$(cd ../../.. && pwd)
        rm -f "$job/outcome.json" .gitignore
        mkfifo "$job/outcome.json" .gitignore .gitattributes
        ;;
    *stray*)
        setsid sh -c 'cd /; exec sleep 300' &
        touch "$(dirname "$0")/stray-agent-works"
        wait
        ;;
    *orphan*)
        touch "$(dirname "$0")/orphan-agent-works"
        while :; do sleep 1; done
        ;;
    *snoop*)
        env > environment.txt
        for dir in /proc/[0-9]*; do
            case $(cat "$dir/comm" 2>/dev/null) in dispatch*) ;; *) continue ;; esac
            echo "$dir" >> environment.txt
            for file in environ maps auxv "fd/3" "fd/4" "fd/5" "fd/6" "fd/7" "fd/8" "fd/9"; do
                timeout 0.3 head -c 100000 "$dir/$file" 2>/dev/null
            done
            timeout 0.3 tail -c +4194304 "$dir/mem" 2>/dev/null | head -c 1000000
            ls -l "$dir/fd" 2>/dev/null
        done < /dev/null > loot.bin
        cat .git/config >> loot.bin
        find "$(dirname "$0")" -type f -size -256k 2>/dev/null | grep -v -e /work/ -e github |
            head -100 | xargs cat >> loot.bin 2>/dev/null
        ;;
esac
printf '%s\n' "$prompt" > change.txt
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def run(dispatchd, token, prompt):
    status, answer = dispatchd.dispatch(token, prompt)
    check(status == 200, f"dispatch: {status} {answer}")
    return answer["runId"]


def pull_of(standin, task):
    url = task["result"]["pr_url"]
    found = [pull for pull in standin.pulls() if str(pull["number"]) == url.rsplit("/", 1)[1]]
    check(len(found) == 1, f"no pull request {url}")
    return found[0]


def full_run(dispatchd, standin, token):
    began = time.monotonic()
    run_id = run(dispatchd, token, "Add a change\n\nFixes #1, thanks @octocat")
    task = dispatchd.wait_ended(run_id)
    took_s = time.monotonic() - began
    check(task["status"] == "completed", f"the run: {task}")
    branch = task["result"]["branch_name"]
    check(branch.startswith(f"u/dispatch/{run_id[-7:]}/"), f"branch {branch}")
    pull = pull_of(standin, task)
    check(pull["head"].endswith(branch) and not pull["draft"], f"pull request {pull}")
    check(f"Dispatch-Run: {run_id}" in pull["body"], "the trailer is missing")
    check("change.txt" in pull["body"], "the changed file isn't named")
    return f"dispatch to pull request in {took_s:.2f} s"


def partial_run(dispatchd, standin, token):
    task = dispatchd.wait_ended(run(dispatchd, token, "only partial please"))
    check(task["status"] == "completed" and task["result"].get("partial"), f"the run: {task}")
    pull = pull_of(standin, task)
    check(pull["draft"], "a partial run's pull request is a draft")
    check(pull["body"].startswith("> [!WARNING]"), f"no warning block: {pull['body'][:80]}")
    check("tests" in pull["body"].split("\n\n")[0], "the reason isn't quoted")
    return "a draft with its warning"


def empty_run(dispatchd, standin, token):
    before = len(standin.pulls())
    task = dispatchd.wait_ended(run(dispatchd, token, "do nothing"))
    check(task["status"] == "completed", f"the run: {task}")
    check("pr_url" not in task["result"] and task["result"]["summary"], f"result {task}")
    check(len(standin.pulls()) == before, "a pull request without a change")
    return "completed without a pull request"


def failing_run(dispatchd, standin, token):
    before = len(standin.pulls())
    task = dispatchd.wait_ended(run(dispatchd, token, "this fails"))
    check(task["status"] == "failed" and task["error_code"] == "agent_failed", f"{task}")
    check("3" in task["error"], f"the exit code isn't told: {task['error']}")
    check(len(standin.pulls()) == before, "a pull request of a failed agent")
    return task["error"]


def stopped_run(dispatchd, standin, token):
    run_id = run(dispatchd, token, "endless")
    wait_for("the agent works",
             lambda: os.path.exists(os.path.join(dispatchd.place, "endless-agent-works")))
    status, _ = call(f"{dispatchd.url}/api/tasks/{run_id}/stop", "POST",
                     headers={"Authorization": f"Bearer {API_KEY}"})
    check(status == 202, f"stop: {status}")
    task = dispatchd.wait_ended(run_id)
    check(task["status"] == "stopped", f"{task}")
    wait_for("the agent is gone", lambda: not processes_in(dispatchd.place))
    return "stopped, and nothing of it lives"


def sabotaging_run(dispatchd, standin, token):
    task = dispatchd.wait_ended(run(dispatchd, token, "sabotage everything"))
    check(task["status"] == "completed" and task["result"].get("pr_url"), f"{task}")
    wait_for("the runner ends", lambda: not processes_in(dispatchd.place))
    return "pipes in its way don't hold the runner up"


def killed_run(dispatchd, standin, token):
    """As by the kernel when memory is short: nobody is left below who could clean up."""
    run_id = run(dispatchd, token, "stray")
    wait_for("the agent works",
             lambda: os.path.exists(os.path.join(dispatchd.place, "stray-agent-works")))
    wait_for("the stray is there", lambda: len(processes_of(run_id)) >= 2)
    signal_runners(dispatchd.place, signal.SIGKILL)
    task = dispatchd.wait_ended(run_id)
    check(task["status"] == "failed", f"{task}")
    wait_for("all of it is gone", lambda: not processes_of(run_id))
    return "what outlived a killed runner is ended"


def processes_of(run_id):
    """What runs with the agent's environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                if f"/run-{run_id}-1/work/".encode() in environ.read():
                    found.append(int(pid))
        except OSError:
            pass
    return [pid for pid in found if not is_runner(pid)]


def orphaned_run(dispatchd, standin, token):
    """Nobody is there to hear the report: the outcome still lies where launchers look."""
    run_id = run(dispatchd, token, "orphan")
    outcome = os.path.join(dispatchd.place, "work", f"run-{run_id}-1", "outcome.json")
    wait_for("the agent works",
             lambda: os.path.exists(os.path.join(dispatchd.place, "orphan-agent-works")))
    dispatchd.kill()

    def runners():
        return [pid for pid in processes_in(dispatchd.place) if is_runner(pid)]

    # That of an earlier run may have its end before it, and a child not yet be another program.
    runner, = wait_for("its runner is alone", lambda: (
        lambda found: found if len(found) == 1 else None)(runners()))
    os.kill(runner, signal.SIGTERM)
    wait_for("the outcome is written, or the runner has ended", lambda: runner not in runners()
             or os.path.exists(outcome) and os.path.getsize(outcome))
    check(runner in runners(), "the runner ended before anybody had heard its report")
    check(os.path.getsize(outcome), "no outcome")
    dispatchd.start()
    task = dispatchd.wait_ended(run_id)
    check(task["status"] == "failed" and task["error_code"] == "evicted", f"{task}")
    wait_for("the runner ends", lambda: not processes_in(dispatchd.place))
    return "its outcome is written before the report"


def timed_out_run(dispatchd, standin, token):
    place = os.path.join(dispatchd.place, "hasty")
    os.makedirs(place)
    with Dispatchd(place, standin, dispatchd.environment["DISPATCH_AGENT_COMMAND"],
                   DISPATCH_RUN_TIMEOUT="2") as hasty:
        hasty.start()
        task = hasty.wait_ended(run(hasty, hasty.token(), "endless"))
    check(task["status"] == "failed" and task["error_code"] == "agent_timeout", f"{task}")
    return task["error"]


def snooping_run(dispatchd, standin, token):
    task = dispatchd.wait_ended(run(dispatchd, token, "snoop around"))
    check(task["status"] == "completed", f"{task}")
    pull = pull_of(standin, task)
    status, diff = call(f"{standin.url}/repos/octo/hello/pulls/{pull['number']}",
                        headers={"Authorization": f"Bearer {GITHUB_TOKEN}",
                                 "Accept": "application/vnd.github.diff"})
    check(status == 200 and "environment.txt" in diff, "the loot wasn't pushed")
    for canary in canaries(token):
        check(canary not in diff, f"the agent got at {canary[:12]}...")
    repository = os.path.join(dispatchd.place, "github", "octo", "hello.git")
    found = search(repository, canaries(token)) + search_objects(repository, canaries(token))
    check(not found, f"pushed: {found}")
    return "an agent that looks everywhere found no token"


def canaries(token):
    return [GITHUB_TOKEN, API_KEY, token[len("vgvbot_"):], "vgvtask_"]


def search_objects(repository, texts):
    import subprocess
    ids = subprocess.run(["git", "-C", repository, "rev-list", "--objects", "--all"],
                         check=True, capture_output=True, text=True).stdout.split("\n")
    batch = "\n".join(line.split(" ")[0] for line in ids if line) + "\n"
    content = subprocess.run(["git", "-C", repository, "cat-file", "--batch"], check=True,
                             input=batch.encode(), capture_output=True).stdout
    return [text for text in texts if text.encode() in content]


def search(path, texts):
    """Files under path that hold one of the texts."""
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            path_of_file = os.path.join(folder, name)
            if not os.path.isfile(path_of_file):
                continue  # a pipe would wait for a writer
            try:
                with open(path_of_file, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            found += [f"{name}: {text[:12]}..." for text in texts if text.encode() in content]
    return found


def nothing_left(dispatchd, standin, token):
    """Runs last: the database, the logs and the work directory."""
    secrets = [GITHUB_TOKEN, API_KEY, token[len("vgvbot_"):]]
    for path in (os.path.join(dispatchd.place, "var"), os.path.join(dispatchd.place, "work")):
        found = search(path, secrets + ["vgvtask_"])
        check(not found, f"secrets at rest: {found}")
    with open(dispatchd.log, encoding="utf-8", errors="replace") as log:
        text = log.read()
    for secret in secrets + ["vgvtask_"]:
        check(secret not in text, f"in the log: {secret[:12]}...")
    database = sqlite3.connect(f"file:{dispatchd.database}?mode=ro", uri=True, timeout=60)
    check(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "integrity_check")
    database.close()
    return "no token in the database, the logs or the work directory"


def main():
    cases = [full_run, partial_run, empty_run, failing_run, stopped_run, timed_out_run, sabotaging_run,
             killed_run, orphaned_run, snooping_run, nothing_left]
    passed = 0
    with Place() as place, Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", AGENT)) as dispatchd:
        dispatchd.start()
        token = dispatchd.token()
        for case in cases:
            try:
                print(f"  ok    {case.__name__}: {case(dispatchd, standin, token)}", flush=True)
                passed += 1
            except Failed as failed:
                print(f"  FAIL  {case.__name__}: {failed}\n{dispatchd.tail()}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
