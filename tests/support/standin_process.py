# SPDX-License-Identifier: Apache-2.0
"""What every stand-in does as a process: say its port, and live until it is told to end.

A handler of a signal that takes a lock (that starts a thread, or sets an Event) may find the
thread it interrupts holding it, and wait for ever. So the main thread does nothing but wait.
"""
import os
import signal
import threading
import time

PARENT_POLL_S = 0.2


def write_port_file(path, port):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f"{port}\n")
    os.replace(path + ".new", path)  # a reader never sees half of it


class Lifetime:
    """Until SIGTERM or SIGINT, or until the parent is gone. To be made before what takes time."""

    def __init__(self, with_parent):
        self.parent = os.getppid() if with_parent else None
        self.serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.end)

    def end(self, *_):
        if not self.serving:
            os._exit(0)
        raise SystemExit

    def serve(self, serve_forever, close=None):
        """Serves in a thread of its own; calls close and ends the process when it is over."""
        threading.Thread(target=serve_forever, daemon=True).start()
        try:
            self.serving = True
            while self.parent is None or os.getppid() == self.parent:
                time.sleep(PARENT_POLL_S)
        except SystemExit:
            pass
        try:
            if close:
                close()
        finally:
            os._exit(0)
