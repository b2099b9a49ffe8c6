#!/usr/bin/env python3
"""Edits the pins of the charts and images of a batch in the GitOps repository of each asset, one commit an asset, and pushes them.
Run it every ten minutes while the batch is open; twice changes nothing. Where the repositories are stands in settings.yml.

    PATCHWAVE_HELM_SETTINGS=/etc/patchwave/helm.yml python3 release.py 01

Git asks its own credential helpers or the SSH agent. Needs git, and PyYAML 6 (python3-yaml).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

# The folder holds what was merged and nothing else: what Python keeps beside its files would not be listed in SHA256SUMS.
sys.dont_write_bytecode = True

from patchwave import FAILED, OK, OPEN, UNPROVED, Refused, run
from pins import Wanted, yaml
from edit import edited, planned
from ready import missing

# What a clone may not do: run hooks, ask somebody, follow other transports, change line ends, fetch other repositories.
SAFE = ["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "core.autocrlf=false", "-c", "submodule.recurse=false"]
URL = re.compile(r"(https|ssh|file)://[^\s]+|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^\s:]+|/[^\s]+")
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*")


def settings():
    """The settings of the site, else those beside this script."""
    path = pathlib.Path(os.environ.get("PATCHWAVE_HELM_SETTINGS") or pathlib.Path(__file__).resolve().parent / "settings.yml")
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        value["repositories"]["default"] = {**value["repositories"].get("default", {})}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{path} does not say where the repositories are: {str(error).splitlines()[0]}") from error
    for key in ("url", "branch"):
        if os.environ.get("PATCHWAVE_HELM_" + key.upper()):
            value["repositories"]["default"][key] = os.environ["PATCHWAVE_HELM_" + key.upper()]
    return value


def where(value, name):
    """The repository of an asset, checked: an address without credentials, a branch, paths."""
    entry = {"branch": "main", "paths": [], "skip": [], "push": "direct", "ready": {}}
    entry.update(value["repositories"]["default"])
    entry.update(value["repositories"].get(name) or {})
    for key in ("url", "branch"):
        entry[key] = str(entry.get(key) or "").replace("{asset}", name)
    for key in ("paths", "skip"):
        if not isinstance(entry[key], list) or not all(isinstance(path, str) and path for path in entry[key]):
            raise Refused(f"`{key}` of {name} in the settings is no list of texts")
        entry[key] = [path.replace("{asset}", name) for path in entry[key]]
    if not entry["url"] or not entry["paths"]:
        raise Refused(f"the settings say no `url` and `paths` of the GitOps repository of {name}: set them in a file named by PATCHWAVE_HELM_SETTINGS")
    if not URL.fullmatch(entry["url"]):
        raise Refused(f"`url` of {name} in the settings is no https, ssh or file address")
    if re.match(r"https?://[^/]*@", entry["url"]):
        raise Refused(f"`url` of {name} in the settings holds credentials: they belong to Git's credential helpers")
    if not BRANCH.fullmatch(entry["branch"]):
        raise Refused(f"`branch` of {name} in the settings is no name of a branch")
    if entry["push"] not in ("direct", "branch"):
        raise Refused(f"`push` of {name} in the settings is neither direct nor branch")
    return entry


def goals(asset, action):
    """What an asset is brought from and to; the way back is the same the other way round."""
    was, goal = ("before", "version") if action == "patch" else ("version", "before")
    return [Wanted(part["kind"], part["name"], part[was], part[goal]) for part in asset["components"]]


class GitOps:
    def __init__(self, batch):
        self.batch, self.settings = batch, settings()
        self.seconds = int(self.settings.get("timeoutSeconds", 300))
        self.scratch = tempfile.TemporaryDirectory(prefix="patchwave-helm-")
        self.clones = {}

    def git(self, *words, folder=None, fails=True):
        """One call of git: what it says, or with `fails` false its exit code and everything it says."""
        environment = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            environment.pop(name, None)
        how = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace", "timeout": self.seconds}
        try:
            said = subprocess.run(["git", *SAFE, *words], cwd=folder, env=environment, **how)
        except subprocess.TimeoutExpired as error:
            raise Refused(f"git {words[0]} took longer than {self.seconds} seconds") from error
        if not fails:
            return said.returncode, said.stdout + said.stderr
        if said.returncode:
            raise Refused(f"git {words[0]}: {(said.stderr or said.stdout).strip()}")
        return said.stdout.strip()

    def clone(self, entry, branch=None):
        """The newest commit of a branch, in a folder of its own."""
        branch = branch or entry["branch"]
        self.git("check-ref-format", "refs/heads/" + branch)
        folder = tempfile.mkdtemp(dir=self.scratch.name)
        # Of the same machine Git copies everything in spite of --depth; file:// makes it ask.
        url = "file://" + entry["url"] if entry["url"].startswith("/") else entry["url"]
        self.git("clone", "--quiet", "--depth", "1", "--single-branch", "--no-tags", "--no-recurse-submodules", "--branch", branch, "--", url, folder)
        return pathlib.Path(folder)

    def work(self, asset):
        """A fresh clone and the edits it needs; none where everything stands already."""
        if self.batch.data["action"] == "rollback" and asset["rollback"] != "exact":
            raise Refused("the plan has no way back for it: repair forward, by a rollout of its own")
        entry = where(self.settings, asset["name"])
        folder = self.clone(entry)
        files = planned(folder, entry, goals(asset, self.batch.data["action"]))
        return folder, {file: (edited(text, pins), pins) for file, (text, pins) in files.items()}

    def check(self, asset):
        self.clones[asset["name"]] = self.work(asset)

    def release(self, asset, start):
        """One commit, pushed only as a fast forward. What could not be pushed is told by look()."""
        entry, why = where(self.settings, asset["name"]), ""
        branch = entry["branch"] if entry["push"] == "direct" else self.own(asset)
        for attempt in range(max(1, int(self.settings.get("attempts", 5)))):
            if attempt:
                time.sleep(attempt)
            try:
                folder, files = self.clones.pop(asset["name"], None) or self.work(asset)
                if not files:
                    return {"commit": self.git("rev-parse", "HEAD", folder=folder), "branch": ""}
                commit = self.commit(folder, asset, files)
                # Clones and pushes take their time: what allowed the first may not allow this one any more.
                why = "the opening is over" if self.batch.opening() is None else self.batch.refusal(asset) if attempt else ""
                if why:
                    break
                code, said = self.git("push", "--porcelain", "--no-follow-tags", "origin", f"HEAD:refs/heads/{branch}", folder=folder, fails=False)
            except (Refused, OSError) as error:
                return {"commit": "", "branch": "", "why": f"the push did not end well: {error}"}
            if code == 0:
                return {"commit": commit, "branch": branch if entry["push"] == "branch" else ""}
            why = " ".join(said.split())
            # Only who came later than somebody else tries again; a branch that is protected stays so.
            if not re.search(r"\[rejected\]|cannot lock ref|incorrect old value|failed to update ref", said):
                break
        return {"commit": "", "branch": "", "why": f"nothing was pushed onto {branch}: {why}"}

    def own(self, asset):
        """The branch of an asset, for a pull request of the site."""
        return "/".join(["patchwave-helm", *(self.batch.data[key] for key in ("rollout", "wave", "batch", "action")), asset["name"]])

    def commit(self, folder, asset, files):
        for file, (text, _) in files.items():
            (folder / file).write_bytes(text.encode("utf-8"))
        pins = [pin for _, pins in files.values() for pin in pins]
        moved = sorted({f"{pin.wanted.name} {pin.wanted.was} -> {pin.wanted.goal}" for pin in pins})
        title = f"{asset['name']}: {moved[0] if len(moved) == 1 else f'{len(moved)} versions'}"
        lines = [f"- {pin.wanted.name} {pin.value} -> {pin.wanted.goal}: {pin.file}:{pin.line}" for pin in pins]
        of = {**{key: self.batch.data[key] for key in ("rollout", "wave", "batch", "action")}, "asset": asset["name"]}
        trailers = [f"Patchwave-{key.capitalize()}: {value}" for key, value in of.items()]
        author, who = {"name": "patchwave", "email": "patchwave@localhost", **(self.settings.get("author") or {})}, []
        for key in ("name", "email"):
            if self.git("config", f"user.{key}", folder=folder, fails=False)[0]:
                who += ["-c", f"user.{key}={author[key]}"]
        # Named one by one and literally: nothing else of the clone can come into the commit.
        self.git("--literal-pathspecs", "add", "--", *files, folder=folder)
        self.git(*who, "commit", "--quiet", "--message", "\n".join([title, "", *lines, "", *trailers]), folder=folder)
        changed = self.git("diff", "--name-only", "-z", "HEAD~1", "HEAD", folder=folder).rstrip("\0").split("\0")
        if sorted(changed) != sorted(files):
            raise Refused(f"the commit would change {', '.join(changed)}, and the edits are in {', '.join(files)}")
        return self.git("rev-parse", "HEAD", folder=folder)

    def look(self, asset, found):
        entry, wanted = where(self.settings, asset["name"]), goals(asset, self.batch.data["action"])
        folder = self.clone(entry)
        try:
            # Somebody may have gone further meanwhile, which is no failure of this batch.
            left = planned(folder, entry, wanted, newer_will_do=self.batch.data["action"] == "patch")
            why = found.get("why") or f"{entry['branch']} still has {', '.join(one.was for one in wanted)}: the edit was taken back"
        except Refused as error:
            left, why = True, found.get("why") or str(error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if left and found.get("branch"):
            if self.git("ls-remote", "--heads", "--", entry["url"], "refs/heads/" + found["branch"]):
                return OPEN, ""
            return FAILED, f"{found['branch']} is gone and was not merged"
        if left:
            return FAILED, why
        if not entry["ready"]:
            return OK, f"{entry['branch']} has the versions; what the cluster runs is shown by its next observation"
        state, why = missing(entry["ready"], wanted, self.seconds)
        return (FAILED if state == "failed" else UNPROVED if why else OK), why

    def withdraw(self, asset, found):
        """A branch that nobody has merged is deleted; what stands on the branch of the cluster stays."""
        if not found.get("branch") or self.look(asset, found)[0] != OPEN:
            return False
        entry = where(self.settings, asset["name"])
        folder, name = self.clone(entry), "refs/heads/" + found["branch"]
        return self.git("push", "--porcelain", f"--force-with-lease={name}:{found['commit']}", "origin", ":" + name, folder=folder, fails=False)[0] == 0


if __name__ == "__main__":
    sys.exit(run(GitOps, __doc__))
