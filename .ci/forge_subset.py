#!/usr/bin/env python3
"""forge_subset.py github|gitea FULL.json SUBSET.json: keeps of a forge's API description the operations the engine uses, with
the components they reach. The whole description takes the validating proxy a quarter of a minute to read, the part three
seconds. GitHub's GraphQL endpoint stands in no REST description; it is added with any JSON as its body. Gitea's paths are
given with the root of the API, so that they stand as they are sent."""
import json
import re
import sys

REPOSITORY = r"^/repos/\{owner\}/\{repo\}"
GITHUB = re.compile(
    REPOSITORY + r"("
    r"|/compare/\{basehead\}"
    r"|/commits"
    r"|/pulls(/\{pull_number\}(/(requested_reviewers|reviews|merge|commits))?)?"
    r"|/git/(refs|blobs|trees|commits)(/\{.*\})?"
    r"|/git/(ref|matching-refs)/\{ref\}"
    r"|/issues(/\{issue_number\}(/(labels(/\{name\})?|comments))?)?"
    r"|/issues/comments/\{comment_id\}"
    r"|/check-runs(/\{check_run_id\})?"
    r"|/commits/\{ref\}(/(statuses|check-runs))?"
    r"|/statuses/\{sha\}"
    r")$|^/orgs/\{org\}/teams(/\{team_slug\}/members)?$|^/users/\{username\}$"
)
GITEA = re.compile(
    REPOSITORY + r"/("
    r"pulls(/\{index\}(/(requested_reviewers|reviews|merge|commits))?)?"
    r"|issues(/\{index\}(/(labels(/\{identifier\})?|comments|timeline))?)?"
    r"|issues/comments/\{id\}"
    r"|labels|teams"
    r"|git/commits/\{sha\}"
    r"|commits/\{ref\}/statuses|statuses/\{sha\}"
    r")$|^/orgs/\{org\}/teams$|^/teams/\{id\}/members$|^/users/\{username\}$|^/user$"
)
ANY_JSON = {"application/json": {"schema": {"type": "object"}}}
GRAPHQL = {
    "post": {
        "requestBody": {"content": ANY_JSON, "required": True},
        "responses": {"200": {"description": "An answer.", "content": ANY_JSON}},
    }
}


def reach(node, source, kept):
    """Adds every component that `node` names, and those they name, at the place they have in the source."""
    if isinstance(node, dict):
        name = node.get("$ref")
        if isinstance(name, str) and name.startswith("#/"):
            *way, last = name[2:].split("/")
            last = last.replace("~1", "/")
            there, here = source, kept
            for part in way:
                there, here = there[part], here.setdefault(part, {})
            if last not in here:
                here[last] = there[last]
                reach(there[last], source, kept)
        for below in node.values():
            reach(below, source, kept)
    elif isinstance(node, list):
        for below in node:
            reach(below, source, kept)


def main(forge, full, subset):
    source = json.load(open(full))
    wanted = GITHUB if forge == "github" else GITEA
    paths = {path: item for path, item in source["paths"].items() if wanted.match(path)}
    kept = {}
    reach(paths, source, kept)
    left_out = ("paths", "components", "definitions", "responses", "parameters", "webhooks", "x-webhooks", "basePath")
    kept.update({key: value for key, value in source.items() if key not in left_out})
    if forge == "github":
        kept["paths"] = {**paths, "/graphql": GRAPHQL}
    else:
        kept["paths"] = {source["basePath"] + path: item for path, item in paths.items()}
        # Gitea hands on whatever stands in a commit, be it an address or not.
        for person in ("CommitUser", "Identity"):
            kept["definitions"].get(person, {}).get("properties", {}).get("email", {}).pop("format", None)
    json.dump(kept, open(subset, "w"))
    print(f"{len(paths)} paths of the description of {forge}")


main(*sys.argv[1:])
