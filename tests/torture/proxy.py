# SPDX-License-Identifier: Apache-2.0
"""nginx with the configuration that ships (manifests/proxy/nginx.conf), in front of a dispatchd,
and between the two a tap that sees each byte nginx says to it."""
import json
import os
import re
import socket
import ssl
import subprocess
import threading

from parts import TREE, Failed, HeldPort, end, wait_for

SHIPPED = os.path.join(TREE, "manifests/proxy/nginx.conf")
NAME = "localhost"  # that the certificate is for
ALIAS = "x"  # what the corpus has for a Host
PIECE = 65536


class Tap:
    """Hands bytes on between whoever connects and dispatchd, and keeps what it was told."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.told = []  # a bytearray for each connection
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                client.close()
                continue
            told = bytearray()
            with self.lock:
                self.told.append(told)
            for one, other, kept in ((client, server, told), (server, client, None)):
                threading.Thread(target=self._pump, args=(one, other, kept), daemon=True).start()

    def _pump(self, one, other, kept):
        try:
            while piece := one.recv(PIECE):
                if kept is not None:
                    with self.lock:
                        kept += piece
                other.sendall(piece)
        except OSError:
            pass
        for side in (one, other):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self):
        """The head of each, by a reader that takes nothing but what has one meaning."""
        with self.lock:
            connections = [bytes(told) for told in self.told]
        return [head for told in connections for head in well_formed(told)]

    def close(self):
        self.listener.close()


FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\x00-\x08\x0a-\x1f\x7f]*")
LINE = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]")


def well_formed(told):
    heads = []
    while told:
        head, end_of_head, rest = told.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        if not end_of_head or not LINE.fullmatch(line):
            raise Failed(f"dispatchd was told {told[:300]!r}")
        lengths = []
        for field in fields:
            if not FIELD.fullmatch(field):
                raise Failed(f"dispatchd was told {field!r} in {head!r}")
            name, _, value = field.partition(b":")
            if name.lower() in (b"transfer-encoding", b"upgrade", b"connection", b"expect"):
                raise Failed(f"dispatchd was told {field!r}")
            if name.lower() == b"content-length":
                lengths.append(int(value))
        if len(lengths) > 1:
            raise Failed(f"dispatchd was told two lengths: {head!r}")
        size = lengths[0] if lengths else 0
        if len(rest) < size:
            raise Failed(f"dispatchd was told of {size} bytes, and got {len(rest)}")
        told = rest[size:]
        heads.append(head)
    return heads


class Nginx:
    """The one that ships, but for ports, paths and names."""

    def __init__(self, place, upstream_port):
        self.place = os.path.join(place, "nginx")
        os.makedirs(self.place)
        self.held = HeldPort()
        self.port = self.held.number
        self.log = os.path.join(self.place, "dispatch-access.log")
        self._certify()
        self.trust = ssl.create_default_context(cafile=os.path.join(self.place, "tls.crt"))
        config = os.path.join(self.place, "nginx.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write(self._adapted(upstream_port))
        self.process = subprocess.Popen(["nginx", "-c", config, "-p", self.place, "-g",
                                         "daemon off;"], stdin=subprocess.DEVNULL)
        wait_for("nginx listens", self._listens)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)
        self.held.socket.close()

    def _certify(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext",
             f"subjectAltName=DNS:{NAME}", "-keyout", os.path.join(self.place, "tls.key"),
             "-out", os.path.join(self.place, "tls.crt")], check=True, capture_output=True)

    def _adapted(self, upstream_port):
        with open(SHIPPED, encoding="utf-8") as text:
            config = text.read()
        replaced = {
            "user www-data;": "",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "listen [::]:443 ": f"listen [::1]:{self.port} ",
            "server 127.0.0.1:5000;": f"server 127.0.0.1:{upstream_port};",
            "server_name dispatch.example.com;": f"server_name {NAME} {ALIAS};",
            "/etc/dispatch/": f"{self.place}/",
            "/var/log/nginx/": f"{self.place}/",
            "/run/nginx.pid": f"{self.place}/nginx.pid",
        }
        for shipped, ours in replaced.items():
            if shipped not in config:
                raise Failed(f"{SHIPPED} has no {shipped!r}")
            config = config.replace(shipped, ours)
        if not socket.has_dualstack_ipv6():
            config = re.sub(r"\n *listen \[::1\].*", "", config)
        folders = "".join(f"    {kind}_temp_path {self.place}/{kind};\n" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return config.replace("http {\n", "http {\n" + folders, 1)

    def _listens(self):
        if self.process.poll() is not None:
            raise Failed(f"nginx ended with {self.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    @property
    def url(self):
        return f"https://{NAME}:{self.port}"

    def connect(self, source="127.0.0.1", timeout_s=60, name=NAME):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout_s, (source, 0))
        return self.trust.wrap_socket(plain, server_hostname=name)

    def seen(self):
        """What its own log has: a request each."""
        with open(self.log, encoding="utf-8") as log:
            return [json.loads(line) for line in log]
