# SPDX-License-Identifier: Apache-2.0
"""Secrets that tests plant, and the search for them: as they are, in base64 (wherever in a text it
begins), in hex, and escaped for a URL or for JSON."""
import base64
import json
import os
import threading
import time
import urllib.parse

from parts import Failed

FORM_MIN = 8  # shorter ones are found by chance
LEAKS_SHOWN = 40
STANDIN = b"-standin"


def forms_of(secret):
    raw = secret.encode()
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode(),
             urllib.parse.quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    for before in range(3):
        # Whatever stands before and behind, these characters are there.
        text = base64.b64encode(b"\0" * before + raw)
        inner = text[-(-before * 4 // 3):(len(raw) + before) * 4 // 3 - 1]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in forms if len(form) >= FORM_MIN}


class Canaries:
    def __init__(self):
        self.forms = {}  # each, to the name of its secret
        self.names = set()
        self.looked_at = 0
        self.leaks = []
        self.lock = threading.Lock()

    def plant(self, name, secret):
        with self.lock:
            self.names.add(name)
            for form in forms_of(secret):
                self.forms.setdefault(form, name)
        return secret

    def found_in(self, data):
        with self.lock:
            forms = list(self.forms.items())
        return sorted({name for form, name in forms if form in data})

    def look(self, where, data, spared=()):
        data = data if isinstance(data, bytes) else data.encode()
        self.looked_at += len(data)
        for name in self.found_in(data):
            if name not in spared:
                form = next(f for f, n in self.forms.items() if n == name and f in data)
                at = data.find(form)
                self.leaks.append(f"{name} is in {where}: ...{data[max(0, at - 200):at + 80]!r}")

    def judge(self):
        if self.leaks:
            raise Failed("\n".join([f"{len(self.leaks)} leaks", *self.leaks[:LEAKS_SHOWN]]))

    def look_at_file(self, path, spared=()):
        try:
            with open(path, "rb") as file:
                self.look(path, file.read(), spared)
        except OSError:  # a pipe, or gone
            pass

    def look_below(self, folder, spared=()):
        for top, folders, names in os.walk(folder):
            for name in folders + names:
                self.look(f"a name in {top}", name, spared)
            for name in names:
                path = os.path.join(top, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    self.look_at_file(path, spared)


class Arguments:
    """What stands in anybody's argv, looked at again and again; but stand-ins are told theirs."""

    def __init__(self):
        self.seen, self.over = set(), False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as line:
                        words = line.read()
                    if STANDIN not in words:
                        self.seen.add(words)
                except OSError:
                    pass
            time.sleep(0.01)

    def end(self):
        self.over = True
        self.thread.join()
        return b"\n".join(self.seen)
