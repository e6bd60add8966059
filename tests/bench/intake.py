# SPDX-License-Identifier: Apache-2.0
"""How many dispatches a second dispatchd takes in, beside the least that its libraries can do.

Each round starts every program anew in an empty directory, puts the same load on it, and ends
it; rounds are interleaved, so that whatever else the machine does falls on all of them alike.
"""
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from measuring import (HERE, Failure, Figure, Server, clean_environment, program, setting,
                       tell)

ANSWERS_MAX = 2_000_000  # of one load: bounds the room on the disk
SLOW_FSYNC_US = 1000

# To the fake launcher the first word says that the job never ends: the one worker is taken, and
# no launch competes with the intake. About 120 bytes.
PROMPT = "silent - please find out why the retry counter of the upload queue starts again at zero" \
    " after a restart, and mend it"
assert 110 <= len(PROMPT) <= 130


class Bench:
    def __init__(self, scratch):
        self.scratch = scratch
        self.rounds = setting("BENCH_ROUNDS", 5)
        self.seconds = setting("BENCH_SECONDS", 3)
        self.connections = setting("BENCH_CONNECTIONS", 64)
        self.slow_fsync = scratch / "slow_fsync.so"
        cc = os.environ.get("CC", "cc").split()
        subprocess.run([*cc, "-O2", "-fPIC", "-shared", "-D_GNU_SOURCE", "-o", self.slow_fsync,
                        HERE / "preload" / "slow_fsync.c", "-ldl"], check=True)

    def slowed(self, env, slow):
        return {**env, "LD_PRELOAD": str(self.slow_fsync),
                "BENCH_FSYNC_US": str(SLOW_FSYNC_US)} if slow else env

    def load(self, server, directory, token, more_headers=()):
        headers = directory / "headers"
        lines = [f"Authorization: Bearer {token}", *more_headers]
        headers.write_text("".join(line + "\n" for line in lines))
        headers.chmod(0o600)
        before = server.cpu_s()
        done = subprocess.run(
            [program("bench/load"), "--port", str(server.port), "--path", "/dispatchTask",
             "--headers", headers, "--body", json.dumps({"prompt": PROMPT}), "--seconds",
             str(self.seconds), "--connections", str(self.connections), "--answers",
             str(ANSWERS_MAX)],
            stdout=subprocess.PIPE, check=False, text=True, env=clean_environment())
        if done.returncode:
            raise Failure(f"the load generator failed; the server: {server.last_words()}")
        seen = json.loads(done.stdout)
        if seen["broken"] or set(seen["status"]) - {"200"} or seen["late"]:
            raise Failure(f"not every answer is a 200: {seen}; the server: {server.last_words()}")
        seen["memory_mib"] = server.memory_mib()
        after = server.cpu_s()
        if None not in (before, after):
            seen["cpu_us"] = (after - before) * 1e6 / seen["sent"]
        return seen

    # --- What is measured: each takes an empty directory and returns one round's figures ---

    def handler(self, directory):
        argv = [program("bench/floor"), "handler"]
        with Server(argv, clean_environment(), directory, r"^(\d+)$") as server:
            return self.load(server, directory, "none")

    def insert(self, directory):
        done = subprocess.run([program("bench/floor"), "insert", directory,
                               str(self.seconds)], env=clean_environment(), check=True,
                              stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    def both(self, directory, slow=False):
        token = "vgvbot_" + secrets.token_hex(22)[:43]
        env = self.slowed(clean_environment(BENCH_TOKEN=token), slow)
        argv = [program("bench/floor"), "both", str(directory)]
        with Server(argv, env, directory, r"^(\d+)$") as server:
            seen = self.load(server, directory, token)
        return with_bytes_a_run(seen, directory / "floor.db")

    def dispatchd(self, directory, slow=False, more_headers=(), binary=None):
        binary = binary or program("dispatchd")
        env = clean_environment(
            DISPATCH_DATABASE=str(directory / "dispatch.db"),
            DISPATCH_WORK_DIR=str(directory / "work"),
            DISPATCH_LAUNCHER="fake",
            DISPATCH_CLAIM_TIMEOUT="86400",
            DISPATCH_MAX_CONNECTIONS_PER_ADDRESS="4096",
            CODEBOT_MAX_WORKERS="1",
            CODEBOT_MAX_QUEUE_SIZE="100000000")
        made = subprocess.run([binary, "token", "create", "--repo", "bench/bench"], env=env,
                              cwd=directory, stdout=subprocess.PIPE, check=True, text=True)
        argv = [binary, "serve", "--port", "0"]
        with Server(argv, self.slowed(env, slow), directory, r"on port (\d+)\.",
                    ends_at_term=True) as server:
            seen = self.load(server, directory, made.stdout.strip(), more_headers)
            seen["launched"] = jobs_launched(server.port)
        if seen["launched"] > 1:
            raise Failure(f"{seen['launched']} jobs were launched beside the load")
        return with_bytes_a_run(seen, directory / "dispatch.db")

    def programs(self):
        numbered = ["Idempotency-Key: bench-################"]
        programs = {
            "bare handler, nothing stored": (self.handler, None),
            "bare insert, 64 rows a commit": (self.insert, None),
            "floor: both": (self.both, None),
            "dispatchd": (self.dispatchd, "floor: both"),
            "dispatchd, Idempotency-Key": (
                lambda d: self.dispatchd(d, more_headers=numbered), "floor: both"),
            "floor: both, 1 ms fsync": (lambda d: self.both(d, slow=True), None),
            "dispatchd, 1 ms fsync": (
                lambda d: self.dispatchd(d, slow=True), "floor: both, 1 ms fsync"),
        }
        for base in filter(None, os.environ.get("BENCH_BASE", "").split(",")):
            binary = str(Path(base, "dispatchd").resolve())
            programs[f"dispatchd of {base}"] = (
                lambda d, binary=binary: self.dispatchd(d, binary=binary), "floor: both")
        return programs

    def one_round(self, seen, programs, names):
        """Appends a figure of each to its list in `seen`."""
        for name in names:
            tell(f"intake, round {len(seen[name]) + 1} of {self.rounds}: {name}")
            directory = Path(tempfile.mkdtemp(dir=self.scratch))
            try:
                seen[name].append(programs[name][0](directory))
            finally:
                shutil.rmtree(directory)

    def run(self):
        words = os.environ.get("BENCH_ONLY", "").split(",")
        programs = {name: how for name, how in self.programs().items()
                    if any(word in name for word in words)}
        seen = {name: [] for name in programs}
        for _ in range(self.rounds):
            self.one_round(seen, programs, list(programs))
        tell("")
        return [summary(name, seen, programs[name][1]) for name in programs]


def jobs_launched(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r"^dispatch_jobs_launched_total (\d+)$", text, re.M)
    if not found:
        raise Failure("/metrics doesn't tell how many jobs were launched")
    return int(found.group(1))


def with_bytes_a_run(seen, database):
    """The file after a clean end: the log has gone into it."""
    seen["bytes_a_run"] = database.stat().st_size / seen["sent"]
    return seen


def median_of(rounds, key):
    values = [seen[key] for seen in rounds if seen.get(key) is not None]
    return statistics.median(values) if values else None


def summary(name, seen, base):
    rounds = seen[name]
    rates = [one["per_s"] for one in rounds]
    row = {"program": name, "per_s": statistics.median(rates), "per_s_min": min(rates),
           "per_s_max": max(rates), "rounds": rounds}
    for key in ("p50_us", "p99_us", "cpu_us", "memory_mib", "bytes_a_run"):
        row[key] = median_of(rounds, key)
    if base in seen:
        # Round by round, so that a slow minute of the machine divides out.
        row["ratio"] = statistics.median(
            one["per_s"] / floor["per_s"] for one, floor in zip(rounds, seen[base]))
        row["p99_ratio"] = statistics.median(
            one["p99_us"] / max(floor["p99_us"], 1) for one, floor in zip(rounds, seen[base]))
    return row


def cells(row):
    def number(key, form, scale=1.0):
        return format(row[key] / scale, form) if row.get(key) is not None else "-"

    return [row["program"], number("per_s", ",.0f"),
            f"{row['per_s_min']:,.0f}-{row['per_s_max']:,.0f}", number("p50_us", ".2f", 1000),
            number("p99_us", ".2f", 1000), number("ratio", ".2f"), number("p99_ratio", ".1f"),
            number("cpu_us", ".1f"), number("memory_mib", ".0f"), number("bytes_a_run", ".0f")]


def print_table(rows):
    head = ["program", "requests/s", "spread", "p50 ms", "p99 ms", "of floor", "its p99",
            "CPU us", "RSS MiB", "bytes"]
    lines = [head] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        texts = [text.ljust(width) if i == 0 else text.rjust(width)
                 for i, (text, width) in enumerate(zip(line, widths))]
        print(" | ".join(texts).rstrip())
    print("requests/s, p50 and p99: the median of the rounds. of floor, its p99: rate and p99 over"
          " those of\n`floor: both` in the same round. CPU: of the server, a request. bytes: of"
          " the database, a run.")


# --- Against the targets ---

TARGET_RATIO, TARGET_P99_RATIO, TARGET_BYTES, TARGET_SLOW_PER_S = 0.6, 2.0, 1024, 8000


def round_by_round(row, key):
    return [one[key] for one in row["rounds"]]


def figures(rows):
    """What the issue asks for, of those programs that were measured."""
    rows = {row["program"]: row for row in rows}
    found = []
    ours, floor = rows.get("dispatchd"), rows.get("floor: both")
    slow = rows.get("dispatchd, 1 ms fsync")
    if ours:
        found.append(Figure("intake", "dispatches a second", round_by_round(ours, "per_s"), "/s"))
        found.append(Figure("intake", "file a run, beside its prompt",
                            [one - len(PROMPT) for one in round_by_round(ours, "bytes_a_run")],
                            "bytes", TARGET_BYTES))
    if ours and floor:
        pairs = list(zip(ours["rounds"], floor["rounds"]))
        found.insert(1, Figure(
            "intake", "its rate, of the floor's", [o["per_s"] / f["per_s"] for o, f in pairs],
            "x", TARGET_RATIO, True, "floor: libmicrohttpd, cJSON, SQLite and no product"))
        found.insert(2, Figure(
            "intake", "its p99, of the floor's",
            [o["p99_us"] / max(f["p99_us"], 1) for o, f in pairs], "x", TARGET_P99_RATIO))
    if slow:
        found.append(Figure("intake", "dispatches a second, 1 ms more an fsync",
                            round_by_round(slow, "per_s"), "/s", TARGET_SLOW_PER_S, True))
    return found


def measure(scratch):
    bench = Bench(scratch)
    print(f"Intake: {bench.connections} keep-alive connections from this machine,"
          f" {bench.rounds} rounds of {bench.seconds} s each", flush=True)
    rows = bench.run()
    print_table(rows)
    return figures(rows), {"connections": bench.connections, "seconds": bench.seconds,
                           "programs": rows}
