"""Where YAML pins a chart or an image: which scalar, in which file and line, and what stands there. Nothing is written here.

Known: HelmRelease, HelmChart, OCIRepository, Kustomization (Flux); Application, ApplicationSet (Argo CD); dependencies of
Chart.yaml; helmCharts and images of kustomization.yaml; releases of helmfile; `image: {repository, tag}` and `image: name:tag`
anywhere.
"""
import collections
import fnmatch
import os
import pathlib
import re
import stat
import sys

try:
    import yaml
except ImportError:
    sys.exit("PyYAML is missing: install PyYAML 6 (`python3-yaml` of the distribution, or `pip install PyYAML`)")

from patchwave import Refused

# A file of this size is no manifest that somebody wrote.
SIZE_MAX_BYTES = 4_000_000
FILES_MAX = 50_000
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:[+_][0-9A-Za-z._-]+)?")

# A tree of aliases can be walked in more ways than it has nodes; nobody writes one of this size.
VISITS_MAX = 100_000
ANCHORED = "its version has an anchor, an alias or a tag, so an edit would change other places: write the version out"
INSIDE = "it stands inside a text, which this script does not edit: move it into a values file, or edit it by hand"
AUTOMATED = "Flux's image automation writes this line ($imagepolicy): move its ImagePolicy instead"
MERGED = "its version comes from a merge key (<<): write it there"
NONE = "no version is written, so the newest is taken: write the one that runs"
TEMPLATE = "its version is a template: the plan cannot tell what it becomes; write the version, or edit the place it comes from"
DIGEST = "a digest wins over the tag: remove it, or move both by hand"
# What does not matter where the goal stands already.
HARMLESS = (ANCHORED, INSIDE, AUTOMATED)

# What the plan wants of an asset: `was` is what must stand there, `goal` what then stands there.
Wanted = collections.namedtuple("Wanted", "kind name was goal")
# A pin: `node` is the scalar, `value` the version in it, `fault` why it cannot be edited ("" = it can), `plus` how the place
# writes the `+` of a version.
Pin = collections.namedtuple("Pin", "wanted file line node value fault plus")


class Loader(yaml.SafeLoader):
    """Composes nodes, and remembers which of them have an anchor or are named again by an alias."""

    def __init__(self, text):
        super().__init__(text)
        self.shared = set()

    def compose_node(self, parent, index):
        event = self.peek_event()
        named = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None
        node = super().compose_node(parent, index)
        if named:
            self.shared.add(id(node))
        return node


def composed(text):
    """Every document of a text, and the ids of the nodes that are shared. Raises ValueError where it is no YAML."""
    try:
        loader = Loader(text)
        documents = []
        while loader.check_node():
            documents.append(loader.get_node())
        return documents, loader.shared
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1}: {error.problem}" if mark else str(error).replace("\n", " ")) from error


