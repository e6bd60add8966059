#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dispatchd as a GitHub App: its JWT, tokens narrowed to one repository and three permissions,
kept while they are good, and GitHub's limits respected."""
import json
import os
import subprocess
import sys
import time

from parts import API_KEY, STANDIN, Dispatchd, Failed, Place, Standin, agent_script, call, wait_for

APP_ID = 4711
INSTALLATION_ID = 99


class AppStandin(Standin):
    """The stand-in with an App installed, and no personal token."""

    def __init__(self, place):
        self.log = os.path.join(place, "github.log")
        self.key = os.path.join(place, "app.pem")
        public = os.path.join(place, "app.pub")
        port_file = os.path.join(place, "github.port")
        fixture = os.path.join(place, "fixture")
        os.makedirs(fixture)
        with open(os.path.join(fixture, "README.md"), "w", encoding="utf-8") as out:
            out.write("# hello\n")
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True,
                       capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", self.key, "-pubout", "-out", public],
                       check=True, capture_output=True)
        self.process = subprocess.Popen(
            [STANDIN, "--dir", os.path.join(place, "github"), "--port-file", port_file,
             "--log", self.log, "--app-id", str(APP_ID), "--app-public-key", public,
             "--installation-id", str(INSTALLATION_ID), "--repo", f"octo/hello={fixture}",
             "--exit-with-parent"])
        wait_for("the GitHub stand-in listens", lambda: os.path.exists(port_file))
        with open(port_file, encoding="utf-8") as text:
            self.url = f"http://127.0.0.1:{int(text.read())}"

    def token_requests(self):
        requests = call(f"{self.url}/_standin/requests")[1]
        return [r for r in requests if r["path"].endswith("/access_tokens")]

    def fault(self, **fault):
        status, answer = call(f"{self.url}/_standin/faults", "POST", fault)
        check(status < 300, f"fault: {status} {answer}")


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def run(dispatchd, token, prompt):
    status, answer = dispatchd.dispatch(token, prompt)
    check(status == 200, f"dispatch: {status} {answer}")
    return dispatchd.wait_ended(answer["runId"])


def token_is_narrowed(dispatchd, standin, token):
    task = run(dispatchd, token, "one")
    check(task["status"] == "completed" and "pr_url" in task["result"], f"{task}")
    asked = standin.token_requests()
    check(len(asked) == 1 and asked[0]["status"] == 201, f"{asked}")
    body = asked[0]["body"]
    body = json.loads(body) if isinstance(body, str) else body
    check(body == {"repositories": ["hello"],
                   "permissions": {"contents": "write", "pull_requests": "write",
                                   "metadata": "read"}}, f"asked for {body}")
    return "repository hello, contents and pull requests to write"


def token_is_kept(dispatchd, standin, token):
    before = len(standin.token_requests())
    for number in range(3):
        check(run(dispatchd, token, f"kept {number}")["status"] == "completed", "a run failed")
    check(len(standin.token_requests()) == before, "a good token was asked for again")
    return "three more runs, no more requests"


def refused_app_is_auth_expired(dispatchd, standin, token):
    dispatchd.process.terminate()
    dispatchd.process.wait(60)
    dispatchd.start()
    standin.fault(method="POST", path_prefix="/app/installations", times=50, action="status",
                  status=404, body={"message": "Not Found", "documentation_url": "x"})
    task = run(dispatchd, token, "gone")
    check(task["status"] == "failed" and task["error_code"] == "auth_expired", f"{task}")
    call(f"{standin.url}/_standin/faults", "DELETE")
    return task["error"]


def limit_is_respected(dispatchd, standin, token):
    before = len(standin.token_requests())
    standin.fault(method="POST", path_prefix="/app/installations", times=1, action="status",
                  status=403, headers={"Retry-After": "2"},
                  body={"message": "You have exceeded a secondary rate limit",
                        "documentation_url": "x"})
    began = time.monotonic()
    task = run(dispatchd, token, "limited")
    took_s = time.monotonic() - began
    check(task["status"] == "completed", f"{task}")
    check(took_s >= 2, f"GitHub asked for 2 s, we came back after {took_s:.1f} s")
    asked = len(standin.token_requests()) - before
    check(asked == 2, f"{asked} requests instead of one before and one after the pause")
    return f"one request, a pause, one request: {took_s:.1f} s"


def limits_are_the_installations(dispatchd, standin, _):
    """Of the repository's installation, and of the configured one."""
    def limits(query):
        return call(f"{dispatchd.url}/api/rate-limit{query}",
                    headers={"Authorization": f"Bearer {API_KEY}"})

    status, answer = limits("")
    check(status == 400 and answer["details"]["field"] == "repo", f"{status} {answer}")
    status, answer = limits("?repo=octo/hello")
    check(status == 200 and "core" in answer["resources"], f"{status} {answer}")
    status, answer = limits("?repo=octo/none")
    check(status == 503, f"{status} {answer}")
    dispatchd.process.terminate()
    dispatchd.process.wait(60)
    dispatchd.environment["GITHUB_APP_INSTALLATION_ID"] = str(INSTALLATION_ID)
    dispatchd.start()
    status, answer = limits("")
    check(status == 200 and "core" in answer["resources"], f"{status} {answer}")
    asked = standin.token_requests()[-1]
    check("repositories" not in str(asked["body"]), f"{asked}")
    return "by repository, and by configuration"


def main():
    cases = [token_is_narrowed, token_is_kept, refused_app_is_auth_expired, limit_is_respected,
             limits_are_the_installations]
    passed = 0
    with Place() as place, AppStandin(place) as standin, Dispatchd(
            place, standin, agent_script(place, "agent", "cat > prompt.txt\n"),
            GITHUB_APP_ID=str(APP_ID), GITHUB_APP_PRIVATE_KEY_PATH=standin.key,
            GITHUB_TOKEN="") as dispatchd:
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
