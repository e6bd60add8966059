#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dispatchctl against a real dispatchd with real runners: each command, each form of output, each
exit code, Ctrl-C, a server that is away, and that no token shows where others look.

    test_dispatchctl.py [--quick | case...]      --quick leaves out what takes seconds"""
import http.server
import json
import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from parts import (API_KEY, BUILD, Dispatchd, Failed, Place, Standin, agent_script, call, end,
                   wait_for)

CTL = os.path.join(BUILD, "dispatchctl")
AGENT = r"""
prompt=$(cat)
case $prompt in
    *partial*) echo "<<<VGVBOT_STATUS: partial: half of it is left>>>" ;;
    *fails*) echo "cannot go on"; exit 3 ;;
    *endless*) while :; do sleep 1; done ;;
    *slow*) echo "a slow start"; while [ ! -e "$(dirname "$0")/go-on" ]; do sleep 0.05; done
        echo "and now the end" ;;
    *escape*) printf 'evil \033]0;title\007 \033[2J text\n' ;;
esac
printf '%s\n' "$prompt" > change.txt
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Ctl:
    """Calls dispatchctl with an environment of its own."""

    def __init__(self, place, url, token=API_KEY):
        self.home = os.path.join(place, "home")
        os.makedirs(self.home, exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home, "TERM": "xterm"}
        if url:
            self.environment["DISPATCH_SERVER"] = url
        if token:
            self.environment["DISPATCH_TOKEN"] = token

    def start(self, *words, **more):
        return subprocess.Popen([CTL, *words], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def run(self, *words, code=0, stdin=None, limit_s=240, **environment):
        done = subprocess.run([CTL, *words], env={**self.environment, **environment}, input=stdin,
                              check=False, capture_output=True, text=True, timeout=limit_s)
        check(done.returncode == code, f"dispatchctl {' '.join(words)}: {done.returncode}, "
              f"expected {code}: {done.stdout}{done.stderr}")
        for secret in (self.environment.get("DISPATCH_TOKEN") or "-",):
            check(secret == "-" or secret not in done.stdout + done.stderr, "the token is shown")
        return done

    def json(self, *words, code=0):
        return json.loads(self.run(*words, "-o", "json", code=code).stdout)


def repo(standin):
    return ["--repo", f"{standin.url}/octo/hello.git"]


def submitted(ctl, standin, prompt, *more):
    return ctl.run("submit", *repo(standin), "--prompt", prompt, "-o", "name", *more).stdout.strip()


# --- The cases -----------------------------------------------------------------------------------

def exit_codes(ctl, world):
    """In a shell script, as CI would."""
    script = """
    code() { "$@" >/dev/null 2>&1; printf '%s ' $?; }
    for prompt in 'do it' 'this fails' 'only partial'; do
        code "$CTL" submit --repo "$REPO" --prompt "$prompt" --wait
    done
    code "$CTL" submit --repo "$REPO" --prompt endless --wait --timeout 1s
    for id in $("$CTL" list --limit 1 -o name); do "$CTL" stop "$id"; done >/dev/null
    code "$CTL" submit --repo "$REPO"
    id=$("$CTL" submit --repo "$REPO" --prompt endless -o name)
    "$CTL" stop "$id" >/dev/null
    code "$CTL" watch "$id"
    """
    done = subprocess.run(["sh", "-c", script], check=False, capture_output=True, text=True,
                          timeout=300, env={**ctl.environment, "CTL": CTL,
                                           "REPO": repo(world.standin)[1]})
    check(done.stdout.split() == ["0", "1", "3", "5", "2", "4"],
          f"exit codes {done.stdout} {done.stderr}")
    return "0 1 3 5 2 4"


def run_timed_out(ctl, world):
    """The run's own limit, not ours."""
    place = os.path.join(world.place, "hasty")
    os.makedirs(place)
    with Dispatchd(place, world.standin, world.agent, DISPATCH_RUN_TIMEOUT="2") as hasty:
        hasty.start()
        Ctl(world.place, hasty.url).run("submit", *repo(world.standin), "-p", "endless", "-w",
                                        code=5)
    return "a run past its own limit is 5 too"


def forms(ctl, world):
    run_id = submitted(ctl, world.standin, "Title of the run\nand more")
    world.dispatchd.wait_ended(run_id)
    check(re.fullmatch(r"[0-9a-z]{20}", run_id), f"-o name: {run_id}")
    document = ctl.json("get", run_id)
    check(document["id"] == run_id and document["status"] == "completed", f"-o json: {document}")
    yaml_text = ctl.run("get", run_id, "-o", "yaml").stdout
    check(f'id: "{run_id}"' in yaml_text or f"id: {run_id}" in yaml_text, f"-o yaml: {yaml_text}")
    try:
        import yaml
        check(yaml.safe_load(yaml_text) == document, "yaml and json differ")
    except ImportError:
        pass
    lines = ctl.run("list").stdout.splitlines()
    check(lines[0].split() == ["ID", "AGE", "STATUS", "REPOSITORY", "AGENT", "PULL", "REQUEST"],
          f"the table's head: {lines[0]}")
    row = [line for line in lines if line.startswith(run_id)][0]
    for column in ("STATUS", "REPOSITORY", "AGENT", "PULL"):
        check(row[lines[0].index(column) - 1] == " " != row[lines[0].index(column)],
              f"not aligned:\n{lines[0]}\n{row}")
    check("octo/hello" in row and "/pull/" in row and "command" in row, f"the row: {row}")
    check("Title of the run" in ctl.run("list", "-o", "wide").stdout, "wide shows the title")
    check(run_id in ctl.run("list", "-o", "name").stdout.split(), "list -o name")
    shown = ctl.run("get", run_id).stdout
    check("completed" in shown and "/pull/" in shown, f"get: {shown}")
    return "table, wide, json, yaml and name"


def lists(ctl, world):
    for number in range(3):
        world.dispatchd.wait_ended(submitted(ctl, world.standin, f"page {number} fails"))
    page = ctl.json("list", "--limit", "2")
    check(page["count"] == 2 and page["next_cursor"], f"--limit 2: {page}")
    every = ctl.json("list", "--all")
    check(every["count"] > 3 and "next_cursor" not in every, f"--all: {every['count']}")
    ids = [run["id"] for run in every["agents"]]
    check(ids == sorted(set(ids), reverse=True), "newest first, each once")
    failed = ctl.json("list", "--status", "failed", "--all")
    check({run["status"] for run in failed["agents"]} == {"failed"}, f"--status: {failed}")
    ctl.run("list", "--status", "pending")
    ctl.run("list", "--status", "bogus", code=2)
    ctl.run("list", "--limit", "0", code=2)
    ctl.run("list", "--limit", "3", "--all", code=2)
    return f"{len(ids)} runs in pages"


def ways_in(ctl, world):
    """Which face a submit takes, by what is asked for and with what."""
    plan = submitted(ctl, world.standin, "make a plan", "--mode", "plan")
    check(ctl.json("get", plan)["mode"] == "plan", "--mode plan")
    task = submitted(ctl, world.standin, "with a ticket", "--ticket-id", "FEAT-1",
                     "--test-command", "true")
    check(world.dispatchd.wait_ended(task)["status"] == "completed", "a task with a ticket")
    bare = submitted(ctl, world.standin, "no pull request", "--no-pr")
    check("pr_url" not in world.dispatchd.wait_ended(bare).get("result", {}), "--no-pr")
    ctl.run("submit", *repo(world.standin), "-p", "x", "--mode", "plan", "--ticket-id", "A", code=2)
    ctl.run("submit", *repo(world.standin), "-p", "x", "--mode", "dream", code=2)
    ctl.run("submit", *repo(world.standin), "-p", "  ", code=2)
    ctl.run("submit", "--repo", "https://elsewhere.example/o/r", "-p", "x", code=2)
    named = ctl.run("submit", "--repo", "octo/hello", "-p", "by name", "-o", "name",
                    GITHUB_SERVER_URL=world.standin.url).stdout.strip()
    world.dispatchd.wait_ended(named)
    prompt = os.path.join(world.place, "prompt.txt")
    with open(prompt, "w", encoding="utf-8") as out:
        out.write("from a file\n")
    by_file = submitted(ctl, world.standin, f"@{prompt}")
    check(ctl.json("get", by_file)["prompt"] == "from a file\n", "--prompt @FILE")
    by_stdin = ctl.run("submit", *repo(world.standin), "-", "-o", "name",
                       stdin="from stdin").stdout.strip()
    check(ctl.json("get", by_stdin)["prompt"] == "from stdin", "a prompt on standard input")
    return "tasks, agent runs, prompts from everywhere"


def integration_token(ctl, world):
    token = Ctl(world.place, world.dispatchd.url, world.dispatchd.token())
    run_id = token.run("submit", "-p", "by an integration token", "-o", "name").stdout.strip()
    check(world.dispatchd.wait_ended(run_id)["status"] == "completed", "its run")
    said = token.run("submit", "-p", "x", "--wait", code=2).stderr
    check("can't see runs" in said, f"--wait: {said}")
    token.run("submit", "-p", "x", "--repo", "octo/hello", code=2)
    for words in (["get", run_id], ["list"], ["watch", run_id], ["logs", run_id]):
        check("can only submit" in token.run(*words, code=2).stderr, f"{words}")
    keyed = [token.run("submit", "-p", "once", "--idempotency-key", "k1", "-o", "name").stdout
             for _ in range(2)]
    check(keyed[0] == keyed[1], f"one key, two runs: {keyed}")
    return "it submits, and nothing else"


def stop_and_retry(ctl, world):
    run_id = submitted(ctl, world.standin, "endless")
    ctl.run("stop", run_id)
    ctl.run("watch", run_id, code=4)
    check("ended" in ctl.run("stop", run_id, code=1).stderr, "a second stop is a conflict")
    failed = submitted(ctl, world.standin, "again, this fails")
    ctl.run("watch", failed, code=1)
    ctl.run("retry", failed, "--wait", code=1)
    again = ctl.json("retry", failed)
    check(again["retry_of"] == failed, f"retry: {again}")
    world.dispatchd.wait_ended(again["task_id"])
    ctl.run("get", "0" * 20, code=1)
    ctl.run("watch", "0" * 20, code=1)
    ctl.run("stop", "nonsense/../../x", code=1)
    return "stopped, retried, 404 and 409 told"


def credentials(ctl, world):
    url = world.dispatchd.url
    Ctl(world.place, url, "wrong").run("list", code=7)
    Ctl(world.place, url, None).run("list", code=7)
    path = os.path.join(world.place, "token")
    with open(path, "w", encoding="utf-8") as out:
        out.write(API_KEY + "\n")
    Ctl(world.place, url, None).run("list", "--token-file", path)
    Ctl(world.place, url, "wrong").run("list", "--token-file", path)
    Ctl(world.place, url, None).run("list", "--token-file", path + ".none", code=2)
    said = Ctl(world.place, "http://dispatch.example.com").run("list", code=2).stderr
    check("plain http" in said, f"plain http: {said}")
    check("no --token" in ctl.run("list", "--token", "x", code=2).stderr, "--token is refused")
    watching = ctl.start("watch")
    try:
        with open(f"/proc/{watching.pid}/cmdline", "rb") as words:
            check(API_KEY.encode() not in words.read(), "the key in argv")
    finally:
        end(watching)
        watching.communicate()
    return "7 without the right one, never in argv"


def contexts(ctl, world):
    bare = Ctl(world.place, None, None)
    config = os.path.join(bare.home, ".config", "dispatch", "config.yaml")
    bare.run("config", "set-context", "here", "--server", world.dispatchd.url, "--token-stdin",
             stdin=API_KEY + "\n")
    bare.run("config", "set-context", "away", "--server", "http://127.0.0.1:1")
    check(os.stat(config).st_mode & 0o777 == 0o600, "the file is for its owner only")
    check(bare.run("config", "get-contexts", "-o", "name").stdout.split() == ["here", "away"],
          "get-contexts")
    check(API_KEY not in bare.run("config", "view").stdout, "view hides the token")
    bare.run("list")
    bare.run("list", "--context", "none", code=2)
    bare.run("config", "use-context", "away")
    bare.run("list", code=7)  # a context without a credential
    bare.run("list", code=6, DISPATCH_TOKEN="x")
    bare.run("list", "--context", "here")
    # A context's token goes nowhere but to its own server.
    bare.run("list", "--server", world.dispatchd.url, code=7)
    bare.run("config", "use-context", "here")
    os.chmod(config, 0o640)
    said = bare.run("list", code=2).stderr
    check("other users may read it" in said and API_KEY not in said, f"mode: {said}")
    os.remove(config)
    return "kept at 0600, and each token for its own server"


def follows(ctl, world):
    """--follow shows what happens while it happens, and the log afterwards."""
    flag = os.path.join(world.place, "go-on")
    waiting = ctl.start("submit", *repo(world.standin), "-p", "slow", "--follow")
    try:
        seen = ""
        while "a slow start" not in seen:
            line = waiting.stdout.readline()
            check(line, f"it ended before: {seen}")
            seen += line
        check(waiting.poll() is None, "it ended too early")
        open(flag, "w", encoding="utf-8").close()
        out, err = waiting.communicate(timeout=120)
    finally:
        end(waiting)
        os.path.exists(flag) and os.remove(flag)
    check(waiting.returncode == 0, f"--follow: {waiting.returncode} {err}")
    check("and now the end" in out and "/pull/" in out, f"the end: {out}")
    return "line by line"


def logs(ctl, world):
    flag = os.path.join(world.place, "go-on")
    run_id = submitted(ctl, world.standin, "slow")
    following = ctl.start("logs", "-f", run_id)
    try:
        wait_for("the log begins", lambda: "a slow start" in ctl.run("logs", run_id).stdout)
        check(following.poll() is None, "logs -f ends before the run")
        open(flag, "w", encoding="utf-8").close()
        out, err = following.communicate(timeout=120)
    finally:
        end(following)
        os.path.exists(flag) and os.remove(flag)
    check(following.returncode == 0 and "and now the end" in out, f"logs -f: {out} {err}")
    check("and now the end" in ctl.run("logs", run_id).stdout, "logs")
    ctl.run("logs", "0" * 20, code=1)
    return "so far, and followed"


def logs_go_on(ctl, world):
    """Over a server that is killed, one that is stopped, and connections that are cut anywhere."""
    flag = os.path.join(world.place, "go-on")
    run_id = submitted(ctl, world.standin, "slow")
    with Between(world.dispatchd.url, "cut logs") as between:
        cut = Ctl(world.place, between.url).start("logs", "-f", run_id)
        following = ctl.start("logs", "-f", run_id)
        impatient = ctl.start("logs", "-f", run_id, "--patience", "1s")
        try:
            said = ""
            for one in (following, impatient):
                said = ""
                while "a slow start" not in said:
                    line = one.stdout.readline()
                    check(line, f"logs -f ended: {said}")
                    said += line
            world.dispatchd.kill()
            _, err = impatient.communicate(timeout=120)
            check(impatient.returncode == 6 and "broke off" in err, f"it stays away: {err}")
            world.dispatchd.start()
            remark = following.stderr.readline()
            check("broke off, going on" in remark, f"that it broke off: {remark}")
            end(world.dispatchd.process)
            world.dispatchd.start()
            open(flag, "w", encoding="utf-8").close()
            out, err = following.communicate(timeout=120)
            pieces, cut_err = cut.communicate(timeout=120)
        finally:
            for one in (cut, following, impatient):
                end(one)
            os.path.exists(flag) and os.remove(flag)
    whole = ctl.run("logs", run_id).stdout
    check("and now the end" in whole, whole)
    check(following.returncode == 0 and said + out == whole, f"followed: {said}{out} {err}")
    check(cut.returncode == 0 and pieces == whole, f"cut: {pieces} {cut_err}")
    check(between.n_cut > 2, f"cut {between.n_cut} times")
    return f"over 2 servers that went, and {between.n_cut} cuts"


def read_lines(stream, lines):
    """All of them, and an empty one for the end."""
    while line := stream.readline():
        lines.put(line)
    lines.put("")


def watches_all(ctl, world):
    watching = ctl.start("watch", "-o", "json")
    try:
        lines = queue.Queue()
        reading = threading.Thread(target=read_lines, args=(watching.stdout, lines))
        reading.start()
        deadline = time.monotonic() + 120
        run_ids, seen = [], ""
        while not any(run_id in seen for run_id in run_ids):
            check(time.monotonic() < deadline, f"no event of {run_ids}: {seen}")
            if len(run_ids) < 40:  # the first may be over before the watching begins
                run_ids.append(submitted(ctl, world.standin, "watched"))
            try:
                while line := lines.get(timeout=0.5):
                    json.loads(line)
                    seen += line
                raise Failed("watch ended by itself")
            except queue.Empty:
                pass
        watching.send_signal(signal.SIGINT)
        watching.wait(120)
        reading.join()
        check(watching.returncode == 130, f"Ctrl-C: {watching.returncode}")
    finally:
        end(watching)
        watching.communicate()
    return "events of all runs, one JSON document a line"


def interrupt(ctl, world):
    waiting = ctl.start("submit", *repo(world.standin), "-p", "endless", "--wait")
    try:
        said = waiting.stderr.readline()
        run_id = said.split()[1]
        wait_for("the run works", lambda: world.dispatchd.task(run_id)["status"] == "running")
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=120)
    finally:
        end(waiting)
    check(waiting.returncode == 130, f"Ctrl-C: {waiting.returncode}")
    check(f"dispatchctl watch {run_id}" in err, f"how to go on: {err}")
    check(world.dispatchd.task(run_id)["status"] == "running", "the run was left alone")
    ctl.run("stop", run_id)
    ctl.run("watch", run_id, code=4)
    return "the run goes on, and so can the waiting"


