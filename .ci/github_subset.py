#!/usr/bin/env python3
"""github_subset.py FULL.json SUBSET.json: keeps of GitHub's OpenAPI description the operations the engine uses, with the
components they reach. The whole description takes the validating proxy a quarter of a minute to read, the part three
seconds. The GraphQL endpoint stands in no REST description; it is added with any JSON as its body."""
import json
import re
import sys

KEPT = re.compile(
    r"^/repos/\{owner\}/\{repo\}("
    r"|/compare/\{basehead\}"
    r"|/commits"
    r"|/pulls(/\{pull_number\}(/(requested_reviewers|reviews|merge|commits))?)?"
    r"|/git/(refs|blobs|trees|commits)(/\{.*\})?"
    r"|/git/(ref|matching-refs)/\{ref\}"
    r"|/issues(/\{issue_number\}(/(labels(/\{name\})?|comments))?)?"
    r"|/issues/comments/\{comment_id\}"
    r"|/check-runs(/\{check_run_id\})?"
    r"|/commits/\{ref\}/(statuses|check-runs)"
    r"|/statuses/\{sha\}"
    r")$|^/orgs/\{org\}/teams(/\{team_slug\}/members)?$|^/users/\{username\}$"
)
ANY_JSON = {"application/json": {"schema": {"type": "object"}}}
GRAPHQL = {
    "post": {
        "requestBody": {"content": ANY_JSON, "required": True},
        "responses": {"200": {"description": "An answer.", "content": ANY_JSON}},
    }
}


def reach(node, source, components):
    """Adds every component that `node` names, and those they name."""
    if isinstance(node, dict):
        name = node.get("$ref")
        if isinstance(name, str) and name.startswith("#/components/"):
            _, _, section, name = name.split("/", 3)
            name = name.replace("~1", "/")
            if name not in components.setdefault(section, {}):
                components[section][name] = source["components"][section][name]
                reach(components[section][name], source, components)
        for below in node.values():
            reach(below, source, components)
    elif isinstance(node, list):
        for below in node:
            reach(below, source, components)


def main(full, subset):
    source = json.load(open(full))
    paths = {path: item for path, item in source["paths"].items() if KEPT.match(path)}
    components = {}
    reach(paths, source, components)
    kept = {key: value for key, value in source.items() if key not in ("paths", "components", "webhooks", "x-webhooks")}
    kept["paths"] = {**paths, "/graphql": GRAPHQL}
    kept["components"] = components
    json.dump(kept, open(subset, "w"))
    print(f"{len(paths)} paths of GitHub's description")


main(*sys.argv[1:])
