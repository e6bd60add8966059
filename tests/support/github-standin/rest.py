# SPDX-License-Identifier: Apache-2.0
"""The REST routes: a table, and one function for each."""
import json
import re
import time

from answer import Answer, Refused, invalid
from credentials import GRANTED, permissions_asked
from shapes import rfc3339

PER_PAGE, PER_PAGE_MAX = 30, 100
TITLE_MAX = 256
BODY_MAX = 65536
PULL_FIELDS = {"title": str, "head": str, "base": str, "body": str, "draft": bool,
               "maintainer_can_modify": bool}


def show_repository(call):
    repo = call.repository("metadata", "read")
    return Answer(200, call.shapes.full_repository(repo))


def show_app(call):
    return Answer(200, call.shapes.app(call.as_app(), GRANTED))


def show_repository_installation(call):
    app = call.as_app()
    repo = call.repositories.find(call.full_name)
    if repo not in call.repositories.installed():
        raise Refused(404, "Not Found")
    return Answer(200, call.shapes.installation(app, GRANTED, repo.owner))


def create_access_token(call):
    app = call.as_app()
    if int(call.params["id"]) != app.installation_id:
        raise Refused(404, "Not Found")
    wanted = call.document(optional=True)
    permissions = permissions_asked(wanted.get("permissions"))
    repos = repositories_asked(call.repositories, wanted)
    seen = call.repositories.installed() if repos is None else repos
    principal = call.credentials.mint(permissions, {repo.full_name for repo in seen})
    document = {
        "token": principal.token, "expires_at": rfc3339(principal.expires_s),
        "permissions": principal.permissions,
        "repository_selection": "all" if repos is None else "selected",
    }
    if repos is not None:
        document["repositories"] = [call.shapes.repository(repo) for repo in repos]
    return Answer(201, document)


def repositories_asked(repositories, wanted):
    """The repositories that a token is narrowed to; None: all that are installed."""
    names, ids = wanted.get("repositories"), wanted.get("repository_ids")
    if names is None and ids is None:
        return None
    if not all(isinstance(wish, (list, type(None))) for wish in (names, ids)):
        raise Refused(422, "Invalid request.\n\nFor 'properties/repositories', it is not an "
                           "array.")
    found = [repo for repo in repositories.installed()
             if repo.name in (names or []) or repo.id in (ids or [])]
    missing = set(names or []) - {repo.name for repo in found}
    if missing or set(ids or []) - {repo.id for repo in found}:
        raise Refused(422, "There is at least one repository that does not exist or is not "
                           "accessible to the parent installation.")
    return found


def create_pull(call):
    repo = call.repository("pull_requests", "write")
    wanted = call.document()
    for field in ("title", "head", "base"):
        if field not in wanted:
            raise Refused(422, f'Invalid request.\n\n"{field}" wasn\'t supplied.')
    for field, kind in PULL_FIELDS.items():
        if wanted.get(field) is not None and not isinstance(wanted[field], kind):
            raise Refused(422, f"Invalid request.\n\nFor 'properties/{field}', "
                               f"{json.dumps(wanted[field])} is not a {kind.__name__}.")
    pull = pull_from(repo, wanted, call.principal)
    with repo.lock:
        if any(p["head"] == pull["head"] and p["base"] == pull["base"] and p["state"] == "open"
               for p in repo.pulls):
            raise invalid("PullRequest", code="custom",
                          message=f"A pull request already exists for {repo.owner}:{pull['head']}.")
        pull["number"] = len(repo.pulls) + 1
        repo.pulls.append(pull)
    document = call.shapes.pull(repo, pull)
    return Answer(201, document, headers={"Location": document["url"]})


