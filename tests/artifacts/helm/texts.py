#!/usr/bin/env python3
"""Tries pins.py and edit.py of the target helm on single texts: what is refused and why, styles that are kept, hostile texts.

    texts.py TEMPLATES HOSTILE_RS
"""
import json
import pathlib
import re
import sys
import tempfile

sys.dont_write_bytecode = True
TEMPLATES = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(TEMPLATES / "helm"), str(TEMPLATES / "common" / "python")]

import yaml

import edit
from patchwave import Refused
from pins import Wanted, newer

CHART = Wanted("application", "ingress-nginx", "4.11.3", "4.11.5")
IMAGE = Wanted("image", "ghcr.io/acme/shop-api", "2.4.0", "2.4.1")
RELEASE = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  chart:\n    spec:\n      chart: ingress-nginx\n      version: {}\n"
OCI = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nspec:\n  url: oci://r.example.org/c/ingress-nginx\n"
ARGO = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source: {{chart: ingress-nginx, targetRevision: {}}}\n"
VALUES = "image: {{repository: ghcr.io/acme/shop-api, tag: {}}}\n"


def same(seen, wanted, what):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, not {wanted!r}")


def played(files, *wanted, paths=(".",), skip=()):
    """The files after the edits, or the refusal."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            found = edit.planned(root, {"paths": list(paths), "skip": list(skip)}, list(wanted))
            return {name: edit.edited(text, pins) for name, (text, pins) in found.items()}
        except Refused as error:
            return str(error)


# What is kept: before, after, what is wanted.
KEPT = [
    (RELEASE.format("4.11.3  # why"), RELEASE.format("4.11.5  # why"), CHART),
    (RELEASE.format("'4.11.3'"), RELEASE.format("'4.11.5'"), CHART),
    (RELEASE.format('"4.11.3" '), RELEASE.format('"4.11.5" '), CHART),
    (RELEASE.format("v4.11.3"), RELEASE.format("v4.11.5"), CHART),
    (RELEASE.format("|-\n        4.11.3"), RELEASE.format("|-\n        4.11.5"), CHART),
    (RELEASE.format(">\n        4.11.3\n"), RELEASE.format(">\n        4.11.5\n"), CHART),
    (RELEASE.format("4.11.3").replace("\n", "\r\n"), RELEASE.format("4.11.5").replace("\n", "\r\n"), CHART),
    ("\ufeff" + RELEASE.format("4.11.3"), "\ufeff" + RELEASE.format("4.11.5"), CHART),
    ("---\na: 1\n---\n" + RELEASE.format("4.11.3") + "...\n", "---\na: 1\n---\n" + RELEASE.format("4.11.5") + "...\n", CHART),
    (RELEASE.format("4.11.3").rstrip("\n"), RELEASE.format("4.11.5").rstrip("\n"), CHART),
    (OCI + "  ref: {tag: 4.11.3_up1}\n", OCI + "  ref: {tag: 4.11.5_up2}\n", CHART._replace(was="4.11.3+up1", goal="4.11.5+up2")),
    (ARGO.format("4.11.3"), ARGO.format("4.11.5"), CHART),
    ("apiVersion: v1\nkind: List\nitems:\n- " + ARGO.format("4.11.3").replace("\n", "\n  ").rstrip(" "), "apiVersion: v1\nkind: List\nitems:\n- " + ARGO.format("4.11.5").replace("\n", "\n  ").rstrip(" "), CHART),
    (VALUES.format('"1.9"'), VALUES.format('"1.10"'), IMAGE._replace(was="1.9", goal="1.10")),
    (VALUES.format("1.9"), VALUES.format('"1.10"'), IMAGE._replace(was="1.9", goal="1.10")),
    (VALUES.format("'a'"), VALUES.format("'1e3'"), IMAGE._replace(was="a", goal="1e3")),
    (VALUES.format("a"), VALUES.format('"1e3"'), IMAGE._replace(was="a", goal="1e3")),
    (VALUES.format("a"), VALUES.format('"true"'), IMAGE._replace(was="a", goal="true")),
    (VALUES.format("a"), VALUES.format('"2026-11-21"'), IMAGE._replace(was="a", goal="2026-11-21")),
    (VALUES.format("a"), VALUES.format('"0x1f"'), IMAGE._replace(was="a", goal="0x1f")),
    (VALUES.format("a"), VALUES.format("1.2.3-rc.1"), IMAGE._replace(was="a", goal="1.2.3-rc.1")),
    ("image: nginx:1.27.2 # docker.io\n", "image: nginx:1.27.3 # docker.io\n", Wanted("image", "docker.io/library/nginx", "1.27.2", "1.27.3")),
    ("image: 'r.example.org:5000/a/b:1.0'\n", "image: 'r.example.org:5000/a/b:2'\n", Wanted("image", "r.example.org:5000/a/b", "1.0", "2")),
    ("# text of ingress-nginx: [\nt: |\n  image: x {{\n" + VALUES.format("2.4.0"), "# text of ingress-nginx: [\nt: |\n  image: x {{\n" + VALUES.format("2.4.1"), IMAGE),
]

# What is refused: files, what is wanted, what the refusal says.
REFUSED = [
    *(({"a.yaml": RELEASE.format(f"'{text}'")}, CHART, f"a.yaml:7 ingress-nginx: `{text}` is no exact version") for text in ("^4.11.3", "~4.11", "4.x", ">=4.11.3", "4.11", "*", "4.11.x", "latest")),
    ({"a.yaml": RELEASE.format("4.12.0")}, CHART, "newer than 4.11.5: left alone"),
    ({"a.yaml": RELEASE.format("4.11.5-rc.1")}, CHART, "somebody moved it"),
    ({"a.yaml": RELEASE.format("4.10.9")}, CHART, "somebody moved it"),
    ({"a.yaml": RELEASE.format("4.11.3"), "b.yaml": ARGO.format("4.10.0")}, CHART, "b.yaml:4 ingress-nginx: the branch has 4.10.0"),
    ({"a.yaml": RELEASE.format("'{{ version }}'")}, CHART, "is a template"),
    ({"a.yaml": RELEASE.format('"${ingress}"')}, CHART, "is a template"),
    ({"a.yaml": "image: ghcr.io/acme/shop-api:${tag}\n"}, IMAGE, "is a template"),
    ({"a.yaml": RELEASE.format("&v 4.11.3")}, CHART, "has an anchor"),
    ({"a.yaml": "x: &v 4.11.3\n" + RELEASE.format("*v")}, CHART, "has an anchor"),
    ({"a.yaml": "x: &c {chart: ingress-nginx, version: 4.11.3}\n" + RELEASE.split("    spec:")[0] + "    spec: *c\n"}, CHART, "has an anchor"),
    ({"a.yaml": RELEASE.format("!!str 4.11.3")}, CHART, "has an anchor, an alias or a tag"),
    ({"a.yaml": "x: &c {version: 4.11.3}\n" + RELEASE.replace("version: {}", "<<: *c")}, CHART, "merge key"),
    ({"a.yaml": RELEASE.replace("      version: {}\n", "")}, CHART, "no version is written"),
    ({"a.yaml": RELEASE.format("4.11.3") + "      version: 4.11.3\n"}, CHART, "`version` stands twice"),
    ({"a.yaml": RELEASE.format("[4.11.3]")}, CHART, "is no text"),
    ({"a.yaml": RELEASE.format('"4.11\\x2e3"')}, CHART, "written with escapes"),
    ({"a.yaml": "a: 1\n"}, CHART, "is pinned nowhere below ."),
    ({"a.yaml": "{{ if x }}\n" + RELEASE.format("4.11.3")}, CHART, "a.yaml:7 names it and cannot be read as YAML"),
    ({"a.yaml": "{{ x }}: 1\n" + RELEASE.format("4.11.3")}, CHART, "as in a template"),
    ({"a.yaml": b"# \xff\n" + RELEASE.format("4.11.3").encode()}, CHART, "not UTF-8"),
    ({"a.yaml": "a: [" * 5000 + "ingress-nginx"}, CHART, "cannot be read as YAML"),
    ({"a.yaml": "".join(f"a{i}: &a{i} {{{', '.join(f'x{j}: ' + (f'*a{i - 1}' if i else 'ingress-nginx') for j in range(9))}}}\n" for i in range(12))}, CHART, "aliases make it larger"),
    ({"a\u202e.yaml": RELEASE.format("4.11.3")}, CHART, "a name that cannot be shown"),
    ({"a.yaml": OCI + "  ref: {semver: '>=4'}\n"}, CHART, "`ref.semver` wins"),
    ({"a.yaml": OCI + "  ref: {tag: 4.11.3, digest: 'sha256:0'}\n"}, CHART, "`ref.digest` wins"),
    ({"a.yaml": OCI}, CHART, "no version is written"),
    ({"x/Chart.yaml": "dependencies: [{name: ingress-nginx, version: 4.11.3}]", "x/Chart.lock": "dependencies: [{name: ingress-nginx, version: 4.11.3}]"}, CHART, "x/Chart.lock ingress-nginx: it holds 4.11.3"),
    ({"x/Chart.yaml": "dependencies: [{name: ingress-nginx, version: 4.11.3}]", "x/charts/ingress-nginx-4.11.3.tgz": ""}, CHART, "charts/ holds ingress-nginx-4.11.3.tgz"),
    ({"x/Chart.yaml": "dependencies: [{name: ingress-nginx, version: 4.11.3}]", "x/charts/ingress-nginx/Chart.yaml": "{name: ingress-nginx, version: 4.11.3}"}, CHART, "helm dependency update"),
    ({"a.yaml": VALUES.format("2.4.0, digest: 'sha256:0'")}, IMAGE, "a digest wins over the tag"),
    *(({"a.yaml": VALUES.format(text)}, IMAGE, "is pinned nowhere") for text in ('""', "", "null", "~")),
    ({"a.yaml": VALUES.format("2.4.0, sha: 'sha256:0'")}, IMAGE, "a digest wins over the tag"),
    ({"a.yaml": "image: ghcr.io/acme/shop-api:2.4.0@sha256:0\n"}, IMAGE, "a digest wins over the tag"),
    ({"a.yaml": "image: ghcr.io/acme/shop-api:2.4.1@sha256:0\n"}, IMAGE, "a digest wins over the tag"),
    ({"a.yaml": "image: ghcr.io/acme/shop-api\n"}, IMAGE, "no tag here"),
    ({"a.yaml": VALUES.format('2.4.0 # {"$imagepolicy": "flux-system:shop:tag"}\n')}, IMAGE, "image automation"),
    ({"a.yaml": "v: |\n  " + VALUES.format("2.4.0")}, IMAGE, "a.yaml:2 ghcr.io/acme/shop-api: it stands inside a text"),
    ({"c/Chart.yaml": "name: c\n", "c/templates/d.yaml": "{{ x }}\nimage: ghcr.io/acme/shop-api:2.4.0\n"}, IMAGE, "cannot be read as YAML"),
    ({"a.yaml": OCI.replace("ingress-nginx", "shop-api").replace("r.example.org/c", "ghcr.io/acme") + "  ref: {tag: 2.4.0}\n"}, (IMAGE, IMAGE._replace(kind="application", name="shop-api", goal="2.5.0")), "different versions"),
]

# What needs no edit: it stands already, or is no pin.
QUIET = [
    ({"a.yaml": RELEASE.format("4.11.5")}, CHART),
    ({"a.yaml": RELEASE.format("&v v4.11.5")}, CHART),
    ({"a.yaml": RELEASE.format("4.11.5"), "c/Chart.yaml": "name: c\n", "c/templates/d.yaml": "{{ ingress-nginx }}\n"}, CHART),
    ({"a.yaml": VALUES.format("2.4.1, digest: ''"), "base.yaml": VALUES.format('""')}, IMAGE),
    ({"a.yaml": RELEASE.format("4.11.5"), "old/b.yaml": RELEASE.format("4.0.0")}, CHART),
]


def hostile_texts(path):
    """The list of the engine's own trials, each alone and inside other texts."""
    listed = pathlib.Path(path).read_text(encoding="utf-8").split("HOSTILE_TEXTS: &[&str] = &[")[1].split("\n];")[0]
    texts = [json.loads(re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: json.dumps(chr(int(m[1], 16)))[1:-1], word).replace("\\0", "\\u0000").replace("\\'", "'")) for word in re.findall(r'^    ("(?:[^"\\]|\\.)*"),$', listed, re.MULTILINE)]
    around = ("{}", "web-1{}", "{}web-1", "' {} '", '" {} "')
    return sorted({form.replace("{}", text) for text in texts for form in around} | {"A" * 10_000})


