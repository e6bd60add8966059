#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hack/ci: the script that both CIs share, against a real dispatchd with real runners, and the two
descriptions around it."""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading

from parts import (API_KEY, TREE, Dispatchd, Failed, Place, Standin, agent_script, call, end,
                   wait_for)

CI = os.path.join(TREE, "hack/ci")
SCRIPT = os.path.join(CI, "dispatch-and-wait")
AGENT = r"""
prompt=$(cat)
case $prompt in
    *partial*) echo "<<<VGVBOT_STATUS: partial: half of it is left>>>" ;;
    *fails*) exit 3 ;;
    *endless*) while :; do sleep 1; done ;;
esac
printf '%s\n' "$prompt" > change.txt
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Job:
    """What a CI gives a job."""

    def __init__(self, place, url):
        self.output = os.path.join(place, "github-output")
        self.dotenv = os.path.join(place, "dispatch.env")
        for path in (self.output, self.dotenv):
            if os.path.exists(path):
                os.remove(path)
        self.environment = {"PATH": os.environ["PATH"], "TMPDIR": place, "DISPATCH_SERVER": url,
                            "DISPATCH_TOKEN": API_KEY, "GITHUB_REPOSITORY": "octo/hello",
                            "GITHUB_OUTPUT": self.output, "DISPATCH_OUTPUT": self.dotenv}

    def start(self, prompt, **settings):
        return subprocess.Popen(["sh", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**self.environment, "DISPATCH_PROMPT": prompt,
                                                **settings})

    def run(self, prompt, code, **settings):
        process = self.start(prompt, **settings)
        try:
            out, err = process.communicate(timeout=240)
        finally:
            end(process)
        check(process.returncode == code, f"{prompt}: {process.returncode}, not {code}: {err}")
        check(API_KEY not in out + err, "the token is shown")
        for line in err.splitlines():
            check(line.startswith(("dispatch: ", "curl: ")), f"a line of others: {line}")
        return err

    def stop(self):
        """Ends the run that the job left alone."""
        run_id = self.outputs()["run-id"]
        status, answer = call(f"{self.environment['DISPATCH_SERVER']}/api/tasks/{run_id}/stop",
                              "POST", headers={"Authorization": f"Bearer {API_KEY}"})
        check(status == 202, f"stop: {status} {answer}")

    def outputs(self):
        with open(self.output, encoding="utf-8") as text:
            pairs = dict(line.rstrip("\n").split("=", 1) for line in text)
        with open(self.dotenv, encoding="utf-8") as text:
            again = dict(line.rstrip("\n").split("=", 1) for line in text)
        check(list(pairs.values()) == list(again.values()), f"{pairs} and {again}")
        return pairs


def exit_codes(world):
    job = Job(world.place, world.url)
    job.run("do it", 0)
    found = job.outputs()
    check(found["status"] == "completed" and "/pull/" in found["pr-url"], f"outputs {found}")
    check(re.fullmatch("[0-9a-z]{20}", found["run-id"]), f"outputs {found}")
    job.run("this fails", 1)
    job.run("only partial", 3)
    job.run("endless", 5, DISPATCH_TIMEOUT="1")
    job.stop()
    job.run("", 2)
    job.run("x", 2, GITHUB_REPOSITORY="not a repository")
    job.run("x", 2, DISPATCH_TIMEOUT="soon")
    job.run("x", 2, DISPATCH_SERVER="http://dispatch.example.com")
    job.run("x", 6, DISPATCH_SERVER="http://127.0.0.1:1")
    job.run("x", 7, DISPATCH_TOKEN="wrong")
    job.run("x", 7, DISPATCH_TOKEN="")
    return "0 1 2 3 5 6 7"


def run_timed_out(world):
    """The run's own limit, not the job's."""
    place = os.path.join(world.place, "hasty")
    os.makedirs(place)
    with Dispatchd(place, world.standin, world.agent, DISPATCH_RUN_TIMEOUT="2") as hasty:
        hasty.start()
        said = Job(place, hasty.url).run("endless", 5)
    check("within 2 s" in said, f"why: {said}")
    return "a run past its own limit is 5 too"


def stopped(world):
    job = Job(world.place, world.url)
    process = job.start("endless")
    try:
        wait_for("the run is queued", lambda: os.path.exists(job.dotenv)
                 and os.path.getsize(job.dotenv))
        job.stop()
        process.communicate(timeout=240)
    finally:
        end(process)
    check(process.returncode == 4, f"stopped: {process.returncode}")
    return "4"


def without_waiting(world):
    job = Job(world.place, world.url)
    job.run("x", 0, DISPATCH_WAIT="false")
    check(job.outputs()["status"] == "queued", f"{job.outputs()}")
    token = world.dispatchd.token()
    job.run("x", 0, DISPATCH_WAIT="false", DISPATCH_TOKEN=token)
    job.run("x", 2, DISPATCH_TOKEN=token)
    return "also with an integration token"


