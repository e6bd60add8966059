# SPDX-License-Identifier: Apache-2.0
"""Many runs at once."""
import time

from installation import ENDS, check
from restarts import one_job_each

COUNT = 200
LIMIT_S = 1200


def two_hundred(installation):
    """All acknowledged, all done, one Job and one pull request each."""
    before = len(installation.pulls())
    began = time.monotonic()
    run_ids = installation.dispatch(*(f"one of many: {n}" for n in range(COUNT)))
    taken_s = time.monotonic() - began
    check(len(set(run_ids)) == COUNT, "an id was given twice")
    tasks = installation.wait_ended(run_ids, LIMIT_S)
    took_s = time.monotonic() - began
    ends = {end: sum(task["status"] == end for task in tasks) for end in ENDS}
    others = [task for task in tasks if task["status"] != "completed"]
    check(ends["completed"] == COUNT, f"{ends}, the first: {others[:1]}")
    one_job_each(run_ids)
    opened = len(installation.pulls()) - before
    check(opened == COUNT, f"{opened} pull requests")
    return f"{COUNT} taken in {taken_s:.1f} s, all completed after {took_s:.0f} s"


CASES = [two_hundred]
