#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A runner with a home and a GitHub of its own, when things go wrong around it: its branch is
taken, the base moves on, the remote refuses or hangs, the token ends, the disk is full, memory
is short. Each has its failure code and its sentence, reaches home, and leaves nobody behind.

    test_runner.py [case...]
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from home import FAR, RUN_ID, DirectRun
from parts import BUILD, GITHUB_TOKEN, Failed, Place, Standin, agent_script, call, wait_for

AGENT = r"""
here=$(dirname "$0")
prompt=$(cat)
case $prompt in
    *patient*) touch "$here/works"; until [ -e "$here/go" ]; do sleep 0.05; done ;;
    *endless*) echo half > half.txt; touch "$here/works"; while :; do sleep 1; done ;;
    *peek*) cat "${prompt#peek }"/* > loot.txt 2>/dev/null ;;
    *greedy*) setsid sleep 300 & head -c 64M /dev/zero > big.bin || exit 1 ;;
    *modest*) head -c 64M /dev/zero > big.bin 2>/dev/null; exit 0 ;;
    *mute*) head -c 64M /dev/zero > big.bin 2>/dev/null || exit 1 ;;
    *homely*) head -c 64M /dev/zero > "$HOME/big.bin" || exit 1 ;;
    *hungry*) setsid sleep 300 & exec /usr/bin/python3 -c '
rows = []
while True:
    rows.append(bytearray(1 << 20))' ;;
esac
printf '%s\n' "$prompt" > change.txt
"""
BRANCH = f"u/dispatch/{RUN_ID[-7:]}/"
SOON = "2020-01-01T00:00:00Z"


