# SPDX-License-Identifier: Apache-2.0
"""The objects: one counter of resource versions, a history for watches, owner references.

An object in the store is never changed, only replaced, so whoever holds one may read it."""
import collections
import datetime
import queue
import threading
import uuid

import status

HISTORY_MAX = 20000
SNAPSHOTS_MAX = 64
TRACKING = "batch.kubernetes.io/job-tracking"
KINDS = ("jobs", "pods", "secrets", "events")


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def copied(value):
    """copy.deepcopy for what JSON can hold, several times as fast."""
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) for inner in value]
    return value


def place(obj):
    """By which lists are sorted, and where the next page begins."""
    return f'{obj["metadata"]["namespace"]}/{obj["metadata"]["name"]}'


def drop_finalizer(obj, name):
    left = [each for each in obj["metadata"].pop("finalizers", []) if each != name]
    if left:
        obj["metadata"]["finalizers"] = left


def matches(selector, obj):
    return all(fits(obj) for fits in selector)


class Watcher:
    def __init__(self, kind, namespace, selector):
        self.kind, self.namespace, self.selector = kind, namespace, selector
        self.events = queue.SimpleQueue()  # (type, object), or an instruction of faults.py

    def see(self, kind, what, obj, before):
        if kind != self.kind or self.namespace not in (None, obj["metadata"]["namespace"]):
            return
        fits = matches(self.selector, obj)
        fitted = before is not None and matches(self.selector, before)
        if what == "DELETED" or (fitted and not fits):
            if fitted or fits:
                self.events.put(("DELETED", obj))
        elif fits:
            self.events.put(("MODIFIED" if fitted else "ADDED", obj))


