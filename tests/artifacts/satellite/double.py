"""A stateful double of the few routes of Foreman and Katello that the rendered plays use.

    double.py PORT LOG        # USER and PASSWORD are DOUBLE_USER and DOUBLE_PASSWORD

Every request is written to LOG, one JSON object a line, and checked against description.py before it is answered. What a
real server would take and should never be asked (a blank search, a forced promotion, propagation to other environments)
is refused and counted at GET /__faults, as is every wrong parameter. POST /__behave {"19": "ok"} changes how a host takes
its jobs, GET /__state shows what there is. It is not a Foreman: answers hold only what the plays read.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import sys
import time
import urllib.parse

from apidoc import check, find, routes
from description import description

DOC = description()
KNOWN = routes(DOC)
LIBRARY, DEV, PROD = 1, 2, 3
PATH = {DEV: LIBRARY, PROD: DEV}
NAMES = {LIBRARY: "Library", DEV: "Dev", PROD: "Prod"}
OLD = {"kernel-core": "kernel-core-5.14.0-427.13.1.el9_4.x86_64", "openssl-libs": "openssl-libs-3.0.7-24.el9.x86_64"}
NEW = {"kernel-core": "kernel-core-5.14.0-503.14.1.el9_5.x86_64", "openssl-libs": "openssl-libs-3.0.7-27.el9.x86_64"}
# Errata with their package. The last is not of the rollout: nothing may add or install it.
ERRATA = {"RHSA-2026:0101": "openssl-libs", "RHSA-2026:0102": "kernel-core", "RHSA-2026:0999": "bash"}
# How a host takes its jobs: ok, fail, offline, late (it never begins).
BEHAVIOUR = {"17": "ok", "18": "ok", "19": "fail", "20": "offline"}


def version(number: int, view: int, major: int, minor: int, environments: list[int], errata: set[str], note: str) -> dict:
    return {
        "id": number, "content_view_id": view, "content_view": {"id": view, "name": VIEWS[view]}, "major": major,
        "minor": minor, "version": f"{major}.{minor}", "name": f"{VIEWS[view]} {major}.{minor}", "description": note,
        "places": environments, "errata": errata,
    }


VIEWS = {3: "RHEL 9 'base' {{ 7*7 }}", 5: "Web"}
ORGANIZATION = {"id": 1, "name": "Acme Europe", "label": "Acme_Europe", "title": "Acme Europe"}
VERSIONS = {
    88: version(88, 3, 12, 0, [LIBRARY, DEV, PROD], set(), ""),
    91: version(91, 5, 12, 0, [LIBRARY, PROD], set(), ""),
}
HOSTS = {
    17: {"name": "sat-test.fra1.acme.example", "views": [(3, DEV)]},
    18: {"name": "sat-1.fra1.acme.example", "views": [(3, PROD)]},
    19: {"name": "sat-2.fra1.acme.example", "views": [(3, PROD)]},
    20: {"name": "sat-3.fra1.acme.example", "views": [(3, PROD), (5, PROD)]},
}
for host in HOSTS.values():
    # What is installed, and what the host has reported: it reports a while after a job.
    host["has"] = {package: [nvra] for package, nvra in OLD.items()}
    host["reported"] = {package: list(found) for package, found in host["has"].items()}
    host["silent"] = 0
TASKS: dict[str, dict] = {}
JOBS: dict[int, dict] = {}
# Capsule 2 has Dev and Prod, and is behind for three questions after each promotion: not begun, running, done.
CAPSULE: dict = {"behind": set(), "asked": 0}
FAULTS: list[dict] = []


def page(found: list) -> dict:
    return {
        "total": len(found), "subtotal": len(found), "selectable": len(found), "page": 1, "per_page": 20, "search": None,
        "sort": {"by": None, "order": None}, "results": found,
    }


def shown(one: dict) -> dict:
    places = [{"id": place, "name": NAMES[place]} for place in one["places"]]
    return {**{key: value for key, value in one.items() if key not in ("errata", "places")}, "environments": places}


def begin(label: str, effect) -> dict:
    """A task that runs while it is asked about twice."""
    number = f"00000000-0000-4000-8000-{len(TASKS) + 1:012d}"
    TASKS[number] = {"id": number, "label": label, "asked": 0, "effect": effect}
    return task(number)


def task(number: str) -> dict:
    known = TASKS[number]
    done = known["asked"] >= 2
    if done and known["effect"]:
        known["effect"]()
        known["effect"] = None
    known["asked"] += 1
    return {
        "id": number, "label": known["label"], "action": known["label"], "started_at": "2026-11-24 20:00:00 UTC", "state": "stopped" if done else "running", "pending": not done,
        "result": "success" if done else "pending", "progress": 1 if done else 0.5, "humanized": {"errors": []},
        "input": {}, "output": {},
    }


def move(one: dict, environments: list[int]) -> None:
    for other in VERSIONS.values():
        if other["content_view_id"] == one["content_view_id"]:
            other["places"] = [place for place in other["places"] if place not in environments]
    one["places"] = sorted(set(one["places"]) | set(environments))
    CAPSULE["behind"] |= set(environments) & {DEV, PROD}
    CAPSULE["asked"] = 0


def addable(one: dict) -> list[str]:
    """Only the base view has repositories with errata."""
    return [erratum for erratum in ERRATA if erratum not in one["errata"]] if one["content_view_id"] == 3 else []


def lacks(host: dict) -> list[str]:
    """Every host lacks the last erratum; of the others those whose package it has not reported in its new version."""
    reported = host["reported"]
    missing = [e for e, package in ERRATA.items() if package in NEW and NEW[package] not in reported[package]]
    return [*missing, "RHSA-2026:0999"]


def offered(host: dict) -> set[str]:
    places = [one for one in VERSIONS.values() for view, place in host["views"] if one["content_view_id"] == view and place in one["places"]]
    return set().union(*(one["errata"] for one in places))


def run(host: dict, job: dict) -> tuple[str, list[dict]]:
    """What a job does on a host: how it ends, and what is written."""
    said = lambda kind, text: {"output_type": kind, "output": text, "timestamp": time.time()}  # noqa: E731
    how = BEHAVIOUR[str(job["host"])]
    inputs = job["request"]["inputs"]
    if how == "late":
        return "cancelled", []
    if how == "offline":
        return "failed", [
            said("debug", "Error initializing command: RuntimeError - Could not establish connection to remote host\n"),
            said("debug", "Exit status: EXCEPTION"),
        ]
    if how == "fail":
        return "failed", [said("stdout", "Running transaction\nError: %prein scriptlet failed\n"), said("stdout", "Exit status: 1")]
    if "errata" in inputs:
        for erratum in inputs["errata"].split(","):
            if erratum in offered(host) and ERRATA[erratum] in NEW:
                package = ERRATA[erratum]
                kept = host["has"][package] if package == "kernel-core" else []
                host["has"][package] = [*kept, NEW[package]]
    for word in inputs.get("command", "").split():
        bare = re.sub(r"-\d+:", "-", word)
        for package, nvra in OLD.items():
            if bare == nvra:
                host["has"][package] = [nvra]
    host["silent"] = 2
    return "succeeded", [said("stdout", "Complete!\nExit status: 0")]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def answer(self, value: object, code: int = 200) -> None:
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(text)))
        self.send_header("Foreman_api_version", "2")
        self.end_headers()
        self.wfile.write(text)

    def refuse(self, request: dict, why: list[str]) -> None:
        FAULTS.append({"request": f"{request['method']} {request['path']}", "faults": why})
        self.answer({"error": {"message": "; ".join(why)}}, 422)

    def do_GET(self) -> None:  # noqa: N802
        self.serve()

    def do_POST(self) -> None:  # noqa: N802
        self.serve()

    def serve(self) -> None:
        parts = urllib.parse.urlparse(self.path)
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length) if length else b""
        request = {
            "method": self.command, "path": parts.path, "query": dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
            "body": json.loads(raw) if raw else {},
        }
        if parts.path == "/__faults":
            return self.answer(FAULTS)
        if parts.path == "/__behave":
            BEHAVIOUR.update(request["body"])
            return self.answer(BEHAVIOUR)
        if parts.path == "/__state":
            state = {"hosts": HOSTS, "versions": [shown(one) for one in VERSIONS.values()], "jobs": [job["request"] for job in JOBS.values()]}
            return self.answer(state)
        if parts.path.startswith("/apidoc/v2"):
            return self.answer(DOC)
        user, password = os.environ["DOUBLE_USER"], os.environ["DOUBLE_PASSWORD"]
        if self.headers.get("authorization") != "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode():
            return self.answer({"error": {"message": "Unable to authenticate user"}}, 401)
        with open(sys.argv[2], "a", encoding="utf-8") as log:
            log.write(json.dumps(request) + "\n")
        wrong = check(KNOWN, request)
        if wrong:
            return self.refuse(request, wrong)
        route, in_path = find(KNOWN, self.command, parts.path)
        return getattr(self, f"{route.resource}_{route.name}")(in_path, request)

    def home_status(self, _: dict, __: dict) -> None:
        self.answer({"result": "ok", "status": 200, "version": "3.12.0", "api_version": 2})

    def ping_server_status(self, _: dict, __: dict) -> None:
        self.answer({"version": "4.14.0", "timeUTC": "now"})

    def organizations_index(self, _: dict, __: dict) -> None:
        self.answer(page([ORGANIZATION]))

    def organizations_show(self, _: dict, __: dict) -> None:
        self.answer(ORGANIZATION)

    def lifecycle_environments_index(self, _: dict, request: dict) -> None:
        found = [{"id": key, "name": name, "library": key == LIBRARY} for key, name in NAMES.items()]
        self.answer(page([one for one in found if f'"{one["name"]}"' in request["query"].get("search", f'"{one["name"]}"')]))

    def content_views_index(self, _: dict, request: dict) -> None:
        asked = request["query"].get("search", "")
        self.answer(page([{"id": key, "name": name} for key, name in VIEWS.items() if asked == f'name="{name}"']))

    def content_views_show(self, path: dict, _: dict) -> None:
        self.answer({"id": int(path["id"]), "name": VIEWS[int(path["id"])], "composite": False})

    def content_view_versions_index(self, _: dict, request: dict) -> None:
        query = request["query"]
        searched = dict(re.findall(r"(\w+)=([\w.]+)", query.get("search", "")))
        view = query.get("content_view_id") or searched.get("content_view_id")
        found = [one for one in VERSIONS.values() if view is None or one["content_view_id"] == int(view)]
        if "environment_id" in query:
            found = [one for one in found if int(query["environment_id"]) in one["places"]]
        if "version" in searched:
            found = [one for one in found if one["version"] == searched["version"]]
        self.answer(page([shown(one) for one in found]))

    def content_view_versions_show(self, path: dict, _: dict) -> None:
        self.answer(shown(VERSIONS[int(path["id"])]))

    def content_view_versions_promote(self, path: dict, request: dict) -> None:
        body, one = request["body"], VERSIONS[int(path["id"])]
        targets = [int(place) for place in body["environment_ids"]]
        if body.get("force"):
            return self.refuse(request, ["a promotion is forced"])
        if not all(PATH.get(place) in one["places"] for place in targets):
            return self.answer({"displayMessage": "Cannot promote environment out of sequence. Use force to bypass restriction."}, 422)
        self.answer(begin("Actions::Katello::ContentView::Promote", lambda: move(one, targets)), 202)

    def content_view_versions_incremental_update(self, _: dict, request: dict) -> None:
        body = request["body"]
        errata = body["add_content"].get("errata_ids") or []
        wrong = [f"{erratum} is not of the rollout" for erratum in errata if erratum not in ("RHSA-2026:0101", "RHSA-2026:0102")]
        if not errata or wrong or body.get("propagate_all_composites"):
            return self.refuse(request, wrong or ["no errata, or other environments are changed too"])

        def effect() -> None:
            for update in body["content_view_version_environments"]:
                old = VERSIONS[update["content_view_version_id"]]
                number = max(VERSIONS) + 1
                minors = [one["minor"] for one in VERSIONS.values() if (one["content_view_id"], one["major"]) == (old["content_view_id"], old["major"])]
                VERSIONS[number] = version(number, old["content_view_id"], old["major"], max(minors) + 1, [], old["errata"] | set(errata), body["description"])
                move(VERSIONS[number], update["environment_ids"])

        self.answer(begin("Actions::Katello::ContentView::IncrementalUpdates", effect), 202)

    def errata_index(self, _: dict, request: dict) -> None:
        if not re.fullmatch(r"errata_id \^ \([\w:,-]+\)", request["query"].get("search", "")):
            return self.refuse(request, ["the search for errata is blank or cannot be read"])
        one = VERSIONS[int(request["query"]["content_view_version_id"])]
        # The whole list, as a server that does not know the operator would give it: the play must look itself.
        self.answer(page([{"errata_id": erratum} for erratum in addable(one)]))

    def packages_index(self, _: dict, request: dict) -> None:
        asked = re.fullmatch(r'name = "([\w.+-]+)"', request["query"].get("search", ""))
        if not asked:
            return self.refuse(request, ["the search for packages is blank or cannot be read"])
        one = VERSIONS[int(request["query"]["content_view_version_id"])]
        there = [OLD] + [NEW] * ("RHSA-2026:0101" in one["errata"]) if one["content_view_id"] == 3 else []
        self.answer(page([{"name": asked[1], "nvra": shelf[asked[1]]} for shelf in there if asked[1] in shelf]))

    def capsules_index(self, _: dict, __: dict) -> None:
        self.answer(page([{"id": 1, "name": "foreman.acme.example"}, {"id": 2, "name": "capsule.acme.example"}]))

    def capsule_content_sync_status(self, path: dict, _: dict) -> None:
        if path["id"] == "1":
            places = [{"id": place, "name": name, "syncable": True} for place, name in NAMES.items()]
            return self.answer({"last_sync_time": None, "active_sync_tasks": [], "last_failed_sync_tasks": [], "lifecycle_environments": places})
        CAPSULE["asked"] += 1
        if CAPSULE["asked"] >= 3:
            CAPSULE["behind"] = set()
        active = [{"label": "Actions::Katello::CapsuleContent::Sync"}] if CAPSULE["behind"] and CAPSULE["asked"] == 2 else []
        places = [{"id": place, "name": NAMES[place], "syncable": place in CAPSULE["behind"]} for place in (DEV, PROD)]
        self.answer({"last_sync_time": "2026-11-24 20:00:00 UTC", "active_sync_tasks": active, "last_failed_sync_tasks": [], "lifecycle_environments": places})

    def foreman_tasks_show(self, path: dict, _: dict) -> None:
        self.answer(task(path["id"]))

    def hosts_show(self, path: dict, _: dict) -> None:
        host = HOSTS.get(int(path["id"]))
        if not host:
            return self.answer({"error": {"message": "Resource host not found by id"}}, 404)
        views = [{"content_view": {"id": view}, "lifecycle_environment": {"id": place}} for view, place in host["views"]]
        facet = {"content_view_environments": views, "content_source_id": 2, "content_source_name": "capsule.acme.example", "katello_tracer_installed": True}
        if len(views) == 1:
            # As servers before several content views a host said it.
            facet = {**facet, **views[0]}
            del facet["content_view_environments"]
        self.answer({"id": int(path["id"]), "name": host["name"], "content_facet_attributes": facet})

    def reported(self, path: dict) -> dict:
        host = HOSTS[int(path["host_id"])]
        if host["silent"]:
            host["silent"] -= 1
        else:
            host["reported"] = {package: list(found) for package, found in host["has"].items()}
        return host

    def host_errata_index(self, path: dict, request: dict) -> None:
        host = self.reported(path)
        everything = request["query"].get("include_applicable", "").lower() == "true"
        self.answer(page([{"errata_id": erratum} for erratum in lacks(host) if everything or erratum in offered(host)]))

    def host_packages_index(self, path: dict, _: dict) -> None:
        host = self.reported(path)
        self.answer(page([{"name": package, "nvra": nvra} for package, found in host["reported"].items() for nvra in found]))

    def host_tracer_index(self, path: dict, _: dict) -> None:
        host = HOSTS[int(path["host_id"])]
        waiting = NEW["kernel-core"] in host["has"]["kernel-core"]
        self.answer(page([{"id": 1, "application": "kernel", "app_type": "static", "helper": "You will have to reboot your computer"}] if waiting else []))

    def job_templates_index(self, _: dict, request: dict) -> None:
        found = request["query"].get("search") == 'name = "Run Command - Script Default"'
        self.answer(page([{"id": 7, "name": "Run Command - Script Default"}] if found else []))

    def job_invocations_create(self, _: dict, request: dict) -> None:
        job = request["body"]["job_invocation"]
        asked = re.fullmatch(r"id = (\d+)", job.get("search_query", ""))
        if not asked or int(asked[1]) not in HOSTS:
            return self.refuse(request, ["a blank search of hosts: on a real server this job would run on all of them"])
        if ("feature" in job) == ("job_template_id" in job):
            return self.refuse(request, ["exactly one of feature and job_template_id"])
        if not any(str(value).strip() for value in job.get("inputs", {}).values()):
            return self.refuse(request, ["blank inputs: on a real server this job would install everything"])
        number = len(JOBS) + 1
        JOBS[number] = {"host": int(asked[1]), "request": job, "asked": 0, "said": []}
        self.answer({"id": number, "status_label": "queued", "total": 1, "pending": 1}, 201)

    def job_invocations_show(self, path: dict, _: dict) -> None:
        job = JOBS[int(path["id"])]
        job["asked"] += 1
        if job["asked"] == 3:
            job["state"], job["said"] = run(HOSTS[job["host"]], job)
        self.answer({"id": int(path["id"]), "status_label": job.get("state", "queued" if job["asked"] == 1 else "running"), "total": 1})

    def job_invocations_outputs(self, path: dict, _: dict) -> None:
        job = JOBS[int(path["id"])]
        self.answer({"outputs": [{"host_id": job["host"], "complete": True, "refresh": False, "output": job["said"]}]})


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