class Skipped(Exception):
    pass


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Site:
    def __init__(self, place, github):
        self.place, self.github = place, github
        self.agent = agent_script(place, "agent", AGENT)
        self.repository = os.path.join(place, "github", "octo", "hello.git")

    def run(self, prompt, runner=None, home=None, **assignment):
        return DirectRun(self.place, self.github,
                         {"agent": "command", "agent_command": self.agent, "prompt": prompt,
                          **assignment}, runner, **(home or {}))

    def git(self, *words):
        done = subprocess.run(
            ["git", "-C", self.repository, "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"git {words}: {done.stderr}")
        return done.stdout.strip()

    def commit_of_somebody(self, branch, parent="main"):
        commit = self.git("commit-tree", "-m", "mine", "-p", parent, "main^{tree}")
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def branches(self):
        return self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()

    def pull(self, report):
        number = int(report["pr_url"].rsplit("/", 1)[1])
        return next(pull for pull in self.github.pulls() if pull["number"] == number)

    def hook(self, name, text):
        """The remote's; for as long as the block lasts."""
        return Hook(os.path.join(self.repository, "hooks", name), text)

    def marker(self, name):
        return os.path.join(self.place, name)

    def forget(self, *names):
        for name in names:
            if os.path.exists(self.marker(name)):
                os.unlink(self.marker(name))


class Hook:
    def __init__(self, path, text):
        self.path, self.text = path, text

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\n" + self.text)
        os.chmod(self.path, 0o755)

    def __exit__(self, *ignored):
        os.unlink(self.path)


# --- The commit -------------------------------------------------------------------------------


def requester_is_named(site):
    with site.run("name me", requester={"name": "Ada L", "email": "ada@example.org"}) as run:
        report = run.ended()
    check(report["status"] == "completed", f"{report}")
    trailers = site.git("log", "-1", "--format=%(trailers:only)", report["branch_name"])
    check(trailers.split("\n") == [f"Dispatch-Run: {RUN_ID}",
                                   "Co-authored-by: Ada L <ada@example.org>"], trailers)
    return trailers.split("\n")[1]


def requester_that_is_a_trick_is_refused(site):
    with site.run("name me", requester={"name": "Ada", "email": "a@x\nSigned-off-by: Eve"}) as run:
        report = run.ended()
    check(report["status"] == "failed" and report["error_code"] == "internal", f"{report}")
    check("requester.email" in report["error"], f"{report}")
    return report["error"]


def options_it_cannot_have_are_told(site):
    """As of the agent `command`, which is any program."""
    tool = {"name": "find", "description": "Finds", "parameters": {"properties": {}},
            "endpoint": {"url": "https://x.example/", "method": "GET", "has_headers": False}}
    helper = {"name": "helper", "description": "Helps", "mode": "subagent", "prompt": "Help."}
    with site.run("options", tools=[tool], agents=[helper, {**helper, "name": "two"}]) as run:
        report = run.ended()
        warnings = [event["message"] for event in run.home.told("warning")]
    check(report["status"] == "completed", f"{report}")
    check("agent command has no subagents: the 2 that were asked for are left out" in warnings
          and "agent command can't be given tools: the 1 that were asked for are left out"
          in warnings, f"{warnings}")
    return f"{len(warnings)} warnings"


# --- The remote -------------------------------------------------------------------------------


def taken_branch_gets_another_name(site):
    theirs = site.commit_of_somebody(BRANCH + "taken")
    with site.run("taken") as run:
        report = run.ended()
    check(report["status"] == "completed", f"{report}")
    check(report["branch_name"] == BRANCH + "taken-2", f"{report}")
    check(site.git("rev-parse", BRANCH + "taken") == theirs, "somebody's branch was overwritten")
    check(site.pull(report)["head"].endswith(BRANCH + "taken-2"), "the pull request's branch")
    return report["branch_name"]


def both_names_taken_is_push_rejected(site):
    for name in ("full", "full-2"):
        site.commit_of_somebody(BRANCH + name)
    before, pulls = site.branches(), len(site.github.pulls())
    with site.run("full") as run:
        report = run.ended()
    check(report["status"] == "failed" and report["error_code"] == "push_rejected", f"{report}")
    check(report["error"] == f"somebody else's work is on the branch {BRANCH}full, and on "
          f"{BRANCH}full-2", f"{report}")
    check(site.branches() == before and len(site.github.pulls()) == pulls, "something was made")
    return report["error"]


def base_that_moved_is_no_matter(site):
    site.forget("works", "go")
    base = site.git("rev-parse", "main")
    with site.run("patient one") as run:
        wait_for("the agent works", lambda: os.path.exists(site.marker("works")))
        moved = site.commit_of_somebody("main")
        with open(site.marker("go"), "w", encoding="utf-8"):
            pass
        report = run.ended()
    check(report["status"] == "completed", f"{report}")
    check(site.git("rev-parse", "main") == moved, "the base was changed")
    check(site.git("rev-parse", report["branch_name"] + "^") == base, "not what was worked on")
    pull = site.pull(report)
    check(pull["base"] == "main" and not pull["draft"], f"{pull}")
    status, diff = call(f"{site.github.url}/repos/octo/hello/pulls/{pull['number']}",
                        headers={"Authorization": f"Bearer {GITHUB_TOKEN}",
                                 "Accept": "application/vnd.github.diff"})
    check(status == 200 and diff.count("diff --git") == 1 and "change.txt" in diff, f"{diff}")
    return "the pull request has the agent's change, on what it worked on"


def rule_of_the_remote_is_push_rejected(site):
    """Whatever the rule, its words are what the requester reads; and it is asked once."""
    asked = site.marker("asked")
    said = []
    for hook in ("pre-receive", "update"):
        site.forget("asked")
        with site.hook(hook, f"echo x >> {asked}\n"
                             f"echo 'error: GH013: no branches of bots in {hook}' >&2\nexit 1\n"):
            with site.run("ruled " + hook) as run:
                report = run.ended()
        check(report["status"] == "failed" and report["error_code"] == "push_rejected",
              f"{report}")
        check(f"GH013: no branches of bots in {hook}" in report["error"], f"{report}")
        with open(asked, encoding="utf-8") as text:
            check(text.read() == "x\n", "a rule was asked again")
        said.append(report["error"])
    return said[0]


def token_is_renewed_before_it_ends(site):
    """The second one is refused by the remote: had the first been used, the push had worked."""
    with site.run("renew", home={"git_tokens": [(GITHUB_TOKEN, SOON), ("ghs_x", FAR)]}) as run:
        report = run.ended()
        asked = run.home.given_tokens
    check(asked == 2, f"asked {asked} times")
    check(report["status"] == "failed" and report["error_code"] == "auth_expired", f"{report}")
    with site.run("keep", home={"git_tokens": [(GITHUB_TOKEN, FAR), ("ghs_x", FAR)]}) as run:
        report = run.ended()
        asked = run.home.given_tokens
    check(asked == 1 and report["status"] == "completed", f"asked {asked} times: {report}")
    return "asked for again only when it nears its end"


class CacheFolder:
    """Out of the agents' sight, as an operator's would be."""

    def __enter__(self):
        try:
            self.path = tempfile.mkdtemp(prefix="dispatch-e2e-cache-", dir=(
                "/var/lib" if os.getuid() == 0 else os.path.expanduser("~")))
        except OSError as problem:
            raise Skipped(f"no folder for a cache: {problem}") from problem
        return self.path

    def __exit__(self, *ignored):
        shutil.rmtree(self.path)


def next_run_is_served_from_the_cache(site):
    with CacheFolder() as folder:
        settings = {"settings": {"DISPATCH_GIT_CACHE": folder}}

        def from_cache(prompt, **assignment):
            with site.run(prompt, home=settings, **assignment) as run:
                report = run.ended()
                told = [event.get("from_cache", False) for event in run.home.told("step")
                        if event["name"] == "cloned"]
                warnings = [event["message"] for event in run.home.told("warning")]
            check(report["status"] == "completed", f"{report}")
            check(site.git("rev-parse", report["branch_name"] + "^")
                  == site.git("rev-parse", "main"), "not worked on what the base is")
            return told[0], report, warnings

        first, _, warnings = from_cache("cache one")
        if any("isn't used" in warning for warning in warnings):
            raise Skipped(warnings[0])
        site.commit_of_somebody("main")
        second, _, _ = from_cache("cache two")
        third, report, _ = from_cache("peek " + folder)
        check((first, second, third) == (False, True, True), f"{first} {second} {third}")
        check(site.git("show", report["branch_name"] + ":loot.txt") == "", "the agent read it")
        fourth, _, warnings = from_cache("cache four", policy={"sandbox": "off"})
        check(not fourth and "isn't used" in "".join(warnings), f"{fourth} {warnings}")
    return "the second and third run; none without a wall"


# --- Being taken away -------------------------------------------------------------------------


def saving_has_an_end(site):
    """Who sent SIGTERM won't wait for a remote that hangs."""
    site.forget("works", "released")
    with site.hook("pre-receive", f"until [ -e {site.marker('released')} ]; do sleep 0.1; done\n"):
        with site.run("endless hang") as run:
            wait_for("the agent works", lambda: os.path.exists(site.marker("works")))
            run.process.send_signal(signal.SIGTERM)
            try:
                report = run.reported()
            finally:
                with open(site.marker("released"), "w", encoding="utf-8"):
                    pass
    check(report["status"] == "failed" and report["error_code"] == "evicted", f"{report}")
    check("pr_url" not in report and "taken away" in report["error"], f"{report}")
    return report["error"]


# --- A machine that is short ------------------------------------------------------------------


def on_a_small_disk(options):
    """The command line of a runner whose work directory is a file system of its own."""
    words = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "-r"]
    if subprocess.run([*words, "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                      capture_output=True).returncode:
        raise Skipped("file systems can't be mounted here")
    return [*words, "sh", "-ec",
            f'mount -t tmpfs -o {options} none "$DISPATCH_WORK_DIR"; exec "$0"',
            os.path.join(BUILD, "dispatch-runner")]


def large_repository(site):
    """A file of 1 MiB that no compression makes smaller: {checkout, pack} are as large each."""
    tree = os.path.join(site.place, "large")
    os.makedirs(tree, exist_ok=True)
    with open(os.path.join(tree, "noise.bin"), "wb") as out:
        out.write(os.urandom(1 << 20))
    status, answer = call(f"{site.github.url}/_standin/repos", "POST",
                          {"repo": "octo/large", "fixture": tree})
    check(status in (201, 409), f"{answer}")
    return {"repo": "octo/large", "clone_url": f"{site.github.url}/octo/large.git"}


def fails_for_the_disk(site, prompt, options, code, **assignment):
    before = everybody()
    with site.run(prompt, on_a_small_disk(options), **assignment) as run:
        report = run.ended()
    check(report["status"] == "failed" and report["error_code"] == code, f"{options}: {report}")
    check("disk" in report["error"] or "No space left" in report["error"], f"{options}: {report}")
    wait_for("nobody is left", lambda: not sleepers_since(before))
    return report["error"]


def sleepers_since(before):
    """What the agents leave behind: `sleep 300`."""
    return [pid for pid in everybody() - before if name(pid).startswith("sleep\0300")]


def everybody():
    return {int(pid) for pid in os.listdir("/proc") if pid.isdigit()}


def name(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
            return line.read()
    except OSError:
        return ""


def full_disk_while_cloning(site):
    """In the pack, in the checkout, in the copy that the agent can't reach."""
    large = large_repository(site)
    return [fails_for_the_disk(site, "work", f"size={size}k", "internal", **large)
            for size in (600, 1700, 2700)][0]


def no_inodes_while_cloning(site):
    return fails_for_the_disk(site, "work", "size=8m,nr_inodes=12", "internal")


def full_disk_of_the_agents_making(site):
    """It is told, and it fails; or it takes no notice, and the commit can't be made."""
    fails_for_the_disk(site, "homely", "size=4m", "agent_failed")
    fails_for_the_disk(site, "mute", "size=4m", "agent_failed")
    fails_for_the_disk(site, "modest", "size=4m", "internal")
    return fails_for_the_disk(site, "greedy", "size=4m", "agent_failed")


class MemoryGroup:
    """A control group that holds 256 MiB, with either version of them."""

    def __init__(self):
        one, two = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
        old = os.path.isdir(one)
        self.path = os.path.join(one if old else two, f"dispatch-e2e-{os.getpid()}")
        self.limits = (["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] if old
                       else ["memory.max", "memory.swap.max"])

    def __enter__(self):
        try:
            os.mkdir(self.path)
            with open(os.path.join(self.path, self.limits[0]), "w", encoding="ascii") as limit:
                limit.write(str(256 << 20))
        except OSError as problem:
            self.__exit__()
            raise Skipped(f"no control group for memory: {problem}") from problem
        try:
            with open(os.path.join(self.path, self.limits[1]), "w", encoding="ascii") as limit:
                limit.write("0" if self.limits[1] == "memory.swap.max" else str(256 << 20))
        except OSError:
            pass  # this kernel counts no swap
        return self

    def runner(self):
        return ["sh", "-ec", f'echo $$ > {self.path}/cgroup.procs; exec "$0"',
                os.path.join(BUILD, "dispatch-runner")]

    def __exit__(self, *ignored):
        if os.path.isdir(self.path):
            wait_for("the group is empty", self._gone)

    def _gone(self):
        try:
            os.rmdir(self.path)
            return True
        except OSError:
            return False


def memory_that_runs_out(site):
    before = everybody()
    with MemoryGroup() as group, site.run("hungry", group.runner()) as run:
        report = run.ended()
    check(report["status"] == "failed" and report["error_code"] == "out_of_memory", f"{report}")
    check("memory ran out" in report["error"], f"{report}")
    wait_for("nobody is left", lambda: not sleepers_since(before))
    return report["error"]


# --- All of it --------------------------------------------------------------------------------

CASES = [requester_is_named, requester_that_is_a_trick_is_refused, options_it_cannot_have_are_told,
         taken_branch_gets_another_name,
         both_names_taken_is_push_rejected, base_that_moved_is_no_matter,
         rule_of_the_remote_is_push_rejected, token_is_renewed_before_it_ends,
         next_run_is_served_from_the_cache, saving_has_an_end,
         full_disk_while_cloning, no_inodes_while_cloning, full_disk_of_the_agents_making,
         memory_that_runs_out]


def main():
    cases = [case for case in CASES if case.__name__ in sys.argv[1:]] or CASES
    passed = skipped = 0
    with Place() as place, Standin(place) as github:
        site = Site(place, github)
        for case in cases:
            try:
                print(f"  ok    {case.__name__}: {case(site)}", flush=True)
                passed += 1
            except Skipped as reason:
                print(f"  skip  {case.__name__}: {reason}", flush=True)
                skipped += 1
            except Failed as failed:
                print(f"  FAIL  {case.__name__}: {failed}", flush=True)
    failed = len(cases) - passed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
