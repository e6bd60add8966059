#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""session.py OUT --client FILE --modules DIR: Google's clients against a stand-in whose tasks
pretend; then the runs of test_cloudrun.py. OUT/requests.json gets what dispatchd and its runners
asked for, OUT/schema.json the stand-in's table of fields."""
import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

from cloudrun_api import TOKEN, CloudRunStandin, runner  # noqa: E402
from parts import Failed, Place  # noqa: E402
from test_cloudrun import session  # noqa: E402


def drive(options):
    with Place() as place, CloudRunStandin(place) as cloud:
        subprocess.run(["node", options.client, options.modules, str(cloud.port), TOKEN],
                       check=True)


def record(options):
    with Place() as place, CloudRunStandin(
            place, "--run-command", runner(place), "--grace-ms", "3000") as cloud:
        session(place, cloud)
        for name, path in (("requests", "requests?answers=1"), ("schema", "schema")):
            with open(os.path.join(options.out, f"{name}.json"), "w", encoding="utf-8") as out:
                json.dump(cloud.get(f"/standin/{path}"), out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--client", required=True)
    parser.add_argument("--modules", required=True)
    options = parser.parse_args()
    try:
        drive(options)
        record(options)
    except (Failed, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"FAIL  {problem}")


if __name__ == "__main__":
    main()
