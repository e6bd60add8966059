#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signed deliveries from a run's end to its receiver, over kill -9 of dispatchd at random moments;
and the audit log of all that, verified by the command, whole and tampered with.

    test_deliveries.py [--runs 12] [--kills 4] [--seed N]
"""
import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

from parts import (API_KEY, BUILD, Dispatchd, Failed, Place, Standin, agent_script, call,
                   wait_for)
from receiver import Receiver

AGENT = "cat > prompt.txt\n"
KEY = {"Authorization": f"Bearer {API_KEY}"}
OWN_SECRET = "the secret of one receiver"
# As the README has it.
CHECK_BY_HAND = r"""
expected=$(printf '%s.' "$TIMESTAMP" | cat - "$BODY" |
    openssl dgst -sha256 -hmac "$SECRET" | sed 's/.* //')
[ "$expected" = "$SIGNATURE_V2" ]
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def config_file(place, url):
    path = os.path.join(place, "config.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"""
deliveries:
  receivers:
    - url: {url}/all
      secret: {OWN_SECRET}
      events: [run.completed, run.failed]
""")
    return path


def create(dispatchd, receiver_url=None):
    body = {"prompt": "change it", "repo": "octo/hello"}
    if receiver_url:
        body["webhook_url"] = receiver_url
    status, answer = call(f"{dispatchd.url}/api/v1/agents", "POST", body, KEY)
    check(status == 201, f"create: {status} {answer}")
    return answer["id"]


def of_run(receiver, run, path):
    return [delivery for delivery in list(receiver.deliveries)
            if delivery.path == path and json.loads(delivery.body)["id"] == run]


def deliveries_of(dispatchd, run):
    status, page = call(f"{dispatchd.url}/api/deliveries?run={run}", headers=KEY)
    check(status == 200, f"deliveries: {status} {page}")
    return page["deliveries"]


def all_delivered(dispatchd, run):
    """Both: to the run's own receiver and to that of all runs."""
    found = deliveries_of(dispatchd, run)
    return len(found) == 2 and all(delivery["status"] == "delivered" for delivery in found)


def check_by_hand(place, delivery, secret):
    body = os.path.join(place, "body.json")
    with open(body, "wb") as out:
        out.write(delivery.body)
    done = subprocess.run(["sh", "-c", CHECK_BY_HAND], check=False, env={
        "PATH": os.environ["PATH"], "BODY": body, "SECRET": secret,
        "TIMESTAMP": delivery.timestamp,
        "SIGNATURE_V2": delivery.headers["X-Dispatch-Signature-V2"]})
    return done.returncode == 0


# --- The cases ------------------------------------------------------------------------------


def a_run_is_told_to_both(place, dispatchd, receiver):
    secret = dispatchd.command("webhook-secret", *dispatchd.flags)
    run = create(dispatchd, f"{receiver.url}/own")
    check(dispatchd.wait_ended(run)["status"] == "completed", "the run completes")
    wait_for("both are told", lambda: all_delivered(dispatchd, run))
    own, = of_run(receiver, run, "/own")
    everything, = of_run(receiver, run, "/all")
    check(own.event == "run.completed" and json.loads(own.body)["event"] == "run.completed",
          "the event")
    check(json.loads(own.body)["result"]["pr_url"].startswith("http"), "the pull request")
    check("prompt" not in json.loads(own.body), "the prompt stays here")
    check(own.is_signed_with(secret), "signed with the secret that the command prints")
    check(everything.is_signed_with(OWN_SECRET), "signed with the receiver's own secret")
    check(not own.is_signed_with(OWN_SECRET), "and with no other")
    check(abs(int(own.timestamp) - time.time() * 1000) < 300000, "the timestamp is now")
    check(check_by_hand(place, own, secret), "the shell lines of the README say so too")
    check(not check_by_hand(place, own, "another"), "and know a wrong secret")
    with open(dispatchd.database, "rb") as database:
        content = database.read()
    check(secret.encode() not in content and OWN_SECRET.encode() not in content,
          "no secret is in the database")


def a_call_that_is_under_way_survives_a_kill(_place, dispatchd, receiver):
    receiver.answer = lambda delivery: None
    run = create(dispatchd, f"{receiver.url}/own")
    dispatchd.wait_ended(run)
    wait_for("the calls are under way", lambda: of_run(receiver, run, "/own")
             or of_run(receiver, run, "/all"))
    first = (of_run(receiver, run, "/own") or of_run(receiver, run, "/all"))[0]
    dispatchd.kill()
    receiver.answer = lambda delivery: 204
    dispatchd.start()
    wait_for("they are made again", lambda: all_delivered(dispatchd, run))
    again = of_run(receiver, run, first.path)
    check(len(again) >= 2 and again[-1].id == first.id, "under the same id")
    check(again[-1].body == first.body, "with the same body")


def an_end_nobody_could_tell_survives_a_kill(_place, dispatchd, receiver):
    """The run ends while dispatchd is told to stop: nothing was sent yet."""
    receiver.answer = lambda delivery: 503
    run = create(dispatchd, f"{receiver.url}/own")
    dispatchd.wait_ended(run)
    dispatchd.kill()
    receiver.answer = lambda delivery: 200
    dispatchd.start()
    listed = deliveries_of(dispatchd, run)
    check(len(listed) == 2, f"both are there: {listed}")
    for delivery in listed:
        status, answer = call(f"{dispatchd.url}/api/deliveries/{delivery['id']}/redeliver",
                              "POST", {}, KEY)
        check(status == 202, f"redeliver: {status} {answer}")
    wait_for("they are delivered", lambda: all_delivered(dispatchd, run))


def no_end_is_lost_over_kills(_place, dispatchd, receiver, options):
    receiver.answer = lambda delivery: random.choice([200, 200, 200, 500])
    runs = []
    for _ in range(options.kills):
        for _ in range(max(1, options.runs // options.kills)):
            runs.append(create(dispatchd, f"{receiver.url}/own"))
        time.sleep(random.uniform(0.0, 0.8))
        dispatchd.kill()
        dispatchd.start()
    receiver.answer = lambda delivery: 200
    for run in runs:
        dispatchd.wait_ended(run, 240)
    for run in runs:
        wait_for(f"{run} is delivered", lambda run=run: all_delivered(dispatchd, run), 240)
    for run in runs:
        events = {delivery.event for delivery in of_run(receiver, run, "/own")}
        check(events == {"run.completed"}, f"{run}: {events}")
    return len(runs)


# --- The audit log --------------------------------------------------------------------------


def verify(dispatchd, *words):
    done = subprocess.run([os.path.join(BUILD, "dispatchd"), "audit", "verify", *words],
                          check=False, env=dispatchd.environment, cwd=dispatchd.place,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def the_audit_log_is_intact(dispatchd):
    """Live and at rest; the head of the latter."""
    code, said, complaint = verify(dispatchd)
    check(code == 0 and ", chain intact, head " in said, f"live: {code} {said} {complaint}")
    noted = said.split()[-1]
    dispatchd.process.terminate()
    check(dispatchd.process.wait(60) == 0, "it stops")
    code, said, complaint = verify(dispatchd)
    check(code == 0 and ", chain intact, head " in said, f"at rest: {code} {said} {complaint}")
    check(verify(dispatchd, "--head", noted)[0] == 0, "a head of before is among them")
    check(verify(dispatchd, "--head", "00" * 31 + "01")[0] == 1, "a made-up one isn't")
    check(verify(dispatchd, "--head", "xyz")[0] == 2, "no head at all is a usage error")
    return said.split()[-1]


def tampering_is_noticed(dispatchd, head):
    cases = [
        ("UPDATE audit SET actor = 'nobody' WHERE number = 5", "5", []),
        ("DELETE FROM audit WHERE number = 3", "3", []),
        ("UPDATE audit SET number = -1 WHERE number = 2;"
         "UPDATE audit SET number = 2 WHERE number = 4;"
         "UPDATE audit SET number = 4 WHERE number = -1", "2", []),
        ("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)", "head",
         ["--head", head]),
    ]
    whole = dispatchd.database + ".whole"
    shutil.copy(dispatchd.database, whole)
    for sql, expected, words in cases:
        shutil.copy(whole, dispatchd.database)
        database = sqlite3.connect(dispatchd.database)
        try:
            database.executescript(sql)
            raise Failed(f"the table takes {sql}")
        except sqlite3.IntegrityError:
            pass
        database.executescript("DROP TRIGGER audit_is_not_changed;"
                               "DROP TRIGGER audit_is_not_deleted;" + sql)
        database.close()
        subprocess.run([os.path.join(BUILD, "torture/resum"), dispatchd.database], check=True)
        code, said, _ = verify(dispatchd, *words)
        check(code == 1 and expected in said, f"{sql}: {code} {said}")
    shutil.copy(whole, dispatchd.database)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"  {options.runs} runs, {options.kills} kills, seed {options.seed}", flush=True)
    complaint = None
    with Place() as place, Standin(place) as standin, Receiver() as receiver, Dispatchd(
            place, standin, agent_script(place, "agent", AGENT),
            config=config_file(place, receiver.url), CODEBOT_MAX_WORKERS="4",
            CODEBOT_MAX_QUEUE_SIZE="100000",
            DISPATCH_ALLOW_PRIVATE_URLS="127.0.0.0/8") as dispatchd:
        try:
            dispatchd.start()
            a_run_is_told_to_both(place, dispatchd, receiver)
            a_call_that_is_under_way_survives_a_kill(place, dispatchd, receiver)
            an_end_nobody_could_tell_survives_a_kill(place, dispatchd, receiver)
            told = no_end_is_lost_over_kills(place, dispatchd, receiver, options)
            head = the_audit_log_is_intact(dispatchd)
            tampering_is_noticed(dispatchd, head)
            print(f"  {told} ends told over {options.kills} kills, "
                  f"{len(receiver.deliveries)} calls in all")
        except Failed as failed:
            complaint = str(failed)
            print(f"  FAIL  {complaint}\n{dispatchd.tail()}")
    print(f"{0 if complaint else 1} passed, {1 if complaint else 0} failed")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
