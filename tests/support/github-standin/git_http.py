# SPDX-License-Identifier: Apache-2.0
"""git's smart HTTP: the request goes to `git http-backend`, its answer to the client."""
import os
import re
import subprocess
import urllib.parse

from answer import Answer
from credentials import token_of
from repositories import GIT_ENV

PATH = re.compile(r"/(?P<owner>[^/]+)/(?P<repo>[^/]+?)(?:\.git)?/"
                  r"(?P<rest>info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)\Z")
PIECE = 65536


def match(target):
    path, _, query = target.partition("?")
    found = PATH.match(urllib.parse.unquote(path))
    return (found, query) if found else (None, None)


def refuse(status, sentence):
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}
    return Answer(status, text=sentence + "\n", headers=headers)


def check(server, found, query, headers):
    """The repository, or the Answer that refuses."""
    user, token = token_of(headers.get("Authorization"))
    principal = server.credentials.find(token)
    if user != "x-access-token" or not principal:
        return None, refuse(401, "Invalid username or token.")
    full_name = f"{found['owner']}/{found['repo']}"
    repo = server.repositories.find(full_name)
    if not repo or not principal.sees(full_name):
        return None, refuse(404, "Repository not found.")
    service = urllib.parse.parse_qs(query).get("service", [found["rest"]])[0]
    if service not in ("git-upload-pack", "git-receive-pack"):
        return None, refuse(403, "Please upgrade your git client.")
    if not principal.may("contents", "write" if service == "git-receive-pack" else "read"):
        return None, refuse(403, "Write access to repository not granted.")
    return repo, None


def backend_env(server, repo, found, query, method, headers, body_size):
    env = {
        **GIT_ENV, "GIT_PROJECT_ROOT": server.repositories.directory, "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repo.full_name}.git/{found['rest']}", "QUERY_STRING": query,
        "REQUEST_METHOD": method, "REMOTE_USER": "x-access-token", "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""), "CONTENT_LENGTH": str(body_size),
    }
    for header in ("Accept", "Content-Encoding", "Git-Protocol", "User-Agent"):
        if headers.get(header):
            env["HTTP_" + header.upper().replace("-", "_")] = headers[header]
    env["GIT_PROTOCOL"] = headers.get("Git-Protocol", "")
    return env


def run(server, repo, found, query, method, headers, body, body_size):
    """Yields (status, headers) and then the pieces of the body."""
    body.seek(0)
    with subprocess.Popen(
            ["git", "http-backend"], stdin=body, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd=os.path.dirname(repo.path),
            env=backend_env(server, repo, found, query, method, headers, body_size)) as backend:
        try:
            status, answer_headers = 200, {}
            for line in iter(backend.stdout.readline, b""):
                name, colon, value = line.decode("latin-1").strip().partition(":")
                if not colon:
                    break
                if name.lower() == "status":
                    status = int(value.split()[0])
                else:
                    answer_headers[name] = value.strip()
            yield status, answer_headers
            while piece := backend.stdout.read1(PIECE):
                yield piece
        finally:
            backend.stdout.close()
