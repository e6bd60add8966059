#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same conversation with the API server that KUBECONFIG names and with its stand-in, and, where
there is a node, the same Jobs' lives: the answers must not differ in anything that dispatchd reads.
`--show` prints all that was said, `--only PART` what is named so."""
import argparse
import concurrent.futures
import json
import os
import sys

import lives
from comparing import REMEMBERS, difference
from conversation import Conversation
from kubectl import Failed
from parts import Place
from sides import RealSide, StandinSide


def hold(side):
    return Conversation(side).hold()


def both(run, sides):
    with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
        return list(pool.map(run, sides))


def compare(real, standin, options):
    """How many were compared, and how many differ, printed."""
    names = [name for name in {**real, **standin} if (options.only or "") in name]
    for name in [name for name in names if real.get(name) == REMEMBERS]:
        names.remove(name)
        print(f"  skipped  {name}: a young cluster, {REMEMBERS}")
    differ = 0
    for name in names:
        found = difference(real.get(name), standin.get(name))
        if found:
            differ += 1
            print(f"  DIFFERS  {name}", *found, sep="\n    ")
        elif options.show:
            print(f"  {name}: {json.dumps(real.get(name), indent=1)}")
    return len(names), differ


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG"))
    parser.add_argument("--only", metavar="PART")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if not options.kubeconfig:
        parser.error("KUBECONFIG names the real one")
    try:
        with Place() as place, RealSide(options.kubeconfig, place) as real, \
                StandinSide(place) as standin:
            parts = [("calls", hold)] + ([("lives", lives.live)] if real.has_node() else [])
            failed = False
            for what, run in parts:
                count, differ = compare(*both(run, (real, standin)), options)
                print(f"{what}: {count} compared with the stand-in, {differ} differ", flush=True)
                failed = failed or differ > 0
            if len(parts) == 1:
                print("lives: skipped, the cluster has no node that is ready")
    except (Failed, OSError) as problem:
        print(f"FAIL  {problem}")
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
