#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose run is whose, and what opens what: API keys, the tokens of people and integrations, and
those that an OIDC issuer gives to workflows."""
import datetime
import os
import subprocess
import sys
import time

from oidc_issuer import Issuer, Key
from parts import (API_KEY, BUILD, Dispatchd, Failed, Place, Standin, agent_script, call,
                   wait_for)

OTHER_KEY = "e2e-other-key-canary-1d0a"
AUDIENCE = "https://dispatch.example.com"
NO_RUN = "0" * 20


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Client:
    """Calls with one credential."""

    def __init__(self, dispatchd, standin, bearer):
        self.dispatchd, self.standin, self.bearer = dispatchd, standin, bearer

    def call(self, method, path, body=None):
        return call(self.dispatchd.url + path, method, body,
                    {"Authorization": f"Bearer {self.bearer}"})

    def expect(self, status, method, path, body=None):
        got, answer = self.call(method, path, body)
        check(got == status, f"{method} {path}: {got}, not {status}: {answer}")
        return answer

    def submit(self, status=202, repo="octo/hello"):
        answer = self.expect(status, "POST", "/api/tasks/submit", {
            "repository_url": f"{self.standin.url}/{repo}.git", "description": "x"})
        return answer.get("task_id")

    def sees(self, run_id):
        shown = self.call("GET", f"/api/tasks/{run_id}/status")[0]
        agent = self.call("GET", f"/api/v1/agents/{run_id}")[0]
        listed = run_id in [t["task_id"] for t in self.expect(200, "GET", "/api/tasks")["tasks"]]
        check((shown, agent, listed) in ((200, 200, True), (404, 404, False)),
              f"it is seen by halves: {shown} {agent} {listed}")
        return listed


class World:
    def __init__(self, place, **settings):
        self.place = place
        self.standin = Standin(place)
        self.dispatchd = Dispatchd(place, self.standin, agent_script(place, "agent", "true\n"),
                                   DISPATCH_LAUNCHER="fake",
                                   CODEBOT_API_KEYS=f"{API_KEY},{OTHER_KEY}", **settings)

    def __enter__(self):
        self.dispatchd.start()
        return self

    def __exit__(self, *ignored):
        self.dispatchd.__exit__()
        self.standin.__exit__()

    def client(self, bearer):
        return Client(self.dispatchd, self.standin, bearer)

    def person(self, *words):
        return self.dispatchd.command("token", "create", "--personal", "--user", "Ada Lovelace",
                                      *words)

    def log(self):
        with open(self.dispatchd.log, encoding="utf-8") as log:
            return log.read()


# --- Cases ------------------------------------------------------------------------------------

def two_api_keys(place):
    with World(place) as world:
        first, second = world.client(API_KEY), world.client(OTHER_KEY)
        mine, theirs = first.submit(), second.submit()
        shared = world.dispatchd.dispatch(world.dispatchd.token(), "x")[1]["runId"]
        check(first.sees(mine) and not first.sees(theirs), "the first key's view")
        check(second.sees(theirs) and not second.sees(mine), "the second key's view")
        check(first.sees(shared) and second.sees(shared), "an integration token's run")
        for path in (f"/api/tasks/{theirs}/stop", f"/api/tasks/{theirs}/retry",
                     f"/api/v1/agents/{theirs}/stop"):
            refused = first.expect(404, "POST", path)
            absent = first.expect(404, "POST", path.replace(theirs, NO_RUN))
            check(refused["error"].replace(theirs, NO_RUN) == absent["error"]
                  and refused["code"] == absent["code"], f"{path} tells that there is a run")
        world.dispatchd.kill()
        world.dispatchd.start()
        check(first.sees(mine) and not first.sees(theirs), "after kill -9 and a restart")
    return "each sees its own and the shared ones; 404 for the rest, also after kill -9"


def personal_tokens(place):
    with World(place) as world:
        reader = world.client(world.person("--scope", "read"))
        person = world.client(world.person("--email", "ada@example.com"))
        admin = world.client(world.person("--scope=admin", "--name", "operator"))
        run_id = person.submit()
        by_key = world.client(API_KEY).submit()
        reader.submit(403)
        check(person.sees(run_id) and not person.sees(by_key), "a person's view")
        check(not reader.sees(run_id), "another's run")
        check(admin.sees(run_id) and admin.sees(by_key), "an admin's view")
        person.expect(403, "GET", "/api/tokens/personal")
        world.client(API_KEY).expect(403, "GET", "/api/tokens/personal")
        check(world.dispatchd.dispatch(admin.bearer, "x")[0] == 401, "it opened /dispatchTask")
        listed = world.dispatchd.command("token", "list")
        check(person.bearer not in listed and person.bearer[:12] in listed, "the list")
        check("Ada Lovelace" in listed and "operator" in listed and "p3" in listed, listed)
        # revoked by each of its names; the very next request is refused
        world.dispatchd.command("token", "revoke", "p2")
        person.expect(401, "GET", "/api/tasks")
        world.dispatchd.command("token", "revoke", reader.bearer[:12])
        reader.expect(401, "GET", "/api/tasks")
        world.dispatchd.kill()
        world.dispatchd.start()
        person.expect(401, "GET", "/api/tasks")
        admin.expect(200, "GET", "/api/tasks")
        for client in (reader, person, admin):
            check(client.bearer not in world.log(), "a token is in the log")
    return "scopes, and revocations that hold for the next request"


def tokens_over_http(place):
    with World(place) as world:
        admin = world.client(world.person("--scope", "admin"))
        made = admin.expect(201, "POST", "/api/tokens/integration",
                            {"repo": "octo/hello", "priority": 900, "rate_per_minute": 1000})
        check(world.dispatchd.dispatch(made["token"], "x")[0] == 200, "a new token is refused")
        check(made["created_by"] == "personal:1", f"{made}")
        listed = admin.expect(200, "GET", "/api/tokens/integration")["tokens"]
        check(listed[-1]["id"] == made["id"] and "token" not in listed[-1], f"{listed}")
        admin.expect(200, "DELETE", f"/api/tokens/integration/{made['id']}")
        check(world.dispatchd.dispatch(made["token"], "x")[0] == 401, "revoked, and still good")
        made = admin.expect(201, "POST", "/api/tokens/personal",
                            {"user": "Bob", "scopes": ["dispatch"]})
        bob = world.client(made["token"])
        bob.submit()
        admin.expect(200, "DELETE", f"/api/tokens/personal/{made['display_prefix']}")
        bob.submit(401)
        admin.expect(404, "DELETE", "/api/tokens/personal/77")
        admin.expect(400, "POST", "/api/tokens/personal", {"user": "Bob", "created_by": "x"})
    return "made, listed and revoked"


def in_seconds(seconds):
    return (datetime.datetime.now(datetime.timezone.utc)
            + datetime.timedelta(seconds=seconds)).isoformat()


def short_lived(make, use):
    """A token of few seconds that was good. On a machine that needs as many to make one and
    use it, one of more seconds."""
    for life_s in (3, 10, 30):
        began = time.monotonic()
        token = make(life_s)
        status = use(token) if token else 0
        if status == 200:
            return token
        check(time.monotonic() - began >= life_s, f"a token for {life_s} s is {status} at once")
    raise Failed("no token lived as long as it took to use it")


def expiry(place):
    with World(place) as world:
        admin = world.client(world.person("--scope", "admin"))
        long_one = world.client(world.person("--expires-in=30d"))

        def sees(token):
            return world.client(token).call("GET", "/api/tasks")[0]

        def dispatches(token):
            return world.dispatchd.dispatch(token, "x")[0]

        person = short_lived(lambda s: world.person("--expires-in", f"{s}s"), sees)
        token = short_lived(lambda s: admin.call(
            "POST", "/api/tokens/integration",
            {"repo": "octo/hello", "expires_at": in_seconds(s)})[1].get("token"), dispatches)
        by_command = short_lived(lambda s: world.dispatchd.command(
            "token", "create", "--repo", "octo/hello", "--expires-in", f"{s}s", "--priority", "0",
            "--rate-per-minute", "100"), dispatches)
        wait_for("the personal token ends", lambda: sees(person) == 401)
        for each in (token, by_command):
            wait_for("the integration token ends",
                     lambda t=each: dispatches(t) == 401)
        long_one.expect(200, "GET", "/api/tasks")
    return "expired tokens are refused"


def words_that_do_not_fit(place):
    with World(place) as world:
        for words in (["create"], ["create", "--personal"], ["create", "--user", "Ada"],
                      ["create", "--personal", "--user", "Ada", "--repo", "octo/hello"],
                      ["create", "--repo", "octo/hello", "--scope", "read"],
                      ["create", "--repo", "octo/hello", "--expires-in", "soon"],
                      ["create", "--repo", "octo/hello", "--priority", "high"],
                      ["list", "--personal"], ["revoke"], ["revoke", "p1", "--user", "Ada"]):
            done = subprocess.run([os.path.join(BUILD, "dispatchd"), "token", *words],
                                  env=world.dispatchd.environment, cwd=place, timeout=120,
                                  capture_output=True, text=True, check=False)
            check(done.returncode == 2 and done.stderr.startswith("usage"),
                  f"{words}: {done.returncode} {done.stderr}")
        for words, sentence in ((["--user", "Ada <a@b>"], "user: "),
                                (["--user", "Ada", "--email", "ada"], "email: "),
                                (["--user", "Ada", "--scope", "root"], "scopes: "),
                                (["--user", "Ada", "--expires-in", "0s"], "expires_at: ")):
            try:
                world.dispatchd.command("token", "create", "--personal", *words)
                raise AssertionError(f"{words} passed")
            except Failed as failed:
                check(sentence in str(failed), f"{words}: {failed}")
    return "usage and sentences"


def workflows(place):
    with Issuer(place, AUDIENCE) as issuer, World(
            place, DISPATCH_OIDC_ISSUERS=issuer.url, DISPATCH_OIDC_AUDIENCE=AUDIENCE) as world:
        run_id = world.client(issuer.token()).submit()
        world.client(issuer.token()).submit(403, "octo/other")
        check(world.client(issuer.token(iat=0)).sees(run_id), "its own run, with a new token")
        check(not world.client(issuer.token("octo/other")).sees(run_id), "another repository")
        check(not world.client(API_KEY).sees(run_id), "an API key sees a workflow's run")
        bad = [issuer.token(exp=1), issuer.token(aud="https://other.example.com"),
               issuer.token(iss="https://other.example.com"), issuer.token(repository="octo"),
               issuer.token(nbf=9000000000), issuer.token(header={"alg": "none"}),
               issuer.token(header={"alg": "HS256"}), issuer.token(header={"kid": "other"}),
               issuer.token(header={"crit": ["exp"]}), issuer.token(header={"typ": "at+jwt"}),
               issuer.token(key=Key(place, "stranger"), header={"kid": "first"}),
               issuer.token()[:-4] + "AAAA", issuer.token() + "x" * 9000]
        for token in bad:
            world.client(token).submit(401)
    return f"RS256, its own repository, and {len(bad)} that are refused"


def key_rotation(place):
    with Issuer(place, AUDIENCE) as issuer, World(
            place, DISPATCH_OIDC_ISSUERS=issuer.url, DISPATCH_OIDC_AUDIENCE=AUDIENCE) as world:
        old = issuer.token()
        world.client(old).submit()
        fetches = issuer.fetches
        world.client(old).submit()
        check(issuer.fetches == fetches, "keys are fetched for each request")
        issuer.keys = [Key(place, "second", curve=True)]
        new = issuer.token()
        world.client(new).submit()
        check(issuer.fetches == fetches + 1, "how often keys were fetched")
        world.client(old).submit(401)
        issuer.status = 500
        world.client(new).submit()
        world.dispatchd.kill()
        world.dispatchd.start()
        world.client(new).submit(503)
        check(new not in world.log() and old not in world.log(), "a token is in the log")
    return "a new key is taken at once, the old one is dropped; an issuer that is away is a 503"


def oidc_settings(place):
    for settings, sentence in (
            ({"DISPATCH_OIDC_ISSUERS": "http://issuer.example.com"}, "expected URLs of https"),
            ({"DISPATCH_OIDC_ISSUERS": "http://127.0.0.1.example.com"}, "expected URLs of https"),
            ({"DISPATCH_OIDC_ISSUERS": "https://a@issuer.example.com"}, "no query"),
            ({"DISPATCH_OIDC_ISSUERS": "https://issuer.example.com"}, "oidc.audience"),
            ({"DISPATCH_OIDC_REPOSITORIES": "octo"}, "oidc.repositories"),
            ({"DISPATCH_OIDC_ISSUERS": "https://token.actions.githubusercontent.com",
              "DISPATCH_OIDC_AUDIENCE": AUDIENCE}, "oidc.repositories")):
        done = subprocess.run(
            [os.path.join(BUILD, "dispatchd"), "serve", "--port", "0"], cwd=place, check=False,
            env={"PATH": os.environ["PATH"], "DISPATCH_LAUNCHER": "fake",
                 "DISPATCH_DATABASE": os.path.join(place, "d.db"), **settings},
            capture_output=True, text=True, timeout=120)
        check(done.returncode == 1 and sentence in done.stderr, f"{settings}: {done.stderr}")
    return "issuers in the clear, without an audience, or open to the world are refused"


def main():
    cases = [two_api_keys, personal_tokens, tokens_over_http, expiry, words_that_do_not_fit,
             workflows, key_rotation, oidc_settings]
    passed = 0
    for case in cases:
        with Place() as place:
            try:
                print(f"  ok    {case.__name__}: {case(place)}", flush=True)
                passed += 1
            except (Failed, AssertionError) as failed:
                print(f"  FAIL  {case.__name__}: {failed}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
