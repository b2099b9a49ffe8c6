#!/usr/bin/env python3
"""Asks Landscape to upgrade the packages of a batch, one activity an asset, and follows them. Run it every ten minutes from the
merge until the batch is over; twice changes nothing.

    LANDSCAPE_URL=https://landscape.corp.example LANDSCAPE_EMAIL=... LANDSCAPE_PASSWORD=... python3 release.py 01

Calls: https://ubuntu.com/landscape/docs/reference/api/ (legacy actions UpgradePackages, GetActivities, CancelActivities; REST login,
computers, packages).
"""
import os
import sys

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import FAILED, OK, OPEN, UNPROVED, Refused, need, need_url, run, written
from rest import ask

LEGACY_VERSION = "2011-08-01"
PAGE = 1000


class Landscape:
    def __init__(self, _batch):
        self.url = need_url("LANDSCAPE_URL")
        login = {"email": need("LANDSCAPE_EMAIL"), "password": need("LANDSCAPE_PASSWORD")}
        if os.environ.get("LANDSCAPE_ACCOUNT"):
            login["account"] = os.environ["LANDSCAPE_ACCOUNT"]
        self.headers = {"Authorization": "Bearer " + ask("POST", self.url + "/api/v2/login", login)["token"]}

    def rest(self, path, **query):
        """Every result of a list, page by page."""
        offset, results = 0, []
        while True:
            page = ask("GET", self.url + path, headers=self.headers, query={**query, "limit": PAGE, "offset": offset})
            results += page["results"]
            offset += PAGE
            if offset >= page["count"]:
                return results

    def legacy(self, action, **arguments):
        return ask("GET", self.url + "/api/", headers=self.headers, query={"action": action, "version": LEGACY_VERSION, **arguments})

    def computer(self, asset):
        found = [one for one in self.rest("/api/v2/computers", query="hostname:" + asset["hostname"]) if one["hostname"] == asset["hostname"]]
        if len(found) != 1:
            raise Refused(f"{len(found)} computers are called {asset['hostname']}")
        return found[0]["id"]

    def check(self, asset):
        computer = self.computer(asset)
        offered = {}
        for package in self.rest("/api/v2/packages", query=f"id:{computer}", upgrade="true"):
            mine = [one for one in package["computers"] if one["id"] == computer]
            offered.update({package["name"]: one.get("available_version") for one in mine})
        for package in asset["packages"]:
            there = offered.get(package["name"])
            if there != package["version"]:
                raise Refused(f"the computer is offered {package['name']} {there or 'in no newer version'}; the plan says {package['version']}")

    def release(self, asset, start):
        if not asset["upgrade"]:
            raise Refused("an empty list of packages would upgrade all of them")
        names = {f"packages.{number}": name for number, name in enumerate(asset["upgrade"], 1)}
        group = self.legacy("UpgradePackages", query=f"id:{self.computer(asset)}", deliver_after=written(start), **names)
        return {"activity": group["id"]}

    def activities(self, found):
        """What became of the computer: the children of the activity, or the activity itself where it has none."""
        parent = found["activity"]
        return self.legacy("GetActivities", query=f"parent-id:{parent}") or self.legacy("GetActivities", query=f"id:{parent}")

    def look(self, asset, found):
        seen = self.activities(found)
        states = {one["activity_status"] for one in seen}
        if states & {"failed", "canceled"}:
            return FAILED, "; ".join(sorted({one.get("result_text") or one["activity_status"] for one in seen}))
        if states != {"succeeded"}:
            return OPEN, ""
        planned = {package["name"]: package["version"] for package in asset["packages"]}
        changes = [change for one in seen for change in one.get("changes") or []]
        other = [c for c in changes if c["package"] in planned and c["version"] != planned[c["package"]] and c["type"] != "remove"]
        if other:
            return FAILED, "installed another version than the plan: " + ", ".join(f"{c['package']} {c['version']}" for c in other)
        missing = sorted(planned.keys() - {change["package"] for change in changes if change["type"] != "remove"})
        return (UNPROVED, f"succeeded, and no change of {', '.join(missing)} is told") if missing else (OK, "")

    def withdraw(self, asset, found):
        for one in self.activities(found):
            if one["activity_status"] in ("undelivered", "unapproved", "scheduled"):
                self.legacy("CancelActivities", query=f"id:{one['id']}")
        seen = self.activities(found)
        # An activity that the server does not show any more is not one that was taken back.
        return bool(seen) and all(one["activity_status"] == "canceled" for one in seen)


if __name__ == "__main__":
    sys.exit(run(Landscape, __doc__))
