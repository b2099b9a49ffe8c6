#!/usr/bin/env python3
"""Remediates the hosts of a batch, one after the other, with the image of their cluster. Run it every five minutes from the merge
until the batch is over; twice changes nothing.

    VCENTER_URL=https://vcenter.corp.example VCENTER_USER=... VCENTER_PASSWORD=... VCENTER_ACCEPT_EULA=yes python3 release.py 01

The cluster must have the base image of the plan already; see README.md. Calls (vSphere API 7.0 U2 or newer):
https://developer.broadcom.com/xapis/vsphere-automation-api/latest/esx/settings/clusters/software/
"""
import base64
import os
import sys

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import FAILED, OK, OPEN, UNPROVED, Refused, need, need_url, run
from rest import ask


class VCenter:
    # A cluster remediates once at a time, and two hosts in maintenance mode are two hosts less.
    serial = True

    def __init__(self, _batch):
        self.url = need_url("VCENTER_URL")
        words = f"{need('VCENTER_USER')}:{need('VCENTER_PASSWORD')}".encode("utf-8")
        login = {"Authorization": "Basic " + base64.b64encode(words).decode("ascii")}
        self.headers = {"vmware-api-session-id": ask("POST", self.url + "/api/session", headers=login)}

    def ask(self, method, path, body=None, **query):
        return ask(method, self.url + "/api" + path, body, self.headers, query)

    def host(self, asset):
        """The host and the one cluster it is in."""
        found = self.ask("GET", "/vcenter/host", names=asset["host"])
        if len(found) != 1:
            raise Refused(f"{len(found)} hosts are called {asset['host']}")
        host = found[0]
        for cluster in self.ask("GET", "/vcenter/cluster"):
            mine = self.ask("GET", "/vcenter/host", clusters=cluster["cluster"])
            if any(each["host"] == host["host"] for each in mine):
                return host, cluster["cluster"]
        raise Refused(f"{asset['host']} is in no cluster")

    def image(self, cluster):
        return self.ask("GET", f"/esx/settings/clusters/{cluster}/software/base-image")["version"]

    def check(self, asset):
        host, cluster = self.host(asset)
        if host["connection_state"] != "CONNECTED":
            raise Refused(f"the host is {host['connection_state']}")
        planned = asset["baseImage"]["version"]
        if self.image(cluster) != planned:
            raise Refused(f"the image of cluster {cluster} has the base image {self.image(cluster)}; the plan says {planned}")
        if os.environ.get("VCENTER_ACCEPT_EULA") != "yes":
            raise Refused("the license agreement of the image is not accepted (VCENTER_ACCEPT_EULA=yes)")

    def release(self, asset, start):
        host, cluster = self.host(asset)
        if not host["host"]:
            raise Refused("an empty list of hosts would remediate the whole cluster")
        body = {"hosts": [host["host"]], "accept_eula": True}
        task = self.ask("POST", f"/esx/settings/clusters/{cluster}/software", body, action="apply", **{"vmw-task": "true"})
        return {"task": task, "host": host["host"], "cluster": cluster}

    def look(self, asset, found):
        task = self.ask("GET", f"/cis/tasks/{found['task']}")
        if task["status"] == "FAILED":
            return FAILED, str(task.get("error", {}).get("messages") or task.get("description", {}).get("default_message", ""))
        if task["status"] != "SUCCEEDED":
            return OPEN, ""
        compliance = self.ask("GET", f"/esx/settings/clusters/{found['cluster']}/software/compliance")
        status = compliance.get("hosts", {}).get(found["host"], {}).get("status", "unknown")
        same = self.image(found["cluster"]) == asset["baseImage"]["version"]
        return (OK, "") if status == "COMPLIANT" and same else (UNPROVED, f"the host is {status} with the image of its cluster")

    def withdraw(self, asset, found):
        return False  # It has begun: a remediation is not cut off half way.


if __name__ == "__main__":
    sys.exit(run(VCenter, __doc__))
