# SPDX-License-Identifier: Apache-2.0
"""GitHub's documents, with every field that its OpenAPI document requires."""
import time

REPO_URLS = """
archive_url:/{archive_format}{/ref} assignees_url:/assignees{/user} blobs_url:/git/blobs{/sha}
branches_url:/branches{/branch} collaborators_url:/collaborators{/collaborator}
comments_url:/comments{/number} commits_url:/commits{/sha}
compare_url:/compare/{base}...{head} contents_url:/contents/{+path}
contributors_url:/contributors deployments_url:/deployments downloads_url:/downloads
events_url:/events forks_url:/forks git_commits_url:/git/commits{/sha}
git_refs_url:/git/refs{/sha} git_tags_url:/git/tags{/sha} hooks_url:/hooks
issue_comment_url:/issues/comments{/number} issue_events_url:/issues/events{/number}
issues_url:/issues{/number} keys_url:/keys{/key_id} labels_url:/labels{/name}
languages_url:/languages merges_url:/merges milestones_url:/milestones{/number}
notifications_url:/notifications{?since,all,participating} pulls_url:/pulls{/number}
releases_url:/releases{/id} stargazers_url:/stargazers statuses_url:/statuses/{sha}
subscribers_url:/subscribers subscription_url:/subscription tags_url:/tags teams_url:/teams
trees_url:/git/trees{/sha}
""".split()

USER_URLS = """
url: events_url:/events{/privacy} followers_url:/followers following_url:/following{/other_user}
gists_url:/gists{/gist_id} organizations_url:/orgs received_events_url:/received_events
repos_url:/repos starred_url:/starred{/owner}{/repo} subscriptions_url:/subscriptions
""".split()


