#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What dispatchd says when it can't start: one clear line and exit 1, with nothing touched.
And the commands beside `serve`, with and without a server."""
import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

from parts import (BUILD, FOR_COUNTING, Dispatchd, Failed, Place, Standin, agent_script, call,
                   wait_for)

PROGRAM = os.path.join(BUILD, "dispatchd")


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def refused(place, words, expect, code=1, **environment):
    settings = {"PATH": os.environ["PATH"],
                "DISPATCH_DATABASE": os.path.join(place, "var", "dispatch.db"),
                "DISPATCH_WORK_DIR": os.path.join(place, "work"),
                "DISPATCH_LISTEN": "127.0.0.1:0", **FOR_COUNTING, **environment}
    done = subprocess.run([PROGRAM, *words], env=settings, cwd=place, capture_output=True,
                          text=True, timeout=120, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    check(done.returncode == code, f"{words}: exit {done.returncode}: {done.stderr}")
    check(any(expect in line for line in said), f"{words}: expected {expect!r} in {said}")
    check(code == 2 or len(said) == 1, f"{words}: more than one line: {said}")
    return said[0]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def bad_settings(place):
    path = os.path.join(place, "dispatch.yaml")
    cases = [
        ("listen: 127.0.0.1:0\nmax_workers: many\n", "dispatch.yaml:2: max_workers: expected"),
        ("\n\nlistenn: x\n", "dispatch.yaml:3: listenn: there is no such setting"),
        ("github:\n  api_url: ftp://x\n", "dispatch.yaml:2: github.api_url: expected a URL"),
        ("github:\n  app: 3\n", "dispatch.yaml:2: github.app: there is no such setting"),
        ("a: [\n", "dispatch.yaml:"),
        ("listen: 1\nlisten: 2\n", "dispatch.yaml:2"),
    ]
    for text, expect in cases:
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        refused(place, ["serve", "--config", path], expect)
    refused(place, ["serve", "--config", "absent.yaml"], "absent.yaml")
    refused(place, ["serve", "--port", "99999"], "--port: expected a whole number")
    refused(place, ["serve", "--frobnicate"], "--frobnicate: there is no such option")
    refused(place, ["serve"], "CODEBOT_MAX_WORKERS: expected", CODEBOT_MAX_WORKERS="x")
    refused(place, ["serve"], "DISPATCH_LISTEN: expected", DISPATCH_LISTEN="nowhere")
    refused(place, ["serve"], "launcher", DISPATCH_LAUNCHER="teleport")
    refused(place, ["serve"], "runner", DISPATCH_RUNNER="/nonexistent/runner")
    refused(place, ["serve"], "DISPATCH_AGENT_COMMAND", DISPATCH_DEFAULT_AGENT="command")
    refused(place, ["frob"], "usage", code=2)
    refused(place, ["token", "create"], "usage", code=2)
    return "file, line and key are named"


def bad_databases(place):
    path = os.path.join(place, "bad.db")
    with open(path, "wb") as out:
        out.write(b"this is no database, whatever its name says\n" * 100)
    before = digest(path)
    refused(place, ["serve"], "bad.db", DISPATCH_DATABASE=path)
    check(digest(path) == before, "a refused file was changed")

    newer = os.path.join(place, "newer.db")
    database = sqlite3.connect(newer)
    database.execute("CREATE TABLE t (x)")
    database.execute("PRAGMA user_version = 999")
    database.commit()
    database.close()
    before = digest(newer)
    refused(place, ["serve"], "999", DISPATCH_DATABASE=newer)
    check(digest(newer) == before, "a newer database was changed")
    refused(place, ["serve"], "/proc/nope", DISPATCH_DATABASE="/proc/nope/dispatch.db")
    return "corrupt, newer and unwritable: refused and untouched"


def port_in_use(place):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    said = refused(place, ["serve", "--port", str(port)], str(port))
    taken.close()
    return said


def second_dispatchd(place):
    with Place() as other, Standin(other) as standin, Dispatchd(
            other, standin, agent_script(other, "agent", "true\n")) as first:
        first.start()
        said = refused(place, ["serve"], "database", DISPATCH_DATABASE=first.database)
        check(call(f"{first.url}/readyz")[0] == 200, "the first one suffered")
    return said


def tokens_with_and_without_server(place):
    with Place() as other, Standin(other) as standin, Dispatchd(
            other, standin, agent_script(other, "agent", "true\n")) as dispatchd:
        early = dispatchd.token()
        check(early.startswith("vgvbot_") and len(early) == 50, f"token {early!r}")
        dispatchd.start()
        late = dispatchd.token()
        for token in (early, late):
            check(dispatchd.dispatch(token, "x")[0] == 200, "a good token was refused")
        check("octo/hello" in dispatchd.command("token", "list"), "the list")
        check(late not in dispatchd.command("token", "list"), "the list shows a token")
        dispatchd.command("token", "revoke", late[:12])
        check(dispatchd.dispatch(late, "x")[0] == 401, "revoked, and still good")
        check(dispatchd.dispatch(early, "x")[0] == 200, "another token was revoked too")
        dispatchd.process.send_signal(signal.SIGTERM)
        check(dispatchd.process.wait(60) == 0, "SIGTERM doesn't end with 0")
        dispatchd.command("token", "revoke", early[:12])
        check(dispatchd.command("token", "list").count("Z ") >= 2, "the list without a server")
        dispatchd.start()
        check(dispatchd.dispatch(early, "x")[0] == 401, "revoked while down, and still good")
    return "create, list, revoke: both ways"


def token_names(place):
    for name in ("", "n" * 101, "two\nlines", "\x1b[31mred"):
        refused(place, ["token", "create", "--repo", "octo/hello", "--name", name], "name: ")
    return "nothing that could rearrange a terminal"


def long_database_path(place):
    """Longer than the 107 bytes a unix socket's address holds."""
    deep = os.path.join(place, *["d" * 60] * 3, "dispatch.db")
    with Place() as other, Standin(other) as standin, Dispatchd(
            other, standin, agent_script(other, "agent", "true\n"),
            DISPATCH_DATABASE=deep) as dispatchd:
        early = dispatchd.token()
        dispatchd.start()
        late = dispatchd.token()
        for token in (early, late):
            check(dispatchd.dispatch(token, "x")[0] == 200, "a good token was refused")
        check(dispatchd.command("token", "list").count("octo/hello") == 2, "the list")
        dispatchd.command("token", "revoke", late[:12])
        check(dispatchd.dispatch(late, "x")[0] == 401, "revoked, and still good")
    return f"{len(deep)} characters"