def server_away(ctl, world):
    Ctl(world.place, "http://127.0.0.1:1").run("list", code=6)
    waiting = ctl.start("submit", *repo(world.standin), "-p", "slow", "--wait")
    flag = os.path.join(world.place, "go-on")
    try:
        run_id = waiting.stderr.readline().split()[1]
        wait_for("the run works", lambda: world.dispatchd.task(run_id)["status"] == "running")
        world.dispatchd.kill()
        impatient = ctl.start("watch", run_id, "--patience", "1s")
        _, said = impatient.communicate(timeout=120)
        check(impatient.returncode == 6 and "goes on" in said, f"gave up: {said}")
        world.dispatchd.start()
        open(flag, "w", encoding="utf-8").close()
        out, err = waiting.communicate(timeout=120)
    finally:
        end(waiting)
        os.path.exists(flag) and os.remove(flag)
    check(waiting.returncode == 0 and "/pull/" in out, f"it came back: {out} {err}")
    return "6 when it stays away, and no harm done when it comes back"


def quiet_cuts(ctl, world):
    """Two interruptions further apart than --patience, and no event between them."""
    patience_s = 8

    def is_watched():
        _, text = call(f"{world.dispatchd.url}/metrics")
        return "dispatch_http_streams 1\n" in text

    watching = ctl.start("watch", "--patience", f"{patience_s}s")
    try:
        wait_for("it watches", is_watched)
        began = time.monotonic()
        for _ in range(2):
            world.dispatchd.kill()
            world.dispatchd.start()
            wait_for("it watches again, or gave up",
                     lambda: watching.poll() is not None or is_watched())
            wait_for("the patience would be over",
                     lambda: time.monotonic() > began + patience_s + 1)
        check(watching.poll() is None, f"it gave up: {watching.poll()}")
    finally:
        end(watching)
        watching.communicate()
    return "each is borne by itself"


