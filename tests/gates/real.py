"""Rollouts whose gates are asked of real monitors: promoted when they are green, held when a metric is missing or a server
is down, stopped when they are red. Run by .ci/gates-real; the argument is the binary."""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from monitors import Icinga, Nagios, Prometheus, wait_for

HOME = Path(__file__).resolve().parents[2]
sys.path.append(str(HOME / ".ci"))

import planted  # noqa: E402

MACHINES = ["t1", "t2"]
FIXED = "1:3.0.7-29.el9_4"
# Planted: it must turn up nowhere.
ICINGA = "reader:planted9a31f7c05de2684b"


def now(ahead: float = 0) -> str:
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ahead)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Estate:
    """The estate of the scenarios, played at the time of the machine."""

    def __init__(self, binary: str, folder: Path, gates: list[str], sources: str):
        self.binary, self.folder = binary, folder
        shutil.copytree(HOME / "tests/scenarios/estate", folder)
        (folder / "fleets/monitors.yaml").write_text(sources)
        strategies = folder / "fleets/strategies.yaml"
        text = strategies.read_text()
        lines = "".join(f"        - {gate}\n" for gate in gates)
        edited = text.replace("      soak: 12h\n", f"      soak: 4s\n      gates:\n{lines}", 1)
        assert edited != text
        strategies.write_text(edited)
        # The story is of today.
        for advisory in (folder / "fleets/advisories").glob("*.json"):
            advisory.write_text(re.sub(r'"(published|modified)": "[^"]*"', rf'"\1": "{now(-86400)}"', advisory.read_text()))
        self.observe()
        git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
        for arguments in [["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "The estate"]]:
            subprocess.run([*git, *arguments], check=True)

    def observe(self, fix: bool = False) -> None:
        """The machines are seen now; test machines with the fix, if they are patched."""
        for path in (self.folder / "fleets/observed").iterdir():
            lines = []
            for line in path.read_text().splitlines():
                asset = json.loads(line)
                asset["observedAt"] = now()
                for package in asset["packages"]:
                    if fix and asset["asset"] in MACHINES and package["name"] == "openssl-libs":
                        package["version"] = FIXED
                lines.append(json.dumps(asset))
            path.write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str, at: str | None = None) -> str:
        clock = ["--now", at] if at else []
        said = subprocess.run(
            [self.binary, "-C", str(self.folder), *clock, *arguments], capture_output=True, text=True, check=False,
            env={**os.environ, "ICINGA_READER": ICINGA},
        )
        if said.returncode != 0:
            raise SystemExit(f"{arguments} ended with {said.returncode}:\n{said.stdout}\n{said.stderr}")
        assert not planted.in_bytes((said.stdout + said.stderr).encode()), "a credential was told"
        return said.stdout

    def reconcile(self, at: str | None = None) -> dict:
        return json.loads(self.run("-q", "reconcile", "--once", "--format", "json", at=at))

    def soaking(self) -> None:
        """Proposed, merged, released, patched, verified."""
        self.reconcile()
        self.run("-q", "forge", "merge", "1")
        done = "\n".join(self.reconcile()["done"])
        assert "released wave test batch 01" in done, done
        # Observations are as exact as a second: the patch is seen after the release.
        time.sleep(2)
        self.observe(fix=True)
        done = "\n".join(self.reconcile()["done"])
        assert "wave test verified" in done, done

    def until(self, text: str, seconds: float = 60) -> dict:
        """Reconciles until something done or waited for says `text`."""
        last: dict = {}

        def said() -> bool:
            last.clear()
            last.update(self.reconcile())
            waits = [w["message"] for w in last["waits"]]
            return any(text in line for line in [*last["done"], *waits])

        try:
            wait_for(text, said, seconds)
        except SystemExit as why:
            raise SystemExit(f"{why}\n{json.dumps(last, indent=1)}") from why
        return last

    def ledger(self) -> list[dict]:
        forge = ["git", "-C", str(self.folder / ".patchwave/forge.git")]
        names = subprocess.run([*forge, "ls-tree", "--name-only", "patchwave/ledger"], capture_output=True, text=True, check=True)
        name = next(n for n in names.stdout.split() if n.startswith("linux-"))
        text = subprocess.run([*forge, "show", f"patchwave/ledger:{name}"], capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def moves(self) -> list[str]:
        return [line["data"]["moved"] for line in self.ledger() if line["event"] == "wave"]


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def green(binary: str, work: Path, sources: str, prometheus: Prometheus) -> None:
    say("green in Prometheus, Nagios and Icinga (TLS, its own authority): promoted, and that is on record")
    gates = [PROMQL, "{status: ok, source: nagios}", "{status: ok, source: icinga}"]
    estate = Estate(binary, work / "green", gates, sources)
    prometheus.show({"t1": 1, "t2": 1, "p1": 0})
    estate.soaking()
    estate.until("wave test promoted")
    ledger = estate.ledger()
    promoted = next(i for i, line in enumerate(ledger) if line["data"].get("moved") == "promoted")
    shown = ledger[promoted - 1]["data"]["gates"]
    assert [g["state"] for g in shown] == ["passed"] * 3, shown
    assert shown[0]["samples"]["t2"]["value"] == "1", shown
    assert shown[1]["samples"].keys() == shown[2]["samples"].keys() == set(MACHINES), shown
    estate.run("-q", "audit", "verify")
    print(json.dumps(shown, indent=1))


def missing(binary: str, work: Path, sources: str, prometheus: Prometheus) -> None:
    say("a metric that is missing, then a server that is down: it waits, and goes on when they are back")
    prometheus.show({"t1": 1})
    estate = Estate(binary, work / "missing", [PROMQL], sources)
    # The series of before is gone for Prometheus once it was scraped without it.
    wait_for("t2 is gone", lambda: b't2' not in ask(prometheus))
    estate.soaking()
    time.sleep(5)
    run = estate.until("t2: no sample has host `t2`; one has `t1`")
    print(run["waits"])
    assert "promoted" not in estate.moves()
    prometheus.stop()
    run = estate.until("connection refused")
    print(run["waits"])
    assert run["writes"] > 0 and estate.reconcile()["writes"] == 0, "waiting writes nothing"
    assert "failed" not in estate.moves() and "promoted" not in estate.moves()
    prometheus.start()
    prometheus.show({"t1": 1, "t2": 1})
    estate.until("wave test promoted")


def red(binary: str, work: Path, sources: str, nagios: Nagios) -> None:
    say("green, then red in Nagios: the soak is broken, and an hour later the wave is halted")
    estate = Estate(binary, work / "red", ["{status: ok, source: nagios, for: 1h}"], sources)
    estate.soaking()
    estate.until("is holding")
    nagios.show("t2", 2)
    run = estate.until("wave test soak-broken")
    print(run["done"])
    assert "failed" not in estate.moves()
    run = estate.reconcile(at=now(3660))
    print(run["done"])
    assert any("wave test halted: halted: gate `status ok for 1h` is red" in line for line in run["done"]), run
    print(estate.run("-q", "status", at=now(3700)))
    nagios.show("t2", 0)


def refused(binary: str, work: Path, sources: str) -> None:
    say("a certificate that nobody trusts: unreadable")
    estate = Estate(binary, work / "refused", ["{status: ok, source: icinga}"], re.sub(r", caFile: [^}]*", "", sources))
    estate.soaking()
    run = estate.until("TLS is refused")
    print(run["waits"])
    assert "promoted" not in estate.moves()


def ask(prometheus: Prometheus) -> bytes:
    import urllib.request

    with urllib.request.urlopen(f"{prometheus.url}/api/v1/query?query=app_up", timeout=5) as answer:
        return answer.read()


PROMQL = (
    "{promql: app_up, source: prometheus, match: {label: host, to: asset.name, stripPort: true}, is: \"== 1\", for: 3s}"
)


def main() -> None:
    binary = os.path.abspath(sys.argv[1])
    started = []
    with tempfile.TemporaryDirectory(prefix="patchwave-gates-") as folder:
        work = Path(folder)
        # Nagios and Icinga run as a user of their own.
        work.chmod(0o755)
        try:
            prometheus = Prometheus(work / "prometheus")
            started.append(prometheus)
            nagios = Nagios(work / "nagios", MACHINES)
            started.append(nagios)
            icinga = Icinga(work / "icinga", MACHINES, ICINGA)
            started.append(icinga)
            say(f"started: {prometheus.url} {nagios.url} {icinga.url}")
            shutil.copy(icinga.ca, work / "ca.pem")
            head = "apiVersion: patchwave.dev/v1\nkind: Source\n"
            sources = "---\n".join([
                f"{head}metadata: {{name: prometheus}}\nspec: {{kind: monitor, type: prometheus, url: \"{prometheus.url}\"}}\n",
                f"{head}metadata: {{name: nagios}}\nspec: {{kind: monitor, type: nagios, url: \"{nagios.url}\"}}\n",
                f"{head}metadata: {{name: icinga}}\nspec: {{kind: monitor, type: icinga2, url: \"{icinga.url}\", "
                f"secretRef: {{env: ICINGA_READER}}, caFile: {work}/ca.pem}}\n",
            ])
            green(binary, work, sources, prometheus)
            missing(binary, work, sources, prometheus)
            red(binary, work, sources, nagios)
            refused(binary, work, sources)
            # Icinga itself must know its account.
            folders = [f for f in work.iterdir() if f.name != "icinga"]
            assert planted.scan(folders) == [], planted.scan(folders)
        finally:
            for monitor in reversed(started):
                monitor.close()
    say("gates against real monitors: all as they must be")


if __name__ == "__main__":
    main()
