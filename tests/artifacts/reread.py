"""Reads the YAML files of the trial with hostile texts once more, as Ansible and Kubernetes' Python tools do: with PyYAML.

    PATCHWAVE_TRIALS_DIR=DIR cargo test -p patchwave-core --test render no_text_gets_out
    reread.py DIR

A file is rendered once with plain texts and then with each hostile one, so every version of it must be read and must have one
and the same structure: the same documents, keys and lists, other texts.
"""

from __future__ import annotations

import json
import pathlib
import sys

import yaml

# Ansible reads with libyaml where it is there.
Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Fewer would mean that the trial kept nothing: seven targets write YAML, each more than 500 times.
READ_MIN = 7 * 500
TOLD_MAX = 5


class Loader(Base):
    """YAML with Ansible's own tag, which changes nothing of what it stands before."""


def tagged(loader: Loader, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_scalar(node)


Loader.add_constructor("!unsafe", tagged)


def structure(value: object) -> str:
    """A value without its texts; names of members may hold a value too, so only how many there are counts."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(structure(member) for member in value.values())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(structure, value)) + "]"
    return type(value).__name__


def read(text: str) -> str:
    return "\n".join(structure(document) for document in yaml.load_all(text, Loader))


def faults_of(file: pathlib.Path) -> tuple[int, list[str]]:
    """How many texts were read, and what is wrong."""
    first: dict[str, str] = {}
    count, faults = 0, []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            count += 1
            try:
                seen = read(one["text"])
            except yaml.YAMLError as error:
                faults.append(f"{file.stem}: {one['path']}: {' '.join(str(error).split())}")
                continue
            if seen != first.setdefault(one["path"], seen):
                faults.append(f"{file.stem}: {one['path']}: the structure changes in:\n{one['text'][:2000]}")
    return count, faults


def can_fail() -> None:
    """A text that gets out, and one that PyYAML does not take, are found."""
    assert read('a: "x"\n') != read("a: x: y\n".replace("x: y", "{x: y}")), "the structure is not seen"
    try:
        read('a: "\x07"\n')
    except yaml.YAMLError:
        return
    raise AssertionError("a control character was taken")


def main() -> int:
    can_fail()
    read_count, faults = 0, []
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.ndjson")):
        count, found = faults_of(file)
        read_count += count
        faults += found
    for fault in faults[:TOLD_MAX]:
        print(fault)
    print(f"{read_count} YAML files with hostile texts read by PyYAML: {len(faults)} faults")
    return 1 if faults or read_count < READ_MIN else 0


if __name__ == "__main__":
    sys.exit(main())