def on_a_terminal(ctl, world, *words):
    """What a terminal of 80 columns gets to see."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([CTL, *words], env=ctl.environment, stdin=follower,
                               stdout=follower, stderr=follower, close_fds=True)
    os.close(follower)
    seen = b""
    try:
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        process.wait(60)
    finally:
        end(process)
        os.close(leader)
    return process.returncode, seen.decode("utf-8", "replace")


def terminal(ctl, world):
    code, seen = on_a_terminal(ctl, world, "submit", *repo(world.standin), "-p", "escape", "-f")
    check(code == 0, f"on a terminal: {code} {seen}")
    check("\r\033[K" in seen and "0:0" in seen, f"no progress: {seen!r}")
    check("\033]0;" not in seen and "\033[2J" not in seen and "\007" not in seen,
          f"the agent's escapes came through: {seen!r}")
    _, quiet = on_a_terminal(ctl, world, "submit", *repo(world.standin), "-p", "x", "-w", "-q",
                             "--no-color")
    check("\033" not in quiet, f"--quiet --no-color: {quiet!r}")
    _, table = on_a_terminal(ctl, world, "list")
    check("\033[32mcompleted" in table, "no colours")
    piped = ctl.run("submit", *repo(world.standin), "-p", "x", "-w")
    check("\033" not in piped.stdout + piped.stderr, "colours or progress in a pipe")
    return "one line of progress, nothing of the agent's escapes"


def explains(ctl, world):
    before = ctl.json("list", "--all")["count"]
    words = ["explain", *repo(world.standin), "-p", "explain this"]
    document = ctl.json(*words)
    check(document["dryRun"] == "All", f"explain: {document}")
    check("dryRun" in ctl.run(*words).stdout, "explain as text")
    ctl.json("submit", *words[1:], "--dry-run")
    ctl.json("explain", *repo(world.standin), "-p", "x", "--mode", "plan")
    token = Ctl(world.place, world.dispatchd.url, world.dispatchd.token())
    check(token.json("explain", "-p", "x")["dryRun"] == "All", "with an integration token")
    check(ctl.json("list", "--all")["count"] == before, "explaining launched something")
    return "what would be launched"


def tokens(ctl, world):
    admin = world.admin()
    made = admin.run("token", "create", "--repo", "octo/hello", "--name", "made here",
                     "--expires", "30d").stdout.strip()
    check(made.startswith("vgvbot_"), f"token create: {made[:8]}")
    run_id = Ctl(world.place, world.dispatchd.url, made).run(
        "submit", "-p", "by the new token", "-o", "name").stdout.strip()
    world.dispatchd.wait_ended(run_id)
    listed = admin.run("token", "list").stdout
    check("made here" in listed and made not in listed, f"token list: {listed}")
    row = [line for line in listed.splitlines() if "made here" in line][0]
    admin.run("token", "revoke", row.split()[0])
    Ctl(world.place, world.dispatchd.url, made).run("submit", "-p", "x", code=7)
    mine = admin.run("token", "create", "--personal", "--scope", "read", "--user", "Mona Lisa",
                     "--email", "mona@example.com").stdout.strip()
    check(mine.startswith("dsp_live_"), f"personal: {mine[:9]}")
    reader = Ctl(world.place, world.dispatchd.url, mine)
    reader.run("list")
    reader.run("submit", *repo(world.standin), "-p", "x", code=7)
    reader.run("token", "list", code=7)
    row = [line for line in admin.run("token", "list", "--personal").stdout.splitlines()
           if "Mona Lisa" in line][0]
    check(row.split()[-1] == "read" and mine[:12] in row and mine not in row, f"personal: {row}")
    admin.run("token", "revoke", "--personal", row.split()[0])
    reader.run("list", code=7)
    return "made, listed, revoked"


def audits(ctl, world):
    admin = world.admin()
    entries = admin.json("audit", "list", "--all")["entries"]
    check(entries and entries[0]["number"] == len(entries), "all entries, newest first")
    verdict = admin.json("audit", "verify")
    check(verdict["entries"] >= len(entries) and len(verdict["head"]) == 64, f"{verdict}")
    admin.run("audit", "verify", "--head", entries[0]["hash"])
    admin.run("audit", "verify", "--head", "0" * 64, code=1)
    check("run.queue" in admin.run("audit", "list").stdout, "audit list")
    return f"{verdict['entries']} entries, the chain recomputed here"


def deliveries(ctl, world):
    admin = world.admin()
    check("ID" in admin.run("deliveries", "list").stdout, "deliveries list")
    admin.run("deliveries", "list", "--run", "0" * 20)
    admin.run("deliveries", "redeliver", "nothing", code=1)
    return "listed; one that isn't there can't be sent again"


def completion(ctl, world):
    script = os.path.join(world.place, "completion.bash")
    with open(script, "w", encoding="utf-8") as out:
        out.write(ctl.run("completion", "bash").stdout)

    def offers(*words):
        line = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(
            ["bash", "-euc", f". {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
             "_dispatchctl; printf '%s\\n' \"${COMPREPLY[@]}\""],
            check=True, capture_output=True, text=True)
        return done.stdout.split()

    check({"submit", "token", "help"} <= set(offers("dispatchctl", "")), "commands")
    check(offers("dispatchctl", "sub") == ["submit"], "a command's beginning")
    check("create" in offers("dispatchctl", "token", ""), "a group's commands")
    check("--repo" in offers("dispatchctl", "submit", "--re"), "a command's flags")
    check("--personal" in offers("dispatchctl", "token", "create", "--p"), "of a group's")
    check("yaml" in offers("dispatchctl", "list", "--output", ""), "a flag's values")
    check("failed" in offers("dispatchctl", "list", "--status", "f"), "of one command")
    check("bash" in offers("dispatchctl", "completion", ""), "shells")
    for shell in ("zsh", "fish"):
        check("dispatchctl" in ctl.run("completion", shell).stdout, shell)
    ctl.run("completion", "tcsh", code=2)
    return "asked of bash itself"


class Between:
    """Stands in front of dispatchd and is unkind to streams: refuses them with a status, or cuts
    each after one event."""

    def __init__(self, url, unkindness):
        between = self
        self.heard_ids = []
        self.refused = 0
        self.n_cut = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def forward(self):
                size = int(self.headers.get("Content-Length") or 0)
                request = urllib.request.Request(
                    url + self.path, method=self.command,
                    data=self.rfile.read(size) if size else None,
                    headers={name: self.headers[name] for name in (
                        "Authorization", "Content-Type", "Last-Event-ID") if self.headers[name]})
                if self.path.endswith("/logs?follow=1"):
                    self.cut_log(request)
                    return
                if self.path.endswith("/events") and unkindness != "cut":
                    between.refused += 1
                    self.answer(unkindness, b'{"error":"no stream","code":"no_stream"}')
                    return
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        if self.path.endswith("/events"):
                            between.heard_ids.append(self.headers["Last-Event-ID"])
                            self.answer(answer.status, self.one_event(answer),
                                        answer.headers["Content-Type"])
                        else:
                            self.answer(answer.status, answer.read())
                except urllib.error.HTTPError as failed:
                    self.answer(failed.code, failed.read())

            def cut_log(self, request):
                """Each time a bit more of it, and then nothing, not even an end."""
                between.n_cut += 1
                left = 40 * between.n_cut
                self.protocol_version = "HTTP/1.1"
                self.close_connection = True
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        self.send_response(answer.status)
                        self.send_header("Content-Type", answer.headers["Content-Type"])
                        self.send_header("Transfer-Encoding", "chunked")
                        self.end_headers()
                        while left and (piece := answer.read1(left)):
                            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                            left -= len(piece)
                        self.wfile.write(b"0\r\n\r\n" if left else b"")
                except OSError:
                    pass  # the server went

            @staticmethod
            def one_event(answer):
                seen = b""
                for line in answer:
                    seen += line
                    if line == b"\n" and b"data:" in seen:
                        break
                return seen

            def answer(self, status, body, media="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", media or "text/plain")
                self.send_header("Content-Length", str(len(body)))
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = forward

            def log_message(self, *ignored):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *ignored):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def without_streams(ctl, world):
    for status in (404, 429):
        with Between(world.dispatchd.url, status) as between:
            there = Ctl(world.place, between.url)
            there.run("submit", *repo(world.standin), "-p", "this fails", "--wait", code=1)
            check(between.refused, "no stream was asked for")
    with Between(world.dispatchd.url, 403) as between:
        Ctl(world.place, between.url).run("submit", *repo(world.standin), "-p", "x", "-w", code=7)
    return "404 and 429: its status is asked for instead"


def cut_streams(ctl, world):
    with Between(world.dispatchd.url, "cut") as between:
        out = Ctl(world.place, between.url).run(
            "submit", *repo(world.standin), "-p", "escape", "--follow").stdout
    resumed = [int(event_id) for event_id in between.heard_ids if event_id]
    check(len(resumed) >= 3 and resumed == sorted(set(resumed)), f"resumed after {resumed}")
    check(out.count("evil") == 1 and out.count("-- running") == 1, f"once each: {out}")
    return f"resumed {len(resumed)} times, each event shown once"


KUBECTL = """#!/bin/sh
# Stands for kubectl: forwards to the dispatchd that is there anyway.
printf '%s\n' "$*" >> "$PLACE/kubectl.argv"
env > "$PLACE/kubectl.env"
case $* in
*current-context) echo dev; exit 0 ;;
*broken*) echo "error: no such thing" >&2; exit 1 ;;
esac
echo $$ > "$PLACE/kubectl.pid"
echo "Forwarding from 127.0.0.1:$PORT -> 5000"
exec sleep 600
"""


def plugin(ctl, world):
    """As kubectl-dispatch, with a kubectl that only looks like one."""
    folder = os.path.join(world.place, "bin")
    os.makedirs(folder)
    name = os.path.join(folder, "kubectl-dispatch")
    os.symlink(CTL, name)
    with open(os.path.join(folder, "kubectl"), "w", encoding="utf-8") as out:
        out.write(KUBECTL)
    os.chmod(os.path.join(folder, "kubectl"), 0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": ctl.home, "PLACE": world.place,
                   "PORT": str(world.dispatchd.port)}

    def run(*words, code, **more):
        done = subprocess.run([name, *words], env={**environment, **more}, check=False,
                              capture_output=True, text=True, timeout=120)
        check(done.returncode == code, f"{words}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def read(what):
        with open(os.path.join(world.place, what), encoding="utf-8") as text:
            return text.read()

    run("list", "--namespace", "elsewhere", "--kubeconfig", "/k", code=0, DISPATCH_TOKEN=API_KEY)
    check("--kubeconfig /k --namespace elsewhere port-forward --address=127.0.0.1 svc/dispatchd "
          ":http" in read("kubectl.argv"), f"argv: {read('kubectl.argv')}")
    check(API_KEY not in read("kubectl.argv") + read("kubectl.env"), "kubectl got the token")
    wait_for("kubectl has ended", lambda: not os.path.exists(f"/proc/{int(read('kubectl.pid'))}"))
    run("list", code=7)
    check("no such thing" in run("list", "--context", "broken", code=6, DISPATCH_TOKEN=API_KEY),
          "what kubectl says")
    # The token of the context that is for this cluster, and of no other.
    ctl.run("config", "set-context", "mine", "--kube-context", "dev", "--token-stdin",
            stdin=API_KEY)
    run("list", code=0)
    run("list", "--context", "another", code=7)
    os.remove(os.path.join(ctl.home, ".config", "dispatch", "config.yaml"))
    check("kubectl isn't in" in run("list", code=2, PATH="/nowhere", DISPATCH_TOKEN=API_KEY),
          "without kubectl")
    watching = subprocess.Popen([name, "watch"], env={**environment, "DISPATCH_TOKEN": API_KEY},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        before = read("kubectl.pid")
        wait_for("another forward", lambda: read("kubectl.pid") not in ("", before))
        watching.kill()
    finally:
        end(watching)
        watching.communicate()
    wait_for("kubectl ends with a killed parent",
             lambda: not os.path.exists(f"/proc/{int(read('kubectl.pid'))}"))
    return "through a port of its own, which ends with it"


def small_things(ctl, world):
    check(ctl.run("version").stdout.startswith("dispatchctl "), "version")
    check(ctl.run("--version").stdout == ctl.run("version").stdout, "version as a flag")
    for words in (["help"], ["help", "submit"], ["help", "token"], ["help", "token", "create"],
                  ["submit", "--help"], ["--help"]):
        check("usage:" in ctl.run(*words).stdout, f"{words}")
    for words in ([], ["bogus"], ["help", "bogus"], ["token"], ["list", "extra"], ["get"],
                  ["list", "--bogus"], ["list", "-o", "xml"], ["get", ""],
                  ["submit", "-p", "x", "--timeout", "soon"]):
        ctl.run(*words, code=2)
    ctl.run("--server", world.dispatchd.url, "-o", "json", "list", "--limit", "1")
    full = subprocess.run(f"'{CTL}' list --all > /dev/full", shell=True, check=False,
                          env=ctl.environment, capture_output=True, text=True)
    check(full.returncode == 1 and "standard output" in full.stderr, "a full disk is told")
    return "version, help, usage"


class World:
    def __init__(self, place, standin, dispatchd, agent):
        self.place, self.standin, self.dispatchd, self.agent = place, standin, dispatchd, agent
        self.admin_ctl = None

    def admin(self):
        """With a personal token of scope admin."""
        if not self.admin_ctl:
            token = self.dispatchd.command("token", "create", "--personal", "--scope", "admin",
                                           "--user", "octocat")
            self.admin_ctl = Ctl(self.place, self.dispatchd.url, token)
        return self.admin_ctl


QUICK = [small_things, completion, exit_codes, forms, lists, ways_in, integration_token,
         stop_and_retry, credentials, contexts, follows, logs, watches_all, explains, tokens,
         audits, deliveries, plugin]
SLOW = [logs_go_on, without_streams, cut_streams, terminal, interrupt, server_away, quiet_cuts,
        run_timed_out]


def main():
    cases = [case for case in QUICK + SLOW if case.__name__ in sys.argv[1:]] \
        or QUICK + ([] if "--quick" in sys.argv[1:] else SLOW)
    passed = 0
    with Place() as place, Standin(place) as standin:
        agent = agent_script(place, "agent", AGENT)
        with Dispatchd(place, standin, agent, CODEBOT_MAX_WORKERS="4") as dispatchd:
            dispatchd.start()
            world = World(place, standin, dispatchd, agent)
            for case in cases:
                try:
                    print(f"  ok    {case.__name__}: {case(Ctl(place, dispatchd.url), world)}",
                          flush=True)
                    passed += 1
                except (Failed, subprocess.TimeoutExpired) as failed:
                    print(f"  FAIL  {case.__name__}: {failed}\n{dispatchd.tail()}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
