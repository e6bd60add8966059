# SPDX-License-Identifier: Apache-2.0
"""The tests' own entrance: faults, scripts, pods, and what has been seen so far."""
import collections
import json
import threading
import time
import urllib.parse

from faults import NOW, STANDING
from scripts import ENDS
from status import Refused
from store import KINDS

REQUESTS_MAX = 200000


class RequestLog:
    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.entries = collections.deque(maxlen=REQUESTS_MAX)
        self.under_way = self.most_under_way = self.total = 0

    def begin(self):
        with self.lock:
            self.under_way += 1
            self.total += 1
            self.most_under_way = max(self.most_under_way, self.under_way)

    def end(self):
        with self.lock:
            self.under_way -= 1

    def add(self, method, path, code, fault):
        with self.lock:
            self.entries.append({"at": round(time.monotonic() - self.began, 4),
                                 "method": method, "path": path, "status": code,
                                 "fault": fault})

    def matching(self, method, part):
        with self.lock:
            entries = list(self.entries)
        return [entry for entry in entries
                if method in (None, entry["method"]) and part in entry["path"]]


def act_now(server, wanted):
    cluster, action = server.cluster, wanted["action"]
    if action == "down":
        server.down_asked_s = float(wanted.get("ms", 1000)) / 1000  # after this answer
        return
    if action == "compact":
        (cluster.real or cluster.store).compact()
        return
    word = "CUT" if action == "cut_watches" else "EXPIRE"
    if cluster.real:
        cluster.real.end_watches(wanted.get("kind"), word)
        return
    with cluster.store.lock:
        for watcher in list(cluster.store.watchers):
            if wanted.get("kind") in (None, watcher.kind):
                watcher.events.put((word, cluster.store.version - 1))


def add_fault(server, wanted):
    if wanted.get("action") in NOW:
        act_now(server, wanted)
    elif wanted.get("action") in STANDING:
        server.cluster.faults.stand(wanted)
    else:
        server.cluster.faults.add(wanted)
    return 201, {}


def order_pod(server, wanted):
    if wanted["do"] not in ENDS:
        raise ValueError(f"do: one of {', '.join(sorted(ENDS))}")
    life = server.cluster.kubelet and server.cluster.kubelet.life_of(
        wanted.get("namespace"), wanted["name"])
    if not life:
        return 404, {"message": "no such pod lives"}
    life.order(wanted["do"])
    return 200, {}


def counts(server):
    cluster = server.cluster
    with cluster.store.lock:
        twice = [list(key) for key, times in cluster.store.made.items() if times > 1]
        return {
            "objects": {kind: len(cluster.store.objects[kind]) for kind in KINDS},
            "made": dict(collections.Counter(key[0] for key in cluster.store.made.elements())),
            "made_twice": twice,
            "watches": dict(collections.Counter(w.kind for w in cluster.store.watchers)),
            "resource_version": cluster.store.version,
            "requests": cluster.log.total, "most_under_way": cluster.log.most_under_way,
            "connections": len(server.connections)}


def control(server, method, target, body):
    """(code, document)"""
    path, _, query = target.partition("?")
    query = dict(urllib.parse.parse_qsl(query))
    cluster = server.cluster
    try:
        wanted = json.loads(body) if body else {}
        if (method, path) == ("POST", "/standin/faults"):
            return add_fault(server, wanted)
        if (method, path) == ("DELETE", "/standin/faults"):
            cluster.faults.clear()
            return 200, {}
        if (method, path) == ("POST", "/standin/scripts"):
            cluster.scripts.add(wanted.get("job", "*"), wanted["script"])
            return 201, {}
        if (method, path) == ("DELETE", "/standin/scripts"):
            cluster.scripts.clear()
            return 200, {}
        if (method, path) == ("POST", "/standin/pods"):
            return order_pod(server, wanted)
        if (method, path) == ("GET", "/standin/counts"):
            return 200, counts(server)
        if (method, path) == ("GET", "/standin/requests"):
            return 200, cluster.log.matching(query.get("method"), query.get("path", ""))
        if cluster.real and (method, path) == ("GET", "/standin/made"):
            return 200, cluster.real.times_made(query.get("kind", "jobs"))
        if cluster.real and (method, path) == ("GET", "/standin/objects"):
            return 200, cluster.real.objects(query.get("kind", "jobs"))["items"]
        if (method, path) == ("GET", "/standin/made"):
            with cluster.store.lock:
                return 200, [[*key[1:], times] for key, times in cluster.store.made.items()
                             if key[0] == query.get("kind", "jobs")]
        if (method, path) == ("GET", "/standin/objects"):
            return 200, cluster.store.list(query.get("kind", "jobs"), None, [])[0]
    except Refused as refused:
        return refused.code, {"message": str(refused)}
    except (ValueError, KeyError, TypeError) as problem:
        return 400, {"message": repr(problem)}
    return 404, {"message": "Not Found"}
