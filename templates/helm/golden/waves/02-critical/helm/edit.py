"""Which pins are edited, and the edits: exactly the version's characters, whatever stands around them. Nothing is guessed."""
import glob
import re

import yaml

from patchwave import Refused
from pins import HARMLESS, VERSION, composed, decoded, newer, same, scanned

# What may be written: an exact version or tag, which means the same in every style of YAML. 128 is what a tag may have (OCI).
WRITABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
NAMEABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+~^-]{0,254}")
# Numbers of YAML 1.1 and 1.2: a version that looks like one is quoted.
NUMBER = re.compile(r"[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+")


def planned(root, place, wanted, newer_will_do=False):
    """What is to be written: file to (text, edits). Raises Refused with every reason; empty where everything stands already, or
    with `newer_will_do` something newer does."""
    for one in wanted:
        if not NAMEABLE.fullmatch(one.name):
            raise Refused(f"{shown(one.name)} is no name of a chart or image")
        for version in (one.was, one.goal):
            if not WRITABLE.fullmatch(version):
                raise Refused(f"{one.name}: {shown(version)} is no exact version that can be written")
    pins, texts, faults = scanned(root, place["paths"], place["skip"], wanted)
    edits, taken = {}, {}
    for one in wanted:
        mine = [pin for pin in pins if pin.wanted == one]
        if not mine and not faults:
            where = ", ".join(place["paths"])
            faults.append(f"{one.name} is pinned nowhere below {where}: name the right `paths` in the settings, or pin it")
        for pin in mine:
            if newer_will_do and newer(pin.value, one.goal):
                continue
            fault = judged(pin)
            if fault:
                faults.append(f"{pin.file}:{pin.line} {one.name}: {fault}")
            elif not is_there(pin) and taken.setdefault(id(pin.node), pin) is not pin:
                other = taken[id(pin.node)]
                if written(other) != written(pin):
                    faults.append(f"{pin.file}:{pin.line} is meant by {other.wanted.name} and {one.name}, which go to different versions")
            elif not is_there(pin):
                edits.setdefault(pin.file, []).append(pin)
    faults += [fault for file in sorted(edits) for fault in locked(root, file, edits[file])]
    if faults:
        raise Refused("; ".join(faults))
    return {file: (texts[file], sorted(pins, key=lambda pin: pin.node.start_mark.index)) for file, pins in sorted(edits.items())}


def shown(text):
    """A text of Git, fit for a message."""
    return text if text.isprintable() and len(text) <= 80 else ascii(text)[:80]


def is_there(pin):
    return same(pin.wanted.kind, pin.value, pin.wanted.goal)


def judged(pin):
    """Why a pin is left alone, with everything else of the asset; nothing where it may be edited or stands already."""
    one, value = pin.wanted, pin.value
    if pin.fault and not (pin.fault in HARMLESS and is_there(pin)):
        return pin.fault
    if is_there(pin):
        return ""
    if same(one.kind, value, one.was):
        return ""
    if not VERSION.fullmatch(value) and one.kind == "application":
        return f"`{shown(value)}` is no exact version, so Helm takes the newest that fits: write `{one.was}`, which is what the plan found"
    if newer(value, one.goal):
        return f"the branch has {value} already, which is newer than {one.goal}: left alone; observe the cluster again"
    advice = "plan again, or name narrower `paths`"
    return f"the branch has {shown(value) or 'nothing'}, and the plan was made for {one.was}: somebody moved it, or it is another asset's; {advice}"


def locked(root, file, pins):
    """A Chart.yaml whose lock or vendored charts would then say something else: Helm refuses to build it."""
    if not file.endswith("Chart.yaml"):
        return []
    folder, faults = (root / file).parent, []
    advice = "run `helm dependency update` there, commit it, and plan again"
    for pin in pins:
        one = pin.wanted
        for path in sorted(glob.glob(glob.escape(str(folder / "charts" / one.name)) + "-[0-9v]*.tgz")):
            if not path.endswith((f"-{one.goal}.tgz", f"-{one.goal.removeprefix('v')}.tgz")):
                faults.append(f"{file}:{pin.line} {one.name}: charts/ holds {path.rsplit('/', 1)[-1]}: {advice}")
        for name in ("Chart.lock", f"charts/{one.name}/Chart.yaml"):
            other = folder / name
            if other.is_file() and root.resolve() in other.resolve().parents:
                version = held(other.read_bytes(), one)
                if version:
                    where = file.removesuffix("Chart.yaml") + name
                    faults.append(f"{where} {one.name}: it holds {shown(version)}, another version than the edit would write: {advice}")
    return faults