class Store:
    def __init__(self):
        self.lock = threading.RLock()
        self.version = 1000
        self.objects = {kind: {} for kind in KINDS}
        self.owned = collections.defaultdict(set)  # owner's uid -> {(kind, key)}
        self.history = collections.deque(maxlen=HISTORY_MAX)
        self.forgotten = self.version  # watches from before this are too old
        self.watchers = []
        self.snapshots = collections.OrderedDict()  # (version, kind) -> objects
        self.made = collections.Counter()  # (kind, namespace, name) -> times, ever
        self.told = {}  # (uid, reason, message) -> key of the Event that says so
        self.on_change = lambda kind, what, obj: None

    # --- Changing ---

    def _record(self, kind, what, obj, before):
        if len(self.history) == HISTORY_MAX:
            self.forgotten = self.history[0][0]
        self.history.append((int(obj["metadata"]["resourceVersion"]), kind, what, obj, before))
        for watcher in self.watchers:
            watcher.see(kind, what, obj, before)
        self.on_change(kind, what, obj)

    def _next(self, obj):
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)

    def create(self, kind, namespace, obj, finish=lambda obj: None):
        """Takes obj; finish() completes it once it has its uid."""
        meta = obj["metadata"]
        key = (namespace, meta["name"])
        with self.lock:
            if key in self.objects[kind]:
                raise status.already_exists(kind, meta["name"])
            meta.update(namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=now())
            if kind in ("jobs", "pods"):
                meta["generation"] = 1
            finish(obj)
            self._next(obj)
            self.objects[kind][key] = obj
            for ref in meta.get("ownerReferences", []):
                self.owned[ref["uid"]].add((kind, key))
            self.made[(kind, *key)] += 1
            self._record(kind, "ADDED", obj, None)
            self._collect_if_orphan(kind, obj)
            return obj

    def get(self, kind, namespace, name):
        with self.lock:
            obj = self.objects[kind].get((namespace, name))
        if obj is None:
            raise status.not_found(kind, name)
        return obj

    def update(self, kind, namespace, name, change):
        """change(copy) -> anything; no change, no new version. The object as it is now."""
        with self.lock:
            before = self.get(kind, namespace, name)
            after = copied(before)
            change(after)
            if after == before:
                return before
            if after.get("spec") != before.get("spec") and "generation" in after["metadata"]:
                after["metadata"]["generation"] += 1
            self._next(after)
            self._index_owners(kind, (namespace, name), before, after)
            if self._is_done_with(kind, after):
                self._remove(kind, after, before)
            else:
                self.objects[kind][(namespace, name)] = after
                self._record(kind, "MODIFIED", after, before)
            return after

    def _index_owners(self, kind, key, before, after):
        old = before["metadata"].get("ownerReferences", [])
        new = after["metadata"].get("ownerReferences", [])
        if old != new:
            for ref in old:
                self.owned[ref["uid"]].discard((kind, key))
            for ref in new:
                self.owned[ref["uid"]].add((kind, key))

    @staticmethod
    def _is_done_with(kind, obj):
        meta = obj["metadata"]
        if "deletionTimestamp" not in meta or meta.get("finalizers"):
            return False
        return kind != "pods" or not meta.get("deletionGracePeriodSeconds")

    def _remove(self, kind, obj, before):
        meta = obj["metadata"]
        key = (meta["namespace"], meta["name"])
        del self.objects[kind][key]
        for ref in meta.get("ownerReferences", []):
            self.owned[ref["uid"]].discard((kind, key))
        self._record(kind, "DELETED", obj, before)
        self._collect_owned(meta)

    # --- Deleting ---

    def delete(self, kind, namespace, name, options):
        """(the object as it was or will be, is it gone?)"""
        with self.lock:
            obj = self.get(kind, namespace, name)
            wanted = options.get("preconditions") or {}
            meta = obj["metadata"]
            if wanted.get("uid") not in (None, meta["uid"]):
                raise status.wrong_uid(kind, name, wanted["uid"], meta["uid"])
            if wanted.get("resourceVersion") not in (None, meta["resourceVersion"]):
                raise status.modified(kind, name)
            policy = options.get("propagationPolicy") or (
                "Orphan" if kind == "jobs" else "Background")
            if policy == "Orphan":
                self._orphan(meta)
            finalizers = list(meta.get("finalizers", []))
            if policy == "Foreground" and self.owned_by(meta):
                finalizers.append("foregroundDeletion")
            return self._mark(kind, obj, finalizers, options)

    def _mark(self, kind, obj, finalizers, options):
        meta = obj["metadata"]
        grace = options.get("gracePeriodSeconds")
        if kind == "pods" and grace is None:
            grace = obj["spec"].get("terminationGracePeriodSeconds", 30)
        if kind != "pods" or "nodeName" not in obj["spec"] \
                or obj["status"].get("phase") in ("Succeeded", "Failed"):
            grace = 0

        def mark(after):
            after["metadata"].setdefault("deletionTimestamp", now())
            before = after["metadata"].get("deletionGracePeriodSeconds", grace)
            after["metadata"]["deletionGracePeriodSeconds"] = min(before, grace)
            if finalizers:
                after["metadata"]["finalizers"] = finalizers

        after = self.update(kind, meta["namespace"], meta["name"], mark)
        if "foregroundDeletion" in finalizers:
            self._collect_owned(meta)
        return after, (meta["namespace"], meta["name"]) not in self.objects[kind]

    def owned_by(self, owner):
        """[(kind, object)] that name this one as an owner."""
        return [(kind, self.objects[kind][key])
                for kind, key in list(self.owned.get(owner["uid"], ()))
                if key in self.objects[kind]]

    def _orphan(self, owner):
        for kind, obj in self.owned_by(owner):
            def let_go(after):
                after["metadata"]["ownerReferences"] = [
                    ref for ref in after["metadata"]["ownerReferences"]
                    if ref["uid"] != owner["uid"]]
            self.update(kind, obj["metadata"]["namespace"], obj["metadata"]["name"], let_go)

    def _collect_owned(self, owner):
        for kind, obj in self.owned_by(owner):
            # The Job controller lets go of the pods of a Job that is gone.
            meta = obj["metadata"]
            self.update(kind, meta["namespace"], meta["name"],
                        lambda after: drop_finalizer(after, TRACKING))
            self.delete(kind, meta["namespace"], meta["name"], {})

    def _collect_if_orphan(self, kind, obj):
        """The real collector also deletes what names an owner that doesn't exist."""
        refs = obj["metadata"].get("ownerReferences", [])
        namespace = obj["metadata"]["namespace"]
        owners = [self.objects["jobs"].get((namespace, ref["name"])) for ref in refs
                  if ref.get("kind") == "Job"]
        if owners and not any(owner and owner["metadata"]["uid"] == ref["uid"]
                              for owner, ref in zip(owners, refs)):
            self.delete(kind, namespace, obj["metadata"]["name"], {})

    def settle_foreground(self, job):
        """Its last dependent is gone."""
        meta = job["metadata"]
        if "foregroundDeletion" in meta.get("finalizers", []) and not self.owned_by(meta):
            self.update("jobs", meta["namespace"], meta["name"],
                        lambda after: drop_finalizer(after, "foregroundDeletion"))

    # --- Many ---

    def list(self, kind, namespace, selector):
        """(objects by name, the version they are of)"""
        with self.lock:
            found = [obj for key, obj in self.objects[kind].items()
                     if namespace in (None, key[0]) and matches(selector, obj)]
            version = self.version
        return sorted(found, key=place), version

    def keep_snapshot(self, key, objects):
        with self.lock:
            self.snapshots[key] = objects
            while len(self.snapshots) > SNAPSHOTS_MAX:
                self.snapshots.popitem(last=False)

    def snapshot(self, key):
        """The objects of that version, or None when it has been forgotten."""
        with self.lock:
            return self.snapshots.get(key)

    def watch(self, kind, namespace, selector, version):
        """version None: from now on, the present objects first."""
        watcher = Watcher(kind, namespace, selector)
        with self.lock:
            if version is None:
                for obj in self.list(kind, namespace, selector)[0]:
                    watcher.events.put(("ADDED", obj))
            elif version < self.forgotten:
                raise status.too_old(version, self.forgotten)
            else:
                for at, of_kind, what, obj, before in self.history:
                    if at > version:
                        watcher.see(of_kind, what, obj, before)
            self.watchers.append(watcher)
        return watcher

    def unwatch(self, watcher):
        with self.lock:
            if watcher in self.watchers:
                self.watchers.remove(watcher)

    def compact(self):
        with self.lock:
            self.history.clear()
            self.snapshots.clear()
            self.version += 1
            self.forgotten = self.version
