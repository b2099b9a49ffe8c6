#!/usr/bin/env python3
"""Snapshots of guests around a patch: whether there is room, taking one, and deleting what has had its time.

    snapshot.py room VM       exit 0 = every datastore of the guest keeps VCENTER_ROOM_PERCENT free (25) and room for what it uses
    snapshot.py create VM     prints the name, which carries the instant it is kept until (PATCHWAVE_KEEP_SECONDS, else 3 days)
    snapshot.py sweep         deletes snapshots of patchwave past that instant; run it every hour, whatever became of the patch

As programs of the site for the `vm-snapshot` backup of other targets: /etc/patchwave/hooks/snapshot-room and vm-snapshot call the
first two with the name of the asset. Calls (VI/JSON, vSphere 8.0 U1 or newer):
https://developer.broadcom.com/xapis/virtual-infrastructure-json-api/latest/
"""
import base64
import datetime
import os
import re
import sys
import time

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import Refused, instant, need, need_url, now, written
from rest import ask, send

RELEASE = "8.0.1.0"
SESSION = "vmware-api-session-id"
NAME = re.compile(r"patchwave (\S+) until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
# A snapshot that grows for days is a disk of its own; vendors ask for no more than three.
KEEP_SECONDS = 3 * 24 * 3600
ROOM_PERCENT = 25
POLL_SECONDS, POLLS = 5, 360


class Guests:
    def __init__(self):
        self.url = need_url("VCENTER_URL")
        user, password = need("VCENTER_USER"), need("VCENTER_PASSWORD")
        words = base64.b64encode(f"{user}:{password}".encode("utf-8")).decode("ascii")
        self.headers = {SESSION: ask("POST", self.url + "/api/session", headers={"Authorization": "Basic " + words})}
        # The other API has sessions of its own: Login gives the token in a header.
        login = f"{self.url}/sdk/vim25/{RELEASE}/SessionManager/SessionManager/Login"
        fields, _ = send("POST", login, {"userName": user, "password": password})
        self.vim_headers = {SESSION: fields[SESSION]}

    def vms(self, **query):
        return ask("GET", self.url + "/api/vcenter/vm", headers=self.headers, query=query)

    def vim(self, method, path, body=None):
        return ask(method, f"{self.url}/sdk/vim25/{RELEASE}/{path}", body, self.vim_headers)

    def one(self, name):
        found = self.vms(names=name)
        if len(found) != 1:
            raise Refused(f"{len(found)} guests are called {name}")
        return found[0]["vm"]

    def wait(self, task):
        for _ in range(POLLS):
            info = self.vim("GET", f"Task/{task['value']}/info")
            if info["state"] == "success":
                return
            if info["state"] == "error":
                raise Refused(f"task {task['value']}: {info.get('error', {}).get('localizedMessage', 'failed')}")
            time.sleep(POLL_SECONDS)
        raise Refused(f"task {task['value']} has not ended")

    def room(self, name):
        vm = self.one(name)
        share = int(os.environ.get("VCENTER_ROOM_PERCENT", ROOM_PERCENT))
        used = self.vim("GET", f"VirtualMachine/{vm}/summary")["storage"]["committed"]
        for store in self.vim("GET", f"VirtualMachine/{vm}/datastore"):
            summary = self.vim("GET", f"Datastore/{store['value']}/summary")
            free, capacity = summary["freeSpace"], summary["capacity"]
            # At worst every block of the guest is written once more.
            if free - used < capacity * share // 100:
                raise Refused(f"datastore {summary['name']} has {free >> 30} GiB free of {capacity >> 30}; {name} uses {used >> 30} and {share} % must stay free")

    def create(self, name):
        vm = self.one(name)
        keep = int(os.environ.get("PATCHWAVE_KEEP_SECONDS") or 0) or KEEP_SECONDS
        until = written(now() + datetime.timedelta(seconds=keep))
        label = f"patchwave {os.environ.get('PATCHWAVE_ROLLOUT') or 'by-hand'} until {until}"
        body = {"name": label, "description": "Deleted by snapshot.py sweep.", "memory": False, "quiesce": True}
        self.wait(self.vim("POST", f"VirtualMachine/{vm}/CreateSnapshot_Task", body))
        return label

    def sweep(self):
        failed = 0
        for vm in self.vms():
            known = self.vim("GET", f"VirtualMachine/{vm['vm']}/snapshot") or {}
            trees = list(known.get("rootSnapshotList") or [])
            while trees:
                tree = trees.pop()
                trees += tree.get("childSnapshotList") or []
                match = NAME.fullmatch(tree["name"])
                if not match or instant(match[2]) > now():
                    continue
                try:
                    body = {"removeChildren": False, "consolidate": True}
                    self.wait(self.vim("POST", f"VirtualMachineSnapshot/{tree['snapshot']['value']}/RemoveSnapshot_Task", body))
                    print(f"{vm['name']}: deleted {tree['name']}")
                except (Refused, OSError) as error:
                    failed += 1
                    print(f"{vm['name']}: {tree['name']} is still there: {error}", file=sys.stderr)
        return failed


def main(words):
    guests = Guests()
    if words == ["sweep"]:
        return 1 if guests.sweep() else 0
    if len(words) == 2 and words[0] == "room":
        guests.room(words[1])
        return 0
    if len(words) == 2 and words[0] == "create":
        print(guests.create(words[1]))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Refused, OSError, KeyError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