def held(data, one):
    """Another version of the chart that a Chart.lock, or the Chart.yaml of a vendored chart, holds; nothing where it is the goal."""
    try:
        chart = yaml.safe_load(decoded(data))
    except (yaml.YAMLError, ValueError, RecursionError):
        return "something that is no YAML"
    chart = chart if isinstance(chart, dict) else {}
    locked_charts = chart.get("dependencies")
    charts = [chart, *(locked_charts if isinstance(locked_charts, list) else [])]
    versions = [str(entry.get("version", "")) for entry in charts if isinstance(entry, dict) and entry.get("name") == one.name]
    return next((version for version in versions if not same("application", version, one.goal)), "")


def written(pin):
    """The version as the place writes it: with the `v` it has there, and with `_` where a tag has no `+`."""
    goal = pin.wanted.goal
    if pin.wanted.kind == "application":
        goal = goal.removeprefix("v") if not pin.value.startswith("v") else goal if goal.startswith("v") else "v" + goal
    return goal.replace("+", "_") if pin.plus == "_" else goal


def is_plain(text):
    """Whether a text without quotes is a string for readers of YAML 1.1 and 1.2."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    return tag == "tag:yaml.org,2002:str" and not NUMBER.fullmatch(text)


def replacement(text, pin):
    """Start, end and new characters of one edit, in characters of the text."""
    start, end, new = pin.node.start_mark.index, pin.node.end_mark.index, written(pin)
    raw, style = text[start:end], pin.node.style
    said = pin.node.value.rstrip()
    lead = said.removesuffix(pin.value)
    if not pin.value or lead == said:
        raise Refused(f"{pin.file}:{pin.line} is written in a way this script does not edit: write {pin.value} as one word")
    if style in ("|", ">"):
        head = raw.find("\n") + 1
        at = raw.find(pin.value, head)
        if head == 0 or at < 0 or raw.find(pin.value, at + 1) >= 0:
            raise Refused(f"{pin.file}:{pin.line} is a text of several lines: write {pin.value} as one word")
        return start + at, start + at + len(pin.value), new
    quotes = style or ""
    inner = raw[len(quotes) : len(raw) - len(quotes)]
    if not raw.startswith(quotes) or not raw.endswith(quotes) or inner != pin.node.value:
        raise Refused(f"{pin.file}:{pin.line} is written with escapes or over several lines: write {pin.value} as one word")
    end -= len(quotes) + len(pin.node.value) - len(said)
    at = end - len(pin.value)
    if not quotes and not lead and not is_plain(new):
        return at, end, f'"{new}"'
    return at, end, new


def edited(text, pins):
    """The text with the pins at their goals; proved by reading it again: the same nodes, and only the pins differ."""
    parts, last = [], 0
    for pin in pins:
        start, end, new = replacement(text, pin)
        parts += [text[last:start], new]
        last = end
    result = "".join([*parts, text[last:]])
    before, after = flat(text), flat(result)
    changed = [new for old, new in zip(before, after) if old != new]
    right = all(tag == "tag:yaml.org,2002:str" and written(pin) in value for (tag, value), pin in zip(changed, pins))
    if len(before) != len(after) or len(changed) != len(pins) or not right:
        raise Refused(f"{pins[0].file}: the edit would change more than {len(pins)} versions; edit it by hand")
    return result


def flat(text):
    """Every node of a text in order: tag, value of a scalar or number of entries. One that is named again stands once."""
    documents, _ = composed(text)
    todo, seen, found = list(reversed(documents)), set(), []
    while todo:
        node = todo.pop()
        if id(node) in seen:
            found.append(("alias", ""))
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            found.append((node.tag, node.value))
        else:
            found.append((node.tag, len(node.value)))
            inner = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
            todo += reversed(inner)
    return found
