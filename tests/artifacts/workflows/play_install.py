"""Plays scripts/install.sh and scripts/release.sh."""

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

from played import HOME, SCRIPTS, Played, run


class Install(Played):
    """A release by its checksum, and nothing else."""

    def setUp(self):
        super().setUp()
        self.action = self.folder / "action"
        shutil.copytree(SCRIPTS, self.action / "scripts")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, text in [("patchwave", "#!/bin/sh\necho patchwave 9.9.9\n"), ("../../evil", "evil\n")]:
                data = text.encode()
                info = tarfile.TarInfo(f"patchwave-v9.9.9/{name}")
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
        (self.folder / "archive").write_bytes(archive.getvalue())
        self.sum = hashlib.sha256(archive.getvalue()).hexdigest()
        (self.folder / "bin").mkdir()
        curl = self.folder / "bin/curl"
        curl.write_text(f'#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = --output ] && out=$2; shift; done\ncp {self.folder}/archive "$out"\n', encoding="utf-8")
        curl.chmod(0o755)

    def install(self, check=True, **more):
        for name in ("path", "output"):
            (self.folder / name).write_text("", encoding="utf-8")
        known = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_PATH": str(self.folder / "path"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
        }
        return run("bash", self.action / "scripts/install.sh", check=check, env=known | more)

    def test_the_pinned_release_is_put_on_the_path(self):
        machine = os.uname().machine
        pins = f"# remark\n{'0' * 64}  https://example.invalid/patchwave-other.tar.gz\n{self.sum}  https://example.invalid/patchwave-{machine}.tar.gz\n"
        (self.action / "release.txt").write_text(pins, encoding="utf-8")
        self.install()
        folder = Path((self.folder / "path").read_text(encoding="utf-8").strip())
        self.assertEqual([p.name for p in folder.iterdir()], ["patchwave"], "one member, whatever the archive holds")
        self.assertEqual((self.folder / "output").read_text(encoding="utf-8"), "version=patchwave 9.9.9\n")
        self.install(PATCHWAVE_URL="https://example.invalid/x", PATCHWAVE_SHA256=self.sum)

    def test_anything_else_is_refused(self):
        for why, more in [
            ("no release is pinned", {}),
            ("is not the archive that is pinned", {"PATCHWAVE_URL": "https://example.invalid/x", "PATCHWAVE_SHA256": "0" * 64}),
            ("is no SHA-256", {"PATCHWAVE_URL": "https://example.invalid/x"}),
            ("only https", {"PATCHWAVE_URL": "http://example.invalid/x", "PATCHWAVE_SHA256": self.sum}),
        ]:
            with self.subTest(why):
                done = self.install(check=False, **more)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stdout)
                self.assertEqual((self.folder / "path").read_text(encoding="utf-8"), "")

    def test_what_a_release_packs_is_what_is_installed(self):
        """Everything of scripts/release.sh but the compiler, which stands aside here."""
        built = self.folder / "target/release/patchwave"
        built.parent.mkdir(parents=True)
        built.write_text("#!/bin/sh\necho patchwave 0.1.0\n", encoding="utf-8")
        built.chmod(0o755)
        cargo = self.folder / "bin/cargo"
        cargo.write_text(
            "#!/bin/sh\n[ \"$1\" = install ] || exit 0\nwhile [ \"$1\" != --root ]; do shift; done\nmkdir -p \"$2/bin\"\n"
            "printf '#!/bin/sh\\nwhile [ $# -gt 1 ]; do shift; done\\necho {} >engine/cli/$1.json\\n' >\"$2/bin/cargo-cyclonedx\"\n"
            "chmod +x \"$2/bin/cargo-cyclonedx\"\n",
            encoding="utf-8",
        )
        cargo.chmod(0o755)
        known = os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "CARGO_TARGET_DIR": str(self.folder / "target")}
        toml = (HOME / "Cargo.toml").read_text(encoding="utf-8")
        version = next(line.split('"')[1] for line in toml.splitlines() if line.startswith("version = "))
        digests = set()
        for turn in ("first", "second"):
            out = self.folder / turn
            run("bash", SCRIPTS / "release.sh", f"v{version}", "x-unknown-linux-gnu", out, env=known)
            name = f"patchwave-v{version}-x-unknown-linux-gnu"
            self.assertEqual(sorted(p.name for p in out.iterdir()), [f"{name}.cdx.json", f"{name}.tar.gz"])
            digests.add(hashlib.sha256((out / f"{name}.tar.gz").read_bytes()).hexdigest())
            built.touch()
        self.assertEqual(len(digests), 1, "the archive depends on who packed it, or when")
        (self.folder / "archive").write_bytes((out / f"{name}.tar.gz").read_bytes())
        self.install(PATCHWAVE_URL="https://example.invalid/x", PATCHWAVE_SHA256=digests.pop())
        self.assertEqual((self.folder / "output").read_text(encoding="utf-8"), "version=patchwave 0.1.0\n")
        wrong = run("bash", SCRIPTS / "release.sh", "v9.9.9", "x", self.folder / "no", check=False, env=known)
        self.assertIn("is not the version of Cargo.toml", wrong.stderr)