def rfc3339(at_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


class Shapes:
    """`root` is the server's address, `api` where its REST routes were reached."""

    def __init__(self, root, api):
        self.root = root
        self.api = api

    def user(self, login, kind="User"):
        number = sum(login.encode()) + 1
        base = f"{self.api}/users/{login.replace('[', '%5B').replace(']', '%5D')}"
        urls = dict(pair.split(":", 1) for pair in USER_URLS)
        return {
            "login": login, "id": number, "node_id": f"U_{number}", "gravatar_id": "",
            "avatar_url": f"{self.root}/avatars/{number}",
            "html_url": f"{self.root}/{base.rpartition('/')[2]}",
            "type": kind, "site_admin": False,
            **{name: base + path for name, path in urls.items()},
        }

    def repository(self, repo):
        base = f"{self.api}/repos/{repo.full_name}"
        page = f"{self.root}/{repo.full_name}"
        urls = dict(pair.split(":", 1) for pair in REPO_URLS)
        open_pulls = sum(1 for pull in repo.pulls if pull["state"] == "open")
        return {
            "id": repo.id, "node_id": f"R_{repo.id}", "name": repo.name,
            "full_name": repo.full_name, "private": True, "owner": self.user(repo.owner),
            "html_url": page, "description": None, "fork": False, "url": base,
            **{name: base + path for name, path in urls.items()},
            "clone_url": page + ".git", "git_url": f"git://127.0.0.1/{repo.full_name}.git",
            "ssh_url": f"git@127.0.0.1:{repo.full_name}.git", "svn_url": page,
            "mirror_url": None, "homepage": None, "language": None, "license": None,
            "default_branch": repo.default_branch, "visibility": "private", "topics": [],
            "forks": 0, "forks_count": 0, "watchers": 0, "watchers_count": 0,
            "stargazers_count": 0, "size": 1, "open_issues": open_pulls,
            "open_issues_count": open_pulls, "has_issues": True, "has_projects": True,
            "has_wiki": True, "has_pages": False, "has_downloads": True,
            "has_discussions": False, "archived": False, "disabled": False,
            "is_template": False, "web_commit_signoff_required": False, "allow_forking": True,
            "pushed_at": rfc3339(repo.created_s), "created_at": rfc3339(repo.created_s),
            "updated_at": rfc3339(repo.created_s),
            "permissions": {"admin": False, "maintain": False, "push": True, "triage": True,
                            "pull": True},
        }

    def full_repository(self, repo):
        return {**self.repository(repo), "network_count": 0, "subscribers_count": 0}

    def pull_simple(self, repo, pull):
        base = f"{self.api}/repos/{repo.full_name}"
        number = pull["number"]
        url, page = f"{base}/pulls/{number}", f"{self.root}/{repo.full_name}/pull/{number}"
        issue = f"{base}/issues/{number}"
        links = {
            "comments_url": issue + "/comments", "commits_url": url + "/commits",
            "review_comments_url": url + "/comments",
            "review_comment_url": base + "/pulls/comments{/number}",
            "statuses_url": f"{base}/statuses/{pull['head_sha']}", "html_url": page,
            "issue_url": issue, "url": url,
        }
        return {
            "id": repo.id * 100000 + number, "node_id": f"PR_{repo.id}_{number}",
            "number": number, "state": pull["state"], "locked": False, "title": pull["title"],
            "body": pull["body"], "draft": pull["draft"], "user": self.user(*pull["by"]),
            "created_at": rfc3339(pull["created_s"]), "updated_at": rfc3339(pull["created_s"]),
            "closed_at": None, "merged_at": None, "merge_commit_sha": None, "assignee": None,
            "assignees": [], "requested_reviewers": [], "requested_teams": [], "labels": [],
            "milestone": None, "auto_merge": None, "active_lock_reason": None,
            "author_association": "CONTRIBUTOR", "diff_url": page + ".diff",
            "patch_url": page + ".patch", **links,
            "_links": {("self" if name == "url" else name[:-4]): {"href": value}
                       for name, value in links.items()},
            "head": self.end(repo, pull["head"], pull["head_sha"]),
            "base": self.end(repo, pull["base"], pull["base_sha"]),
        }

    def pull(self, repo, pull):
        files, added, deleted = pull["size"]
        return {
            **self.pull_simple(repo, pull), "commits": pull["commits"], "changed_files": files,
            "additions": added, "deletions": deleted, "comments": 0, "review_comments": 0,
            "merged": False, "mergeable": True, "mergeable_state": "clean", "merged_by": None,
            "rebaseable": True, "maintainer_can_modify": pull["maintainer_can_modify"],
        }

    def end(self, repo, branch, commit):
        return {"label": f"{repo.owner}:{branch}", "ref": branch, "sha": commit,
                "user": self.user(repo.owner), "repo": self.repository(repo)}

    def installation(self, app, granted, owner):
        url = f"{self.api}/app/installations/{app.installation_id}"
        return {
            "id": app.installation_id, "app_id": app.app_id, "app_slug": "dispatch",
            "client_id": "Iv1.0123456789abcdef", "target_id": 1, "target_type": "Organization",
            "account": self.user(owner, "Organization"), "single_file_name": None,
            "has_multiple_single_files": False, "single_file_paths": [],
            "repository_selection": "selected", "access_tokens_url": url + "/access_tokens",
            "html_url": f"{self.root}/settings/installations/{app.installation_id}",
            "repositories_url": f"{self.api}/installation/repositories", "events": [],
            "permissions": granted, "created_at": rfc3339(0), "updated_at": rfc3339(0),
            "suspended_by": None, "suspended_at": None,
        }

    def app(self, app, granted):
        return {
            "id": app.app_id, "slug": "dispatch", "node_id": f"A_{app.app_id}",
            "client_id": "Iv1.0123456789abcdef", "owner": self.user("octo", "Organization"),
            "name": "Dispatch", "description": None, "external_url": "https://example.com",
            "html_url": f"{self.root}/apps/dispatch", "created_at": rfc3339(0),
            "updated_at": rfc3339(0), "permissions": granted, "events": [],
            "installations_count": 1,
        }
