#!/usr/bin/env python3
"""Whether real tools take what the target helm has edited: Helm renders the umbrella chart and the values, jsonschema the resources.

    accepted.py TEMPLATES
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
TEMPLATES, HERE = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(TEMPLATES / "helm"), str(TEMPLATES / "common" / "python")]

import jsonschema
import yaml
from helm_python.chart import Chart, dependency_list, lint

import edit
from patchwave import Refused
from pins import Wanted

WANTED = [
    Wanted("application", "cert-manager", "v1.14.4", "v1.14.5"),
    Wanted("application", "ingress-nginx", "4.11.3", "4.11.5"),
    Wanted("image", "ghcr.io/acme/shop-api", "2.4.0", "2.10"),
]


def apply(root, paths, wanted):
    for file, (text, pins) in edit.planned(root, {"paths": paths, "skip": []}, wanted).items():
        (root / file).write_text(edit.edited(text, pins), encoding="utf-8")


class Plain(yaml.SafeLoader):
    """Scalars as the readers of Kubernetes take them: 1.10 is a number, a date is a text."""


Plain.yaml_implicit_resolvers = {key: [(tag, rule) for tag, rule in rules if not tag.endswith("timestamp")] for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def resources(root):
    """How many resources the schema took; raises where one is wrong."""
    schema = json.loads((HERE / "resources.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checker, count = jsonschema.Draft202012Validator(schema), 0
    for path in sorted(root.rglob("*.yaml")):
        if "{{" in path.read_text(encoding="utf-8") and "templates" in path.parts:
            continue
        for document in yaml.load_all(path.read_text(encoding="utf-8"), Plain):
            if isinstance(document, dict) and "apiVersion" in document and "kind" in document:
                checker.validate(document)
                count += 1
    return count


def rendered(folder):
    """What Helm makes of a chart, after its linter has found no error."""
    if lint(folder)["errors"]:
        raise ValueError(str(lint(folder)["errors"]))
    return json.dumps(Chart.load(folder).render({}), sort_keys=True)


def status(folder):
    """What Helm says of the only dependency of a chart."""
    return [one["status"] for one in dependency_list(folder)]


def must_fail(what, call, fault):
    try:
        call()
    except fault as error:
        print(f"helm: found: {what}: {str(error).splitlines()[0][:100]}")
    else:
        raise SystemExit(f"nobody finds: {what}")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "repository")
        shutil.copytree(HERE / "repository", root)
        umbrella = root / "clusters/helm-2/umbrella"
        if status(umbrella) != ["wrong version"]:
            raise SystemExit(f"Helm takes the dependency before the edit: {status(umbrella)}")
        apply(root, ["clusters/helm-1"], WANTED)
        apply(root, ["clusters/helm-2"], WANTED[1:2])
        if resources(root) < 8:
            raise SystemExit("hardly any resources were checked")
        if status(umbrella) != ["unpacked"] or "ingress-4.11.5" not in rendered(umbrella):
            raise SystemExit(f"Helm does not take the edited dependency: {status(umbrella)}")

        kubectl = shutil.which("kubectl")
        if kubectl:
            built = subprocess.run([kubectl, "kustomize", str(root / "clusters/helm-1/shop")], check=True, capture_output=True, text=True).stdout
            if "image: ghcr.io/acme/shop-api:2.10\n" not in built:
                raise SystemExit(f"Kustomize builds another image: {built}")
        else:
            print("NOTE: no kubectl: whether Kustomize takes the edited tag is left out")

        # The tag 2.10 is 2.1 where nobody quotes it.
        shop = pathlib.Path(scratch, "shop")
        (shop / "templates").mkdir(parents=True)
        (shop / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
        (shop / "templates/pod.yaml").write_text('apiVersion: v1\nkind: Pod\nmetadata: {name: "x"}\nspec: {containers: [{name: a, image: "{{ .Values.image.tag }}|{{ .Values.worker.image.tag }}"}]}\n')
        values = (root / "clusters/helm-1/shop/values.yaml").read_text(encoding="utf-8")
        (shop / "values.yaml").write_text(values)
        unquoted = "image: {repository: ghcr.io/acme/shop-api, tag: 2.4}\nworker: {image: {tag: w}}\n"
        if "2.10|2.4.0" not in rendered(shop):
            raise SystemExit(f"Helm reads another tag than was written: {rendered(shop)}")
        (shop / "values.yaml").write_text(unquoted)
        apply(shop, ["values.yaml"], [WANTED[2]._replace(was="2.4")])
        if "2.10|w" not in rendered(shop):
            raise SystemExit(f"Helm reads another tag than was written unquoted: {rendered(shop)}")

        def wrong(file, old, new, check):
            def call():
                path = root / file
                kept = path.read_text(encoding="utf-8")
                if old not in kept:
                    raise SystemExit(f"{file} has no {old}")
                path.write_text(kept.replace(old, new), encoding="utf-8")
                try:
                    check()
                finally:
                    path.write_text(kept, encoding="utf-8")

            return call

        def taken():
            if status(umbrella) != ["unpacked"]:
                raise ValueError(f"Helm says {status(umbrella)}")

        def tag():
            (shop / "values.yaml").write_text(values.replace('"2.10"', "2.10"))
            if "2.10|" not in rendered(shop):
                raise ValueError("Helm reads 2.1")

        def outside():
            text = "a: 1\nimage: {repository: ghcr.io/acme/shop-api, tag: 2.4.0}\n"
            documents = edit.flat(text)
            kept, edit.flat = edit.flat, lambda given: documents if given == text else [*documents[:-1], ("tag:yaml.org,2002:str", "x"), documents[0]]
            try:
                (shop / "values.yaml").write_text(text)
                apply(shop, ["values.yaml"], WANTED[2:])
            finally:
                edit.flat = kept

        invalid = jsonschema.ValidationError
        must_fail("a version that is a number", wrong("clusters/helm-1/ingress-nginx.yaml", "'4.11.5'", "4.11", lambda: resources(root)), invalid)
        must_fail("a field that no HelmRelease has", wrong("clusters/helm-1/ingress-nginx.yaml", "      chart: ingress", "      chrat: ingress", lambda: resources(root)), invalid)
        must_fail("a revision that is a number", wrong("clusters/helm-1/cert-manager.yaml", '"1.14.5"', "1.14", lambda: resources(root)), invalid)
        must_fail("a tag of Kustomize that is a number", wrong("clusters/helm-1/shop/kustomization.yaml", 'newTag: "2.10"', "newTag: 2.10", lambda: resources(root)), invalid)
        must_fail("a dependency that is not there", wrong("clusters/helm-2/umbrella/Chart.yaml", "version: 4.11.5 ", "version: 4.11.6 ", taken), ValueError)
        must_fail("a Chart.yaml that is none", wrong("clusters/helm-2/umbrella/Chart.yaml", "version: 0.3.0", "version: edge", lambda: rendered(umbrella)), ValueError)
        must_fail("a tag without its quotes", tag, ValueError)
        must_fail("an edit that changes more than a version", outside, Refused)
        print("helm: edited charts, values and resources are taken")


if __name__ == "__main__":
    main()