def sighup(place):
    path = os.path.join(place, "dispatch.yaml")

    def reread(dispatchd, text):
        before = log_of(dispatchd).count('"listening"')
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        dispatchd.process.send_signal(signal.SIGHUP)
        return before

    def log_of(dispatchd):
        with open(dispatchd.log, encoding="utf-8") as log:
            return log.read()

    def answers(dispatchd):
        try:
            return call(f"{dispatchd.url}/readyz")[0] == 200
        except OSError:
            return False

    with open(path, "w", encoding="utf-8") as out:
        out.write("launcher: fake\n")
    with Place() as other, Standin(other) as standin, Dispatchd(
            other, standin, agent_script(other, "agent", "true\n"), config=path) as dispatchd:
        dispatchd.start()
        reread(dispatchd, "launcher: 3\n")
        wait_for("unreadable settings are refused", lambda: "are refused" in log_of(dispatchd))
        check(answers(dispatchd), "unreadable settings stopped it")
        for text in ("launcher: teleport\n", "launcher: fake\ngithub:\n  app_id: 1\n"
                     "  app_private_key_path: /nonexistent\n"):
            before = reread(dispatchd, text)
            wait_for("the old settings serve on",
                     lambda n=before: log_of(dispatchd).count('"listening"') > n
                     or dispatchd.process.poll() is not None)
            check(dispatchd.process.poll() is None, f"{text!r} ended it")
            wait_for("it answers", lambda: answers(dispatchd))
        before = reread(dispatchd, "launcher: fake\nbot:\n  name: b\n")
        wait_for("good ones are taken", lambda: log_of(dispatchd).count('"listening"') > before)
        wait_for("it answers", lambda: answers(dispatchd))
        check(log_of(dispatchd).count("don't work") == 2, "how often it went back")
        dispatchd.process.send_signal(signal.SIGTERM)
        check(dispatchd.process.wait(60) == 0, "SIGTERM doesn't end with 0")
    return "settings that don't work leave the old ones in force"


