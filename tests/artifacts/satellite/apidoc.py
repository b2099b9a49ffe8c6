"""Reads an API description in the form Foreman publishes (apipie), and checks requests against it.

    apidoc.py DESCRIPTION REQUESTS.ndjson      # each line {"method", "path", "query", "body"}

A request is wrong if no route takes it, if a required parameter is missing, or if a parameter is not described. The
description says of most parameters no more than their name, so a good answer here is not a good answer of a server.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

# What every list of Foreman takes, described or not.
EVERYWHERE = {"organization_id", "location_id"}


class Route:
    """A method and a path with the parameters it takes."""

    def __init__(self, verb: str, path: str, resource: str, name: str, params: list[dict]) -> None:
        self.verb, self.path, self.resource, self.name, self.params = verb, path, resource, name, params
        self.pattern = re.compile("^" + re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path) + "$")


def routes(description: dict) -> list[Route]:
    """Every route, those with fewer variable parts first."""
    found = [
        Route(api["http_method"], api["api_url"], resource, method["name"], method.get("params") or [])
        for resource, entry in description["docs"]["resources"].items()
        for method in entry["methods"]
        for api in method["apis"]
    ]
    return sorted(found, key=lambda route: route.path.count(":"))


def find(known: list[Route], verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and the values in its path."""
    for route in known:
        match = route.pattern.match(path)
        if match and route.verb == verb:
            return route, match.groupdict()
    return None


def last_name(name: str) -> str:
    """`job_invocation[inputs]` is called `inputs` where it stands."""
    return name.split("[")[-1].rstrip("]")


def faults(params: list[dict], given: dict, in_path: set[str], where: str = "") -> Iterator[str]:
    """What is wrong with the parameters of a request."""
    known = {last_name(param["name"]): param for param in params}
    for name, param in known.items():
        if param.get("required") and name not in given and name not in in_path:
            yield f"{where}{name} is required"
    for name, value in given.items():
        if name not in known:
            if name not in EVERYWHERE:
                yield f"{where}{name} is not described"
            continue
        param = known[name]
        choices = re.findall(r"<code>(.*?)</code>", param.get("validator") or "")
        if "Must be one of" in (param.get("validator") or "") and choices and not isinstance(value, (dict, list)):
            # The words are compared as they stand: a server does not take `True` for `true`.
            word = str(value).lower() if isinstance(value, bool) else str(value)
            if word not in choices:
                yield f"{where}{name} = {value} is none of {', '.join(choices)}"
        if param.get("expected_type") == "array" and not isinstance(value, list) and isinstance(given, dict) and where:
            yield f"{where}{name} is not a list"
        if param.get("params"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from faults(param["params"], item, set(), f"{where}{name}.")


def check(known: list[Route], request: dict) -> list[str]:
    """What is wrong with a request."""
    found = find(known, request["method"], request["path"])
    if not found:
        return ["no such route"]
    route, in_path = found
    return list(faults(route.params, {**(request.get("query") or {}), **(request.get("body") or {})}, set(in_path)))


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        known = routes(json.load(file))
    wrong = count = 0
    with open(sys.argv[2], encoding="utf-8") as file:
        for line in file:
            request = json.loads(line)
            count += 1
            for fault in check(known, request):
                wrong += 1
                print(f"{request['method']} {request['path']}: {fault}")
    print(f"{count} requests, {wrong} faults")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