def pull_from(repo, wanted, principal):
    head, base = wanted["head"], wanted["base"]
    owner, colon, branch = head.rpartition(":")
    if colon and owner != repo.owner:
        raise invalid("PullRequest", "head")
    if not wanted["title"] or not wanted["title"].strip():
        raise invalid("PullRequest", "title", "missing_field")
    if len(wanted["title"]) > TITLE_MAX:
        raise invalid("PullRequest", "title", "custom",
                      f"title is too long (maximum is {TITLE_MAX} characters)")
    if len(wanted.get("body") or "") > BODY_MAX:
        raise invalid("PullRequest", "body", "custom",
                      f"body is too long (maximum is {BODY_MAX} characters)")
    branches = repo.branches()
    for field, name in (("head", branch), ("base", base)):
        if name not in branches:
            raise invalid("PullRequest", field)
    commits = repo.commits_between(branches[base], branches[branch])
    if commits == 0:
        raise invalid("PullRequest", code="custom",
                      message=f"No commits between {base} and {branch}")
    return {
        "state": "open", "title": wanted["title"].strip(), "body": wanted.get("body"),
        "head": branch, "base": base, "head_sha": branches[branch],
        "base_sha": branches[base], "draft": wanted.get("draft") or False, "commits": commits,
        "size": repo.diff_size(branches[base], branches[branch]), "created_s": int(time.time()),
        "maintainer_can_modify": wanted.get("maintainer_can_modify", False),
        "by": (principal.login, principal.kind),
    }


def refresh(repo, pulls):
    """Pull requests follow their branches."""
    branches = repo.branches()
    for pull in pulls:
        head = branches.get(pull["head"], pull["head_sha"])
        if head != pull["head_sha"]:
            pull["head_sha"] = head
            pull["commits"] = repo.commits_between(pull["base_sha"], head)
            pull["size"] = repo.diff_size(pull["base_sha"], head)


def list_pulls(call):
    repo = call.repository("pull_requests", "read")
    state = call.query.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise invalid("PullRequest", "state")
    per_page = min(call.number("per_page", PER_PAGE), PER_PAGE_MAX)
    page = call.number("page", 1)
    with repo.lock:
        found = [pull for pull in repo.pulls if pull_matches(repo, pull, state, call.query)]
    found.reverse()  # newest first
    shown = found[(page - 1) * per_page:page * per_page]
    refresh(repo, shown)
    headers = {}
    if page * per_page < len(found):
        url = f"{call.shapes.api}/repos/{repo.full_name}/pulls"
        headers["Link"] = f'<{url}?state={state}&per_page={per_page}&page={page + 1}>; rel="next"'
    return Answer(200, [call.shapes.pull_simple(repo, pull) for pull in shown], headers=headers)


def pull_matches(repo, pull, state, query):
    head = query.get("head", "")
    # As on GitHub, a head that isn't "owner:branch" filters nothing.
    if ":" in head and head != f"{repo.owner}:{pull['head']}":
        return False
    if "base" in query and query["base"] != pull["base"]:
        return False
    return state in ("all", pull["state"])


def show_pull(call):
    repo = call.repository("pull_requests", "read")
    number = int(call.params["number"])
    with repo.lock:
        if not 1 <= number <= len(repo.pulls):
            raise Refused(404, "Not Found")
        pull = repo.pulls[number - 1]
    refresh(repo, [pull])
    if re.search(r"application/vnd\.github\.(v3\.)?diff", call.headers.get("Accept", "")):
        return Answer(200, text=repo.diff(pull["base_sha"], pull["head_sha"]) or b"",
                      content_type="application/vnd.github.v3.diff; charset=utf-8")
    return Answer(200, call.shapes.pull(repo, pull))


def show_rate_limit(call):
    rate = call.rate()
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": rate["reset"]}
    return Answer(200, {"resources": {"core": rate, "search": search}, "rate": rate})


REPO = r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"
ROUTES = [
    ("GET", r"/app", show_app),
    ("GET", r"/rate_limit", show_rate_limit),
    ("GET", REPO, show_repository),
    ("GET", REPO + r"/installation", show_repository_installation),
    ("POST", r"/app/installations/(?P<id>\d{1,18})/access_tokens", create_access_token),
    ("POST", REPO + r"/pulls", create_pull),
    ("GET", REPO + r"/pulls", list_pulls),
    ("GET", REPO + r"/pulls/(?P<number>\d{1,9})", show_pull),
]
ROUTES = [(method, re.compile(path + r"\Z"), function) for method, path, function in ROUTES]


def find_route(method, path):
    for wanted, pattern, function in ROUTES:
        match = pattern.match(path)
        if match and wanted == method:
            return function, match.groupdict()
    return None, None
