#!/usr/bin/env python3
"""Schedules the errata of a batch in Uyuni, one action chain a system, and follows them. Run it every ten minutes from the merge
until the batch is over; twice changes nothing.

    UYUNI_URL=https://uyuni.corp.example UYUNI_USER=... UYUNI_PASSWORD=... python3 release.py 01

Calls: https://www.uyuni-project.org/uyuni-docs-api/uyuni/index.html (auth, system, errata, actionchain, schedule). A user with the
role system_group_admin of the systems is enough.
"""
import sys
import xmlrpc.client
import zoneinfo

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import FAILED, OK, OPEN, UNPROVED, Refused, need, need_url, run


def evr(epoch, version, release):
    """`[epoch:]version-release`, as the plan writes it: no epoch and epoch 0 are the same."""
    epoch = str(epoch or "").strip()
    return f"{epoch + ':' if epoch not in ('', '0') else ''}{version}-{release}"


class Uyuni:
    def __init__(self, _batch):
        self.api = xmlrpc.client.ServerProxy(need_url("UYUNI_URL") + "/rpc/api")
        self.zone = zoneinfo.ZoneInfo(need("UYUNI_TIMEZONE"))
        self.key = self.api.auth.login(need("UYUNI_USER"), need("UYUNI_PASSWORD"))

    def system(self, asset):
        found = self.api.system.getId(self.key, asset["system"])
        if len(found) != 1:
            raise Refused(f"{len(found)} systems are called {asset['system']}")
        return found[0]["id"]

    def errata(self, asset, sid):
        """The errata of the plan that this system lacks: names are of the vendor, ids of this server."""
        wanted = set(asset["errata"])
        names = {name for name in wanted if not name.startswith("CVE-")}
        for cve in sorted(wanted - names):
            names |= {erratum["advisory_name"] for erratum in self.api.errata.findByCve(self.key, cve)}
        relevant = self.api.system.getRelevantErrata(self.key, sid)
        return {erratum["advisory_name"]: erratum["id"] for erratum in relevant if erratum["advisory_name"] in names}

    def wrong(self, asset, sid):
        """Packages of the plan that are not at their version on the system."""
        installed = {(p["name"], p["arch"], evr(p.get("epoch"), p["version"], p["release"])) for p in self.api.system.listPackages(self.key, sid)}
        plain = {(name, version) for name, _, version in installed}
        here = lambda p: (p["name"], p["arch"], p["version"]) in installed or (not p["arch"] and (p["name"], p["version"]) in plain)
        return [p for p in asset["packages"] if not here(p)]

    def check(self, asset):
        sid = self.system(asset)
        if not self.errata(asset, sid):
            raise Refused("none of the errata of the plan is relevant to this system, and an empty list is never scheduled")
        offered = {}
        for package in self.api.system.listLatestUpgradablePackages(self.key, sid):
            offered[package["name"]] = evr(package.get("to_epoch"), package["to_version"], package["to_release"])
        for package in self.wrong(asset, sid):
            there = offered.get(package["name"])
            if there != package["version"]:
                raise Refused(f"the channels of the system offer {package['name']} {there or 'in no newer version'}; the plan says {package['version']}")

    def release(self, asset, start):
        sid, chain = self.system(asset), asset["chain"]
        errata = self.errata(asset, sid)
        if not errata:
            raise Refused("an empty list of errata is never scheduled")
        suggested = (self.api.errata.getDetails(self.key, name).get("reboot_suggested", False) for name in sorted(errata))
        reboot = asset["reboot"] == "always" or (asset["reboot"] == "ifNeeded" and any(suggested))
        if any(known["label"] == chain for known in self.api.actionchain.listChains(self.key)):
            # Left behind by a run that was lost before it scheduled anything.
            self.api.actionchain.deleteChain(self.key, chain)
        self.api.actionchain.createChain(self.key, chain)
        actions = [self.api.actionchain.addErrataUpdate(self.key, sid, sorted(errata.values()), chain)]
        if reboot:
            actions.append(self.api.actionchain.addSystemReboot(self.key, sid, chain))
        local = start.astimezone(self.zone).replace(tzinfo=None)
        self.api.actionchain.scheduleChain(self.key, chain, xmlrpc.client.DateTime(local))
        return {"system": sid, "actions": actions}

    def look(self, asset, found):
        done = 0
        for action in found["actions"]:
            of_system = lambda listed: any(one["server_id"] == found["system"] for one in listed)
            if of_system(self.api.schedule.listFailedSystems(self.key, action)):
                return FAILED, f"action {action} failed; see the events of the system"
            done += of_system(self.api.schedule.listCompletedSystems(self.key, action))
        if done < len(found["actions"]):
            return OPEN, ""
        wrong = self.wrong(asset, found["system"])
        names = ", ".join(f"{p['name']} {p['version']}" for p in wrong)
        return (UNPROVED, f"done, but not installed: {names}") if wrong else (OK, "")

    def withdraw(self, asset, found):
        """Only a chain of which nothing was picked up is taken back. One that is half done goes on: its reboot belongs to what
        is installed already, and an asset whose errata are in was not left as it was."""
        if self.begun(found):
            return False
        try:
            self.api.schedule.cancelActions(self.key, found["actions"])
        except xmlrpc.client.Fault:
            return False  # The system has picked it up.
        # Between the look and the cancelling a system may have taken its first action.
        return not self.begun(found)

    def begun(self, found):
        """Whether the system has finished an action of the chain, well or not. One that it is working on cannot be cancelled,
        which is for the server to say: it lists those that wait as in progress too."""
        lists = (self.api.schedule.listCompletedSystems, self.api.schedule.listFailedSystems)
        ended = (one["server_id"] for action in found["actions"] for listed in lists for one in listed(self.key, action))
        return found["system"] in ended


if __name__ == "__main__":
    sys.exit(run(Uyuni, __doc__, (xmlrpc.client.Error,)))
