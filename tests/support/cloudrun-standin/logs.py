# SPDX-License-Identifier: Apache-2.0
"""Cloud Logging: entries of executions, and entries.list with the filters that fit them."""
import json
import re
import threading

from status import Refused
from times import now_text

PAGE = 50  # what Cloud Logging takes when it isn't told
TERM = re.compile(r'\s*((?:[A-Za-z_]+|"[^"]*")(?:\.(?:[A-Za-z_]+|"[^"]*"))*)'
                  r'\s*(=|>=|<=)\s*(\((?:[^()"]|"[^"]*")*\)|"[^"]*")\s*(?:AND\b|\Z)')


def parse_filter(text):
    """[(path, operator, [values])], all of which have to hold."""
    terms, at = [], 0
    while at < len(text):
        found = TERM.match(text, at)
        if not found:
            raise Refused("INVALID_ARGUMENT", f"Unparseable filter: at {text[at:at + 40]!r}")
        path = [part.strip('"') for part in re.findall(r'"[^"]*"|[A-Za-z_]+', found[1])]
        terms.append((path, found[2], re.findall(r'"([^"]*)"', found[3])))
        at = found.end()
    return terms


def value_at(entry, path):
    for part in path:
        entry = entry.get(part) if isinstance(entry, dict) else None
    return entry


def holds(entry, term):
    path, operator, values = term
    value = value_at(entry, path)
    if operator == "=":
        return value in values
    return isinstance(value, str) and (value >= values[0] if operator == ">=" else
                                       value <= values[0])


class Logs:
    def __init__(self, cloud):
        self.cloud = cloud
        self.lock = threading.Lock()
        self.entries = []

    def write(self, execution, stream, text):
        project, region = self.cloud.project, self.cloud.region
        job = execution["job"].rsplit("/", 1)[-1]
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        payload = {"jsonPayload": parsed} if isinstance(parsed, dict) else {"textPayload": text}
        with self.lock:
            self.entries.append({
                "insertId": f"{len(self.entries):016x}",
                "logName": f"projects/{project}/logs/run.googleapis.com%2F{stream}",
                "resource": {"type": "cloud_run_job",
                             "labels": {"job_name": job, "location": region,
                                        "project_id": project}},
                "labels": {"run.googleapis.com/execution_name":
                           execution["name"].rsplit("/", 1)[-1],
                           "run.googleapis.com/task_index": "0",
                           "run.googleapis.com/task_attempt": "0"},
                "timestamp": now_text(), "receiveTimestamp": now_text(), **payload})

    def list(self, body):
        names = body.get("resourceNames")
        if names != [f"projects/{self.cloud.project}"]:
            raise Refused("PERMISSION_DENIED", f"No access to {names}")
        if body.get("orderBy", "timestamp asc") not in ("timestamp asc", "timestamp desc"):
            raise Refused("INVALID_ARGUMENT", "orderBy")
        terms = parse_filter(body.get("filter", ""))
        with self.lock:
            found = [entry for entry in self.entries
                     if all(holds(entry, term) for term in terms)]
        if body.get("orderBy") == "timestamp desc":
            found.reverse()
        start = int(body.get("pageToken") or 0)
        size = min(int(body.get("pageSize") or PAGE), 1000)
        page = {}
        if found[start:start + size]:
            page["entries"] = found[start:start + size]
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return page
