# SPDX-License-Identifier: Apache-2.0
"""The bare repositories under DIR and what git says about them."""
import os
import re
import subprocess
import tempfile
import threading
import time

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")

# git as nobody in particular: no user's or system's configuration, and no prompts.
GIT_ENV = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
AUTHOR_ENV = {
    "GIT_AUTHOR_NAME": "Octo Cat", "GIT_AUTHOR_EMAIL": "octocat@example.com",
    "GIT_COMMITTER_NAME": "Octo Cat", "GIT_COMMITTER_EMAIL": "octocat@example.com",
}
SETTINGS = {
    "http.receivepack": "true",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.autogc": "false",
    "gc.auto": "0",
}


class Repository:
    def __init__(self, path, owner, name, number):
        self.path = path
        self.owner = owner
        self.name = name
        self.full_name = f"{owner}/{name}"
        self.id = number
        self.created_s = int(time.time())
        self.default_branch = "main"
        self.pulls = []
        self.lock = threading.Lock()  # held while `pulls` is looked at or added to

    def git(self, *args, env=None):
        """git's output, or None when it fails."""
        done = subprocess.run(
            ["git", "--git-dir", self.path, *args], env={**GIT_ENV, **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def branches(self):
        """{branch: commit}"""
        listed = self.git("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)",
                          "refs/heads") or b""
        rows = (line.split(" ", 1) for line in listed.decode().splitlines())
        return {name: commit for commit, name in rows}

    def commits_between(self, base, head):
        return int(self.git("rev-list", "--count", f"{base}..{head}") or 0)

    def diff(self, base, head):
        return self.git("diff", "--no-ext-diff", "--no-textconv", f"{base}...{head}")

    def diff_size(self, base, head):
        """(files, additions, deletions)"""
        listed = (self.git("diff", "--numstat", f"{base}...{head}") or b"").decode()
        rows = [line.split("\t") for line in listed.splitlines()]
        added = sum(int(row[0]) for row in rows if row[0] != "-")
        deleted = sum(int(row[1]) for row in rows if row[1] != "-")
        return len(rows), added, deleted


class Repositories:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.lock = threading.Lock()
        self.by_name = {}
        os.makedirs(self.directory, exist_ok=True)

    def find(self, full_name):
        return self.by_name.get(full_name)

    def installed(self):
        """What the App's installation covers: all of the first repository's owner."""
        all_of_them = list(self.by_name.values())
        return [repo for repo in all_of_them if repo.owner == all_of_them[0].owner]

    def add(self, full_name, fixture=None):
        """Makes OWNER/NAME with one commit on main, or takes up what is there."""
        owner, _, name = full_name.partition("/")
        if not NAME.match(owner) or not NAME.match(name):
            raise SystemExit(f"github-standin: {full_name} isn't OWNER/NAME")
        path = os.path.join(self.directory, owner, name + ".git")
        with self.lock:
            repo = Repository(path, owner, name, 1000 + len(self.by_name))
            if not os.path.exists(path):
                make_bare(repo)
                seed(repo, fixture)
            self.by_name[full_name] = repo
        return repo


def make_bare(repo):
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repo.path],
                   env=GIT_ENV, check=True)
    with open(os.path.join(repo.path, "config"), "a", encoding="utf-8") as config:
        for key, value in SETTINGS.items():
            section, _, name = key.partition(".")
            config.write(f"[{section}]\n\t{name} = {value}\n")


def seed(repo, fixture):
    with tempfile.TemporaryDirectory() as scratch:
        if fixture is None:
            fixture = os.path.join(scratch, "tree")
            os.mkdir(fixture)
            with open(os.path.join(fixture, "README.md"), "w", encoding="utf-8") as file:
                file.write(f"# {repo.name}\n")
        elif not os.path.isdir(fixture):
            raise SystemExit(f"github-standin: {fixture} isn't a directory")
        env = {**AUTHOR_ENV, "GIT_INDEX_FILE": os.path.join(scratch, "index")}
        if repo.git("--work-tree", fixture, "add", "--all", ".", env=env) is None:
            raise SystemExit(f"github-standin: git can't add {fixture}")
        tree = repo.git("write-tree", env=env).decode().strip()
        commit = repo.git("commit-tree", "-m", "First commit", tree, env=env).decode().strip()
        repo.git("update-ref", "refs/heads/main", commit)