def yaml_word(text):
    """A text as a quoted scalar of YAML."""
    return yaml.safe_dump(text, default_style='"', width=100_000, allow_unicode=False).strip()


def hostile(path):
    texts = hostile_texts(path)
    if len(texts) < 500:
        raise SystemExit(f"only {len(texts)} hostile texts were read from {path}")
    taken = 0
    for text in texts:
        # As the version that is planned: refused, or exactly that version is read again, as a text.
        for files, wanted, at in ((VALUES.format("2.4.0"), IMAGE, ("image", "tag")), (RELEASE.format("4.11.3"), CHART, ("spec", "chart", "spec", "version"))):
            after = played({"a.yaml": files}, wanted._replace(goal=text))
            if isinstance(after, dict) and after:
                taken += 1
                before, now = yaml.safe_load(files), yaml.safe_load(after["a.yaml"])
                inner, outer = before, now
                for key in at[:-1]:
                    inner, outer = inner[key], outer[key]
                same(outer[at[-1]], text, f"planned version {text!r}")
                inner[at[-1]] = outer[at[-1]]
                same(now, before, f"planned version {text!r} changes more than itself")
        # As the name of the chart, and as what the file has: nothing is edited that is not meant.
        word = yaml_word(text)
        for files, wanted in (
            (RELEASE.replace("ingress-nginx", word.replace("{", "{{").replace("}", "}}")).format("4.11.3"), CHART._replace(name=text.lower())),
            (RELEASE.replace("{}", word), CHART),
            ("x: " + word + "\n" + RELEASE.format("4.11.3"), CHART),
            ("# " + " ".join(text.split()) + "\n" + RELEASE.format("4.11.3"), CHART),
        ):
            after = played({"a.yaml": files}, wanted)
            if isinstance(after, dict) and after:
                taken += 1
                same(after["a.yaml"].replace("4.11.5", "4.11.3"), files, f"a file with {text[:80]!r}")
            elif isinstance(after, str):
                same(after.isprintable(), True, f"a refusal that cannot be shown: {after!r}")
        # As a path of the settings, and as the name of a file.
        after = played({"a.yaml": RELEASE.format("4.11.3")}, CHART, paths=[text])
        if isinstance(after, dict) and after:
            taken += 1
            same(after, {"a.yaml": RELEASE.format("4.11.5")}, f"path {text[:80]!r}")
    if taken < len(texts):
        raise SystemExit(f"only {taken} hostile texts were taken: the check is empty")
    print(f"helm: {len(texts)} hostile texts, {taken} edits read again ok")


def main():
    for before, after, wanted in KEPT:
        same(played({"a.yaml": before}, wanted), {"a.yaml": after}, f"{before!r}")
        same(played({"a.yaml": after}, wanted), {}, f"again {after!r}")
    for files, wanted, why in REFUSED:
        said = played(files, *(wanted if isinstance(wanted[0], Wanted) else [wanted]))
        if not isinstance(said, str) or why not in said or not said.isprintable():
            raise SystemExit(f"{files!r} is not refused by {why!r}: {said!r}")
    for files, wanted in QUIET:
        same(played(files, wanted, skip=["old/*"]), {}, f"{files!r}")
    ascending = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 v1.0.0 1.0.1+up1 1.2.0 1.10.0".split()
    for at, one in enumerate(ascending):
        for other in ascending[at + 1 :]:
            same((newer(other, one), newer(one, other)), (True, False), f"{one} {other}")
    same(newer("1.x", "1.0.0"), None, "a range has no place")
    print(f"helm: {len(KEPT)} styles kept, {len(REFUSED)} refusals ok")
    hostile(sys.argv[2])


if __name__ == "__main__":
    main()
