#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dispatch on the cluster that KUBECONFIG names: installing, runs and what goes wrong with them,
restarts, many at once, upgrading, removing. `tests/e2e/kubernetes/run` brings the cluster and the
images. `--only NAME` runs one case (and installs first), `--keep` removes nothing."""
import argparse
import sys
import time
import traceback

import crowd
import installing
import plugin
import restarts
import runs
from installation import Installation, logs
from parts import Failed


def case_passes(case, installation):
    began = time.monotonic()
    try:
        said = case(installation)
    except restarts.Skipped as skipped:
        print(f"  skip  {case.__name__}: {skipped}", flush=True)
        return True
    except Failed as failed:
        print(f"  FAIL  {case.__name__}: {failed}\n{logs(30)}", flush=True)
        return False
    except Exception:  # a fault of the test's own: told, and the rest is run
        print(f"  FAIL  {case.__name__}:\n{traceback.format_exc()}", flush=True)
        return False
    print(f"  ok    {case.__name__} ({time.monotonic() - began:.0f} s): {said}", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", default=[], metavar="CASE")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    cases = runs.CASES + plugin.CASES + restarts.CASES + crowd.CASES
    if options.only:
        cases = [case for case in cases if case.__name__ in options.only]
    first = installing.FIRST if not options.only else [
        case for case in installing.FIRST
        if case.__name__ in ("dev_overlay", "with_settings", *options.only)]
    cases = first + cases + ([] if options.keep else installing.LAST)
    installation = Installation()
    results = [case_passes(case, installation) for case in cases]
    installation.client.stop()
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