class TokenServer:
    """As GitHub gives a job its OIDC token; the first one it gives has run out."""

    def __init__(self):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers.get("Authorization")))
                body = json.dumps({"value": "expired" if len(asked) == 1 else API_KEY}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *ignored):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def job_token(world):
    tokens = TokenServer()
    try:
        url = f"http://127.0.0.1:{tokens.server.server_port}/token?api-version=2.0"
        Job(world.place, world.url).run(
            "by the job's own token", 0, DISPATCH_TOKEN="", DISPATCH_AUDIENCE="",
            ACTIONS_ID_TOKEN_REQUEST_URL=url, ACTIONS_ID_TOKEN_REQUEST_TOKEN="request-token")
    finally:
        tokens.close()
    check(len(tokens.asked) >= 2, "a token that has run out is renewed")
    path, bearer = tokens.asked[0]
    check(bearer == "Bearer request-token", f"asked with {bearer}")
    check(path.startswith("/token?api-version=2.0&audience=http%3A%2F%2F127.0.0.1"), path)
    return "asked for with the server's audience, and again when it has run out"


def hidden(world):
    """Nothing of a credential in any command line while the script works, nor a file left."""
    job = Job(world.place, world.url)
    seen = []
    process = job.start("endless", DISPATCH_TIMEOUT="4")
    try:
        while process.poll() is None:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as words:
                        if API_KEY.encode() in words.read():
                            seen.append(pid)
                except OSError:
                    pass
    finally:
        process.communicate(timeout=120)
    job.stop()
    check(not seen, "the token in a command line")
    check(not [name for name in os.listdir(world.place) if name.startswith("tmp.")],
          "files are left")
    return "not in argv, not on disk afterwards"


def cancelled(world):
    job = Job(world.place, world.url)
    process = job.start("endless")
    try:
        wait_for("the run is queued", lambda: os.path.exists(job.dotenv)
                 and os.path.getsize(job.dotenv))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=240)
    finally:
        end(process)
    job.stop()
    check(process.returncode == 130 and "goes on" in err, f"{process.returncode} {err}")
    check(not [name for name in os.listdir(world.place) if name.startswith("tmp.")],
          "files are left")
    return "130, and says that the run goes on"


def read_yaml(path):
    import yaml
    with open(path, encoding="utf-8") as text:
        return yaml.safe_load(text)


def descriptions(world):
    try:
        action = read_yaml(os.path.join(CI, "github/action.yml"))
        template = read_yaml(os.path.join(CI, "gitlab/dispatch.yml"))
    except ImportError:
        return "skipped: python3 has no yaml here"
    step = action["runs"]["steps"][0]
    check(action["runs"]["using"] == "composite" and "${{" not in step["run"],
          "inputs are no part of the script's text")
    wanted = {"server", "prompt", "repository", "agent", "wait", "timeout", "token", "audience"}
    check(wanted <= set(action["inputs"]), f"inputs {set(action['inputs'])}")
    for name in action["inputs"]:
        check(any(f"inputs.{name} }}}}" in value for value in step["env"].values()),
              f"the input {name} goes nowhere")
    with open(SCRIPT, encoding="utf-8") as text:
        script = text.read()
    for name in list(step["env"]) + list(template[".dispatch"]["variables"]):
        check(name in script or name == "DISPATCH_SCRIPT", f"{name} is unknown to the script")
    check(set(action["outputs"]) == {"run-id", "status", "pr-url"}, "outputs")
    path = step["run"].strip('"').replace("$GITHUB_ACTION_PATH", os.path.join(CI, "github"))
    check(os.path.samefile(path, SCRIPT), f"the action runs {path}")
    job = template[".dispatch"]
    check(job["id_tokens"]["DISPATCH_TOKEN"]["aud"] == "$DISPATCH_SERVER", "the audience")
    check(os.path.samefile(os.path.join(TREE, job["variables"]["DISPATCH_SCRIPT"]), SCRIPT),
          "the template's script")
    return "both parse, and name what the script knows"


class World:
    def __init__(self, place, standin, agent, dispatchd):
        self.place, self.standin, self.agent = place, standin, agent
        self.dispatchd, self.url = dispatchd, dispatchd.url


def main():
    cases = [exit_codes, run_timed_out, stopped, without_waiting, job_token, hidden, cancelled, descriptions]
    passed = 0
    with Place() as place, Standin(place) as standin:
        agent = agent_script(place, "agent", AGENT)
        with Dispatchd(place, standin, agent, CODEBOT_MAX_WORKERS="6") as dispatchd:
            dispatchd.start()
            world = World(place, standin, agent, dispatchd)
            for case in cases:
                try:
                    print(f"  ok    {case.__name__}: {case(world)}", flush=True)
                    passed += 1
                except (Failed, subprocess.TimeoutExpired) as failed:
                    print(f"  FAIL  {case.__name__}: {failed}\n{dispatchd.tail()}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
