#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running dispatchd has given up what it doesn't need: what the kernel says of it, by launcher,
and that new settings which ask for more of the machine take a new start."""
import os
import signal
import subprocess
import sys

from kubernetes_api import KubernetesStandin
from parts import (FOR_COUNTING, PATIENCE_S, Dispatchd, Failed, Place, Standin, agent_script,
                   is_instrumented, wait_for)
from test_kubernetes_away import is_launched, settings as kubernetes_settings
from test_kubernetes_crash import NoGitHub

# Of a root that starts runners: confine.c has the list.
FOR_RUNNERS = 0x801eb


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def status_of(pid, thread=None):
    path = f"/proc/{pid}/task/{thread}/status" if thread else f"/proc/{pid}/status"
    with open(path, encoding="utf-8") as lines:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def log_of(dispatchd):
    """Its whole lines: they are written a moment after what they tell of."""
    with open(dispatchd.log, encoding="utf-8") as log:
        return "".join(line for line in log if line.endswith("\n"))


def check_confined(dispatchd, capabilities):
    """Every thread is, and the log says so."""
    pid = dispatchd.process.pid
    threads = os.listdir(f"/proc/{pid}/task")
    check(len(threads) > 3, f"{len(threads)} threads")
    for thread in threads:
        try:
            now = status_of(pid, thread)
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        check(now["NoNewPrivs"] == "1", f"NoNewPrivs {now['NoNewPrivs']}")
        for name in ("CapPrm", "CapEff", "CapAmb"):
            check(int(now[name], 16) & ~capabilities == 0, f"{name} {now[name]}")
        if os.getuid() == 0:
            check(int(now["CapBnd"], 16) & ~capabilities == 0, f"CapBnd {now['CapBnd']}")
        check(now["Seccomp"] == "2", f"Seccomp {now['Seccomp']}")
    with open(f"/proc/{pid}/limits", encoding="utf-8") as limits:
        core = next(line for line in limits if line.startswith("Max core file size"))
    check(core.split()[4:6] == ["0", "0"], core)
    wait_for("the log says so", lambda: '"msg":"confined"' in log_of(dispatchd))
    return len(threads)


def kubernetes(place):
    with KubernetesStandin(place, "--no-kubelet") as standin, Dispatchd(
            place, NoGitHub, agent_script(place, "agent", "true\n"),
            **kubernetes_settings(standin)) as dispatchd:
        dispatchd.start()
        threads = check_confined(dispatchd, 0)
        run = dispatchd.dispatch(dispatchd.token(), "x")[1]["runId"]
        wait_for("it is launched", lambda: is_launched(dispatchd, [run]))
        said = next(line for line in log_of(dispatchd).splitlines() if '"confined"' in line)
        check('"system_calls":"those allowed"' in said, said)
        check('"starts_programs"' not in said, said)
    return f"{threads} threads without a capability, launching Jobs"


def process(place):
    with Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", "echo x >new\n")) as dispatchd:
        dispatchd.start()
        threads = check_confined(dispatchd, FOR_RUNNERS)
        run = dispatchd.dispatch(dispatchd.token(), "x")[1]["runId"]
        check(dispatchd.wait_ended(run)["status"] == "completed", "its run failed")
        wait_for("the log says why", lambda: '"starts_programs":"launcher process"'
                 in log_of(dispatchd))
    return f"{threads} threads, and their runner makes its pull request"


def off(place):
    with Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", "true\n"), DISPATCH_LAUNCHER="fake",
            DISPATCH_CONFINE="off") as dispatchd:
        dispatchd.start()
        now = status_of(dispatchd.process.pid)
        check((now["Seccomp"], now["NoNewPrivs"]) == ("0", "0"), f"{now}")
    return "nothing is given up"


def new_settings(place):
    """What asks for more than we kept is refused, and the old settings serve on."""
    config = os.path.join(place, "settings", "dispatch.yaml")
    elsewhere = os.path.join(place, "elsewhere")
    os.makedirs(os.path.dirname(config))
    os.makedirs(elsewhere)
    with open(os.path.join(elsewhere, "ca.pem"), "wb"):
        pass

    def reread(dispatchd, text, sentence):
        with open(config + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(config + ".new", config)
        before = log_of(dispatchd).count(sentence)
        dispatchd.process.send_signal(signal.SIGHUP)
        wait_for(sentence, lambda: log_of(dispatchd).count(sentence) > before)

    with open(config, "w", encoding="utf-8") as out:
        out.write("max_queue_size: 10\n")
    with Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", "true\n"), config=config,
            DISPATCH_LAUNCHER="fake", DISPATCH_CONFINE="strict") as dispatchd:
        dispatchd.start()
        reread(dispatchd, "launchers: [process]\n", "launcher process starts programs")
        reread(dispatchd, f"ca_file: {elsewhere}/ca.pem\n", "is outside of what dispatchd has")
        wait_for("it serves on", dispatchd._ready)
        reread(dispatchd, "max_queue_size: 20\n", '"listening"')
        wait_for("it serves with the new ones", dispatchd._ready)
    return "a new file of settings is read, what asks for more is refused"


def a_token_that_names_process(place):
    """It was made while nobody served, who would have refused it. The work directory is where files
    may be made, so that it isn't refused for that."""
    with Standin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", "true\n"), DISPATCH_LAUNCHER="fake",
            DISPATCH_WORK_DIR=os.path.join(place, "var", "work")) as dispatchd:
        dispatchd.start()
        dispatchd.kill()
        dispatchd.command("token", "create", "--repo", "octo/hello", "--launcher", "process")
        dispatchd.spawn()
        try:
            said = dispatchd.process.communicate(timeout=PATIENCE_S)[0].decode()
        except subprocess.TimeoutExpired as lasting:
            raise Failed("it serves") from lasting
        check(dispatchd.process.returncode == 1 and "API endpoints" not in said, said)
        check("an integration token names the launcher `process`" in log_of(dispatchd),
              dispatchd.tail())
        dispatchd.environment["DISPATCH_CONFINE"] = "off"
        dispatchd.start()
    return "it doesn't start, unless nothing is given up"


CASES = [kubernetes, process, off, new_settings, a_token_that_names_process]


def main():
    failed = 0
    if is_instrumented("dispatchd") or FOR_COUNTING:
        print("  skip  a sanitizer, or the counting of lines, needs more than is promised")
        return 0
    cases = [case for case in CASES if case.__name__ in sys.argv[1:]] or CASES
    for case in cases:
        with Place() as place:
            try:
                print(f"  ok    {case.__name__}: {case(place)}", flush=True)
            except Failed as complaint:
                failed += 1
                print(f"  FAIL  {case.__name__}: {complaint}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
