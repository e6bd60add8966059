# SPDX-License-Identifier: Apache-2.0
"""What the parts share: who may call, what exists, how it misbehaves, what was asked."""
import collections
import shutil
import tempfile
import threading

from faults import Faults
from identity import Identity
from logs import Logs
from run_api import RunApi
from scripts import Scripts
from secrets_api import Secrets

REQUESTS_MAX = 100000


class RequestLog:
    def __init__(self):
        self.lock = threading.Lock()
        self.entries = collections.deque(maxlen=REQUESTS_MAX)

    def add(self, entry):
        with self.lock:
            self.entries.append(entry)

    def matching(self, method, part):
        with self.lock:
            entries = list(self.entries)
        return [entry for entry in entries
                if method in (None, entry["method"]) and part in entry["path"]]


class Cloud:
    def __init__(self, options):
        self.options, self.port = options, 0
        self.project, self.region = options.project, options.region
        self.root = tempfile.mkdtemp(prefix="cloudrun-")
        self.faults, self.scripts, self.log = Faults(), Scripts(), RequestLog()
        self.identity = Identity(self)
        self.logs = Logs(self)
        self.secrets = Secrets(self)
        self.run = RunApi(self)

    def close(self):
        self.run.close()
        shutil.rmtree(self.root, ignore_errors=True)