def nobody_reads_the_log(place):
    """stderr is a pipe that is full: dispatching goes on, and SIGTERM ends it in time."""
    settings = {"PATH": os.environ["PATH"], "DISPATCH_LAUNCHER": "fake",
                "DISPATCH_DATABASE": os.path.join(place, "dispatch.db"),
                "CODEBOT_MAX_QUEUE_SIZE": "100000", **FOR_COUNTING}
    made = subprocess.run([PROGRAM, "token", "create", "--repo", "octo/hello"], env=settings,
                          capture_output=True, text=True, timeout=120, check=True)
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    read_end, write_end = os.pipe()
    os.write(write_end, b"\n" * 65536)
    with subprocess.Popen([PROGRAM, "serve", "--port", "0", "--debug"], env=settings,
                          stdout=subprocess.PIPE, stderr=write_end, text=True) as dispatchd:
        os.close(write_end)
        try:
            said = [dispatchd.stdout.readline() for _ in range(5)]
            url = f"http://127.0.0.1:{said[1].split()[-1].rstrip('.')}/dispatchTask"
            began = time.monotonic()
            for n in range(1500):  # with their runs more than a log of 1 MiB
                check(call(url, "POST", {"prompt": str(n)}, headers)[0] == 200, "no dispatch")
            took_s = time.monotonic() - began
            dispatchd.send_signal(signal.SIGTERM)
            check(dispatchd.wait(60) == 0, "SIGTERM doesn't end with 0")
        except (OSError, subprocess.TimeoutExpired) as waited:
            raise Failed(f"it waits for its log: {waited}") from None
        finally:
            dispatchd.kill()
            os.close(read_end)
    return f"1500 dispatches in {took_s:.1f} s, and an end"


def sigterm_leaves_runs_running(place):
    with Place() as other, Standin(other) as standin, Dispatchd(
            other, standin,
            agent_script(other, "agent", "while [ ! -e ../go ] && [ ! -e " + other
                         + "/go ]; do sleep 0.05; done; echo x > x.txt\n")) as dispatchd:
        dispatchd.start()
        token = dispatchd.token()
        run_id = dispatchd.dispatch(token, "slow")[1]["runId"]
        wait_for("it runs", lambda: dispatchd.task(run_id)["status"] == "running")
        dispatchd.process.send_signal(signal.SIGTERM)
        check(dispatchd.process.wait(60) == 0, "SIGTERM doesn't end with 0")
        with open(os.path.join(other, "go"), "w", encoding="utf-8"):
            pass
        dispatchd.start()
        task = dispatchd.wait_ended(run_id)
        check(task["status"] == "completed" and "pr_url" in task["result"], f"{task}")
    return "a runner outlived its dispatchd and reported to the next one"


def main():
    cases = [bad_settings, bad_databases, port_in_use, second_dispatchd,
             tokens_with_and_without_server, token_names, long_database_path, sighup,
             nobody_reads_the_log, sigterm_leaves_runs_running]
    passed = 0
    for case in cases:
        with Place() as place:
            try:
                print(f"  ok    {case.__name__}: {case(place)}", flush=True)
                passed += 1
            except Failed as failed:
                print(f"  FAIL  {case.__name__}: {failed}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
