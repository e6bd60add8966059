# SPDX-License-Identifier: Apache-2.0
"""The tests' own entrance: faults, scripts, and what has been seen so far."""
import json

from schema import MESSAGES


def post(cloud, path, wanted):
    if path == "/standin/faults":
        cloud.faults.add(wanted)
    elif path == "/standin/scripts":
        cloud.scripts.add(wanted.get("run", "*"), wanted["script"])
    elif path == "/standin/revoke":
        cloud.identity.revoke_all()
    else:
        return 404, {}
    return 200, {}


def get(cloud, path, query):
    if path == "/standin/requests":
        found = cloud.log.matching(query.get("method"), query.get("path", ""))
        if not query.get("answers"):
            found = [{key: value for key, value in entry.items() if key != "answer"}
                     for entry in found]
        return 200, found
    if path == "/standin/counts":
        return 200, {"executions": len(cloud.run.executions), "made": cloud.run.made,
                     "tokens": cloud.identity.made, "secrets": len(cloud.secrets.all),
                     "secrets_made": len(cloud.secrets.made)}
    if path == "/standin/executions":
        return 200, list(cloud.run.executions.values())
    if path == "/standin/schema":
        return 200, MESSAGES
    return 404, {}


def control(cloud, method, path, query, body):
    """(code, document)"""
    try:
        if method == "POST":
            return post(cloud, path, json.loads(body) if body else {})
        if method == "DELETE":
            {"/standin/faults": cloud.faults, "/standin/scripts": cloud.scripts}[path].clear()
            return 200, {}
        return get(cloud, path, query)
    except (KeyError, ValueError) as wrong:
        return 400, {"message": str(wrong)}
