# SPDX-License-Identifier: Apache-2.0
"""The corpus of smuggled.py at nginx, as it ships, in front of dispatchd. Each is refused and the
connection closed, or it is the one request that nginx took it for: as many as nginx has in its log
reach dispatchd, each of one meaning only, and as many runs are there as were answered 200. And
what clients rely on works through it.
"""
import through_nginx
from parts import Failed, wait_for
from proxy import Nginx, Tap
from raw import read_to_end, statuses
from smuggled import BODY, CHUNKINGS, CL, ODD_TARGETS, TE, ambiguous, odd_target, request

LIMIT_S = 8
# Of these nginx makes requests that have one meaning, the hidden one (an ordinary next request,
# as nginx sees it) being another: how many runs. The first group is what libmicrohttpd can't
# tell from well-formed requests, as it never shows the bytes of a chunk's line or of a trailer.
MADE_PLAIN = {
    "chunk with an extension": 2,
    "chunk behind a lone LF": 2,
    "trailer": 2,
    "plain chunks": 2,
    "TE b'chunked '": 2,
    "TE b'chunked\\r'": 2,
    "HTTP/1.2": 1,
    "blank before the target": 1,
    "lone LF behind the request line": 1,
    "lone LF behind a header": 1,
    "lone LF at the head's end": 1,
    "no colon": 1,
    "parenthesis in a name": 1,
    "8 bit in a name": 1,
}


class Attack:
    def __init__(self, dispatchd, nginx, tap):
        self.dispatchd, self.nginx, self.tap = dispatchd, nginx, tap
        self.refused = self.number = 0

    def source(self):
        """Each time another: what nginx allows one address is for another test."""
        self.number += 1
        return f"127.0.1.{self.number % 250 + 1}"

    def runs(self):
        return len(self.dispatchd.tasks(""))

    def forwarded(self):
        return sum(1 for line in self.nginx.seen() if line["upstream"])

    def one(self, what, sent):
        told, seen, runs = len(self.tap.requests()), self.forwarded(), self.runs()
        with self.nginx.connect(self.source()) as connection:
            connection.sendall(sent + through_nginx.LAST)
            came, closed = read_to_end(connection, LIMIT_S)
        if not closed:
            raise Failed(f"{what}: open after {came!r}")
        answers = statuses(came)
        if answers and answers[-1] == 200 and came.count(b'"status"'):
            answers.pop()  # of LAST
        served = answers.count(200)
        told = len(self.tap.requests()) - told
        wait_for(f"{what}: nginx has it in its log", lambda: self.forwarded() - seen >= told)
        if self.forwarded() - seen != told:
            raise Failed(f"{what}: nginx handed {self.forwarded() - seen} on, dispatchd was told"
                         f" {told}")
        if self.runs() - runs != served or served != MADE_PLAIN.get(what, 0):
            raise Failed(f"{what}: {self.runs() - runs} runs after {came!r}")
        if not served and any(status < 400 for status in answers):
            raise Failed(f"{what}: {came!r}")
        self.refused += not served


def corpus(dispatchd, nginx, tap, token):
    attack = Attack(dispatchd, nginx, tap)
    for what, sent in ambiguous(token):
        attack.one(what, sent)
    for target in ODD_TARGETS:
        attack.one(f"target {target!r}", odd_target(token, target))
    for what, body in CHUNKINGS:
        attack.one(what, request(token, TE, body + request(token, CL, BODY)))
    return attack

def attack(place, dispatchd, token):
    """At a nginx of its own; what held, in words."""
    tap = Tap(dispatchd.port)
    try:
        with Nginx(place, tap.port) as nginx:
            slow = through_nginx.Slow(nginx)
            log = through_nginx.SilentLog(dispatchd, nginx, token.decode())
            attacked = corpus(dispatchd, nginx, tap, token)
            relied_on = through_nginx.check(dispatchd, nginx, tap, token.decode())
            cut_s = slow.cut_after_s()
            log.end()
            through_nginx.without_dispatchd(dispatchd, nginx)
    finally:
        tap.close()
    chunked = ", ".join(what for what, _ in CHUNKINGS)
    print(f"libmicrohttpd doesn't see: {chunked}; dispatchd was told of none by nginx")
    return (f"nginx refused {attacked.refused} of {attacked.number}, dispatchd was told the rest"
            f" without a second meaning, the {len(CHUNKINGS)} chunkings that libmicrohttpd hides"
            f" among them; slow heads cut after {cut_s:.1f} s; {relied_on}")
