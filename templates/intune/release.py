#!/usr/bin/env python3
"""Puts the permitted devices of a batch into its group in Microsoft Intune, and takes them out again. Run it every ten minutes from
the merge until the batch is over; twice changes nothing.

    GRAPH_TOKEN=$(az account get-access-token --resource-type ms-graph --query accessToken --output tsv) python3 release.py 01

Permissions: Group.ReadWrite.All, Device.Read.All, DeviceManagementConfiguration.ReadWrite.All, DeviceManagementManagedDevices.Read.All,
WindowsUpdates.ReadWrite.All. Shapes: https://learn.microsoft.com/graph/api/resources/intune-softwareupdate-windowsqualityupdateprofile,
.../intune-deviceconfig-windowsupdateforbusinessconfiguration, .../windowsupdates-qualityupdatecatalogentry.
"""
import functools
import sys

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import OK, OPEN, Refused, need, run
from rest import ask

STABLE, BETA = "https://graph.microsoft.com/v1.0", "https://graph.microsoft.com/beta"
RINGS = STABLE + "/deviceManagement/deviceConfigurations"
DRIVERS = BETA + "/deviceManagement/windowsDriverUpdateProfiles"
EXPEDITED = BETA + "/deviceManagement/windowsQualityUpdateProfiles"
CATALOG = BETA + "/admin/windows/updates/catalog/entries"


class Intune:
    def __init__(self, batch):
        self.bodies, self.assets = batch.data["bodies"], batch.assets
        self.headers = {"Authorization": "Bearer " + need("GRAPH_TOKEN"), "ConsistencyLevel": "eventual"}

    def ask(self, method, url, body=None, query=None):
        if not url.startswith("https://graph.microsoft.com/"):
            raise Refused(f"{url} is not Microsoft Graph")
        return ask(method, url, body, self.headers, query)

    def all(self, url, **query):
        """Every value of a list; a filter begins with `$` in Graph."""
        results, page = [], self.ask("GET", url, query={"$" + key: value for key, value in query.items()})
        while True:
            results += page["value"]
            if "@odata.nextLink" not in page:
                return results
            page = self.ask("GET", page["@odata.nextLink"])

    def one(self, url, field, name, **query):
        quoted = name.replace("'", "''")
        found = [each for each in self.all(url, filter=f"{field} eq '{quoted}'", **query) if each[field].lower() == name.lower()]
        if len(found) != 1:
            raise Refused(f"{len(found)} of {url} are called {name}")
        return found[0]

    def ensure(self, url, body):
        """The policy or group of the batch, made where it is missing."""
        mine = [each for each in self.all(url) if each["displayName"] == body["displayName"]]
        return (mine or [self.ask("POST", url, body)])[0]["id"]

    @functools.cached_property
    def release_date(self):
        """When the quality update was released that brings the builds of the batch: Intune names updates by that day."""
        builds = {part["version"] for asset in self.assets for part in asset["components"]}
        is_quality = "isof('microsoft.graph.windowsUpdates.qualityUpdateCatalogEntry')"
        revisions = "microsoft.graph.windowsUpdates.qualityUpdateCatalogEntry/productRevisions"
        entries = [entry for entry in self.all(CATALOG, filter=is_quality, expand=revisions) if entry.get("isExpeditable")]
        dates = {}
        for entry in entries:
            dates.update({each["id"]: entry["releaseDateTime"] for each in entry.get("productRevisions", [])})
        missing = sorted(builds - dates.keys())
        if missing:
            raise Refused(f"no update that can be expedited brings {', '.join(missing)}")
        found = {dates[build][:10] + "T00:00:00Z" for build in builds}
        if len(found) != 1:
            raise Refused(f"the builds of the batch were released on several days: {', '.join(sorted(found))}; split the batch")
        return found.pop()

    @functools.cached_property
    def group(self):
        """The group, with its ring, its driver policy and its expedited update: what they say holds for members alone."""
        group = self.ensure(STABLE + "/groups", self.bodies["group"])
        expedite = self.bodies["expedite"]
        expedite["expeditedUpdateSettings"]["qualityUpdateRelease"] = self.release_date
        target = {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}}
        for url, body in ((RINGS, self.bodies["ring"]), (DRIVERS, self.bodies["drivers"]), (EXPEDITED, expedite)):
            self.ask("POST", f"{url}/{self.ensure(url, body)}/assign", {"assignments": [target]})
        # An earlier withdrawal of the last device paused it; who is permitted now is not to wait 35 days.
        self.ring(paused=False)
        return group

    def ring(self, paused):
        body = self.bodies["pause"] if paused else {**self.bodies["pause"], "qualityUpdatesPaused": False}
        self.ask("PATCH", f"{RINGS}/{self.ensure(RINGS, self.bodies['ring'])}", body)

    def build(self, asset):
        return self.one(STABLE + "/deviceManagement/managedDevices", "deviceName", asset["device"], select="id,deviceName,osVersion")["osVersion"]

    def check(self, asset):
        self.build(asset)
        self.one(STABLE + "/devices", "displayName", asset["device"])
        if not self.release_date:
            raise Refused("no release is named")

    def release(self, asset, start):
        device = self.one(STABLE + "/devices", "displayName", asset["device"])["id"]
        self.ask("POST", f"{STABLE}/groups/{self.group}/members/$ref", {"@odata.id": f"{STABLE}/directoryObjects/{device}"})
        return {"group": self.group, "device": device}

    def look(self, asset, found):
        return (OK if self.build(asset) in {part["version"] for part in asset["components"]} else OPEN), ""

    def withdraw(self, asset, found):
        """Out of the group, to which ring and policies are assigned: what a device has begun it finishes all the same. The ring
        holds for every device of the batch, so it is paused only when the last one has left: a pause would keep the others,
        which are permitted, from their update."""
        members = f"{STABLE}/groups/{found['group']}/members"
        others = {member["id"] for member in self.all(members, select="id")}
        if found["device"] in others:
            self.ask("DELETE", f"{members}/{found['device']}/$ref")
        if not others - {found["device"]}:
            self.ring(paused=True)
        return True


if __name__ == "__main__":
    sys.exit(run(Intune, __doc__))