def decoded(data):
    """A text with its byte order mark and line ends as they are; everything that is read is written back by encode('utf-8')."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from error


def scalar(node):
    return node.value if isinstance(node, yaml.ScalarNode) else None


def fields(node):
    """The fields of a mapping: name to values, so that a name that stands twice is seen."""
    found = {}
    for key, value in node.value:
        found.setdefault(scalar(key), []).append(value)
    return found


def image_name(name):
    """A repository as every tool means it: `nginx` is `docker.io/library/nginx`."""
    parts = name.strip().lower().split("/")
    if not ("." in parts[0] or ":" in parts[0] or parts[0] == "localhost") or len(parts) == 1:
        parts.insert(0, "docker.io")
    if parts[0] in ("index.docker.io", "registry-1.docker.io"):
        parts[0] = "docker.io"
    if parts[0] == "docker.io" and len(parts) == 2:
        parts.insert(1, "library")
    return "/".join(parts)


def same(kind, one, other):
    """Whether two texts name one version. Helm reads `v1.2.3` and `1.2.3` alike; tags of images are other tags then."""
    return one == other or (kind == "application" and one.replace("_", "+").removeprefix("v") == other.replace("_", "+").removeprefix("v"))


def newer(one, other):
    """Whether a version is newer than another, as semver.org orders them; none where one of them is no such version."""
    keys = []
    for text in (one, other):
        match = VERSION.fullmatch(text)
        if not match:
            return None
        before = [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in (match[4] or "").split(".") if word]
        keys.append(([int(match[i]) for i in (1, 2, 3)], not before, before))
    return keys[0] > keys[1]


class Scan:
    """One pass over the nodes of a text. A context is (group, kind) of the resource a mapping stands in, and the path from there."""

    def __init__(self, file, text, wanted, depth=0):
        self.file, self.text, self.wanted, self.depth, self.pins = file, text, wanted, depth, []
        self.base = pathlib.PurePosixPath(file).name
        documents, self.shared = composed(text)
        for root in documents:
            self.walk(root)

    def walk(self, root):
        todo, seen = [(root, ("", ""), (), False)], set()
        while todo:
            node, context, path, shared = todo.pop()
            shared = shared or id(node) in self.shared
            if (id(node), context, path) in seen:
                continue
            seen.add((id(node), context, path))
            if len(seen) > VISITS_MAX:
                raise ValueError("its aliases make it larger than anybody writes")
            if isinstance(node, yaml.SequenceNode):
                todo += [(item, context, (*path, "*"), shared) for item in reversed(node.value)]
            elif isinstance(node, yaml.MappingNode):
                found = fields(node)
                version, kind = scalar(found.get("apiVersion", [None])[0]), scalar(found.get("kind", [None])[0])
                if version and kind:
                    context, path = (version.split("/")[0], kind), ()
                odd = next((key for key, _ in node.value if not isinstance(key, yaml.ScalarNode)), None)
                if odd is not None:
                    raise ValueError(f"line {odd.start_mark.line + 1}: a key is no text, as in a template")
                self.mapping(node, found, context, path, shared)
                todo += [(value, context, (*path, scalar(key)), shared) for key, value in reversed(node.value)]
            elif "\n" in node.value:
                self.inside(node)

    def inside(self, node):
        """A text that holds YAML itself (`helm.values` of Argo CD, a ConfigMap): told, and not edited."""
        if self.depth or not named(node.value, self.wanted):
            return
        try:
            inner = Scan(self.file, node.value, self.wanted, 1).pins
        except ValueError:
            return
        for pin in inner:
            self.pins.append(pin._replace(line=node.start_mark.line + 1 + pin.line, fault=pin.fault or INSIDE))

    def mapping(self, node, found, context, path, shared):
        rule = chart_rule(context, path, self.base)
        if rule:
            self.chart(node, found, rule, shared)
        if context == ("source.toolkit.fluxcd.io", "OCIRepository") and path == ("spec",):
            self.artifact(node, found, shared)
        if image_list(context, path, self.base):
            self.listed(node, found, shared)
        elif "repository" in found:
            self.repository(node, found, shared)
        if "image" in found:
            for value in found["image"]:
                self.image(value, shared)

    def charts(self, name):
        return [one for one in self.wanted if one.kind == "application" and one.name == name.strip().lower()]

    def images(self, name):
        return [one for one in self.wanted if one.kind == "image" and image_name(one.name) == image_name(name)]

    def add(self, wanted, owner, node, shared, fault="", value=None, plus="+"):
        """A pin, or why it is none. `node` is the scalar of the version, `owner` the mapping around it."""
        at = node if node is not None else owner
        text = scalar(node) if node is not None else None
        value = value if value is not None else (text or "").strip()
        if not fault and node is None:
            merged = isinstance(owner, yaml.MappingNode) and "<<" in fields(owner)
            fault = MERGED if merged else NONE
        elif not fault and text is None:
            fault = "its version is no text"
        elif not fault and ("{{" in text or "${" in text):
            fault = TEMPLATE
        elif not fault and (shared or id(node) in self.shared or self.text[node.start_mark.index] in "&*!"):
            fault = ANCHORED
        self.pins.append(Pin(wanted, self.file, at.start_mark.line + 1, node, value, fault, plus))

    def one(self, found, key):
        """The value of a field, and why it cannot be told."""
        values = found.get(key, [])
        return (values[0] if values else None), (f"`{key}` stands twice" if len(values) > 1 else "")

    def chart(self, node, found, rule, shared):
        for named_by in found.get(rule.name, []):
            name = scalar(named_by) or ""
            # A path of a chart in Git (`./charts/x`) has no version to pin.
            if name.startswith((".", "/")) or ("/" in name and not rule.repositories):
                continue
            for wanted in self.charts(name.rsplit("/", 1)[-1]):
                version, twice = self.one(found, rule.version)
                self.add(wanted, node, version, shared, twice or self.one(found, rule.name)[1])

    def artifact(self, node, found, shared):
        url, twice = self.one(found, "url")
        path = (scalar(url) or "").removeprefix("oci://").rstrip("/")
        for wanted in [*self.charts(path.rsplit("/", 1)[-1]), *self.images(path)]:
            ref, again = self.one(found, "ref")
            if not isinstance(ref, yaml.MappingNode):
                self.add(wanted, node, None, shared, twice or again)
                continue
            inner = fields(ref)
            tag, third = self.one(inner, "tag")
            fault = twice or again or third
            # Flux: digest wins over semver, semver over tag.
            for stronger in ("digest", "semver"):
                if stronger in inner:
                    fault = fault or f"`ref.{stronger}` wins over the tag: remove it, or move it by hand"
            self.add(wanted, ref, tag, shared or id(ref) in self.shared, fault, plus="_")

    def listed(self, node, found, shared):
        """`images` of Kustomize: `{name, newName, newTag, digest}`; the new name is what runs."""
        new, name = self.one(found, "newName")[0], self.one(found, "name")[0]
        for wanted in self.images(scalar(new) or scalar(name) or "-"):
            tag, twice = self.one(found, "newTag")
            if "digest" in found:
                twice = twice or DIGEST
            self.add(wanted, node, tag, shared, twice)

    def repository(self, node, found, shared):
        repository, twice = self.one(found, "repository")
        registry = scalar(self.one(found, "registry")[0])
        name = scalar(repository)
        if not name:
            return
        for wanted in self.images(f"{registry.rstrip('/')}/{name}" if registry else name):
            tag, again = self.one(found, "tag")
            is_pinned = [key for key in ("tag", "digest", "sha") for value in found.get(key, []) if scalar(value) not in ("", "null", "~")]
            # A repository alone, or with an empty tag, pins nothing: the chart has a tag of its own.
            if is_pinned:
                fault = twice or again or (DIGEST if set(is_pinned) - {"tag"} else "")
                self.add(wanted, node, tag, shared, fault)

    def image(self, node, shared):
        """`image: registry/name:tag`."""
        text = (scalar(node) or "").strip()
        plain, digest = text.split("@", 1) if "@" in text else (text, "")
        head, _, last = plain.rpartition("/")
        short, colon, tag = last.partition(":")
        name = f"{head}/{short}" if head else short
        for wanted in self.images(name) if short else []:
            fault = DIGEST if digest else ""
            if not colon and not fault:
                fault = "the image has no tag here, so what runs is decided elsewhere or is the newest: write the tag"
            self.add(wanted, node, node, shared, fault, tag)


# Which fields of a mapping name a chart and its version, and whether the name may be `repository/name`.
Rule = collections.namedtuple("Rule", "name version repositories")


def chart_rule(context, path, base):
    """The rule of a mapping, none where it pins no chart."""
    group, kind = context
    if (group, kind, path) == ("helm.toolkit.fluxcd.io", "HelmRelease", ("spec", "chart", "spec")):
        return Rule("chart", "version", False)
    if (group, kind, path) == ("source.toolkit.fluxcd.io", "HelmChart", ("spec",)):
        return Rule("chart", "version", False)
    if group == "argoproj.io" and kind in ("Application", "ApplicationSet"):
        spec = ("spec",) if kind == "Application" else ("spec", "template", "spec")
        return Rule("chart", "targetRevision", True) if path in ((*spec, "source"), (*spec, "sources", "*")) else None
    if base == "Chart.yaml" and path == ("dependencies", "*"):
        return Rule("name", "version", False)
    if is_kustomization(context, base) and path == ("helmCharts", "*"):
        return Rule("name", "version", False)
    # helmfile: no apiVersion, and `chart: repository/name`.
    return Rule("chart", "version", True) if not group and path == ("releases", "*") else None


def is_kustomization(context, base):
    return context[0] == "kustomize.config.k8s.io" or base in ("kustomization.yaml", "kustomization.yml", "Kustomization")


def image_list(context, path, base):
    if context == ("kustomize.toolkit.fluxcd.io", "Kustomization"):
        return path == ("spec", "images", "*")
    return is_kustomization(context, base) and path == ("images", "*")


def named(text, wanted):
    """Where a text names something that is wanted, by the last word of its name: the lines."""
    words = [re.escape(one.name.rsplit("/", 1)[-1]) for one in wanted]
    pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(words)})(?![\w-])", re.IGNORECASE)
    return [number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def inside_of(root, path):
    """A file or folder of the settings below the clone, without following a link."""
    parts = pathlib.PurePosixPath(path).parts
    if pathlib.PurePosixPath(path).is_absolute() or ".." in parts or ".git" in parts or not path.isprintable() or len(path) > 1000:
        raise Refused(f"path {ascii(path)[:80]} of the settings leads out of the repository, or is none")
    here = root
    for part in parts:
        here = here / part
        try:
            kind = here.lstat().st_mode
        except OSError as error:
            raise Refused(f"path {path} of the settings is not in the repository: {error.strerror}") from error
        if stat.S_ISLNK(kind):
            raise Refused(f"path {path} of the settings goes through a link ({part}), and links are not followed")
    return here


def files(root, paths, skip):
    """The YAML files below the paths, relative to the repository, sorted; links are left out."""
    found = set()
    for path in paths:
        start = inside_of(root, path)
        for folder, folders, names in os.walk(start) if start.is_dir() else [(start.parent, [], [start.name])]:
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in names:
                file = pathlib.Path(folder, name)
                if re.search(r"\.ya?ml(\.gotmpl)?$|^Kustomization$", name) and stat.S_ISREG(file.lstat().st_mode):
                    found.add(file.relative_to(root).as_posix())
                if len(found) > FILES_MAX:
                    raise Refused(f"more than {FILES_MAX} YAML files: name narrower paths in the settings")
    return sorted(file for file in found if not any(fnmatch.fnmatchcase(file, pattern) for pattern in skip))


def scanned(root, paths, skip, wanted):
    """Every pin below the paths, with the text of each file that has one; then what nobody could read though it names a thing."""
    pins, texts, faults = [], {}, []
    for file in files(root, paths, skip):
        if (root / file).stat().st_size > SIZE_MAX_BYTES:
            continue
        data = (root / file).read_bytes()
        loose = data.decode("utf-8", "replace")
        lines = named(loose, wanted)
        if not lines:
            continue
        if not file.isprintable():
            faults.append(f"{ascii(file)} names it, and has a name that cannot be shown: rename the file, or name narrower `paths`")
            continue
        try:
            text = decoded(data)
            found = Scan(file, text, wanted).pins
        except ValueError as error:
            if unread(root, file, loose, wanted, lines):
                advice = "edit it by hand, or name narrower `paths` or `skip` in the settings"
                faults.append(f"{file}:{lines[0]} names it and cannot be read as YAML ({error}): {advice}")
            continue
        texts[file] = text
        pins += [pin._replace(fault=pin.fault or automated(text, pin)) for pin in found]
    return pins, texts, faults


def unread(root, file, text, wanted, lines):
    """Whether a file that is no YAML matters. Templates of a chart name things all the time; one with the version in the same line does."""
    parts = pathlib.PurePosixPath(file).parts
    if "templates" in parts[:-1] and (root.joinpath(*parts[: parts.index("templates")]) / "Chart.yaml").exists():
        written = text.splitlines()
        return any(one.was in written[line - 1] for one in wanted for line in lines)
    return True


def automated(text, pin):
    """Flux's image automation writes a line that has its marker, and would write it again."""
    line = text.splitlines()[pin.line - 1] if 0 < pin.line <= len(text.splitlines()) else ""
    return AUTOMATED if "$imagepolicy" in line else ""
