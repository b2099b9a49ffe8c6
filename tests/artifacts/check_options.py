"""Checks every option of every task against the documentation of its module.

ansible-playbook --syntax-check and ansible-lint both let a misspelled option pass (seen with ansible-core 2.19.14 and
ansible-lint 26.4.0), so the documentation that ansible-doc prints is the contract: an unknown option, a missing required
one and a value that is none of the choices are failures. Values that are templates are not judged.

    check_options.py [--ansible-doc PROGRAM] [--documentation FILE] FILE...
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import yaml

# What a task may say besides its module (ansible-doc -t keyword --list, scope task and block).
TASK_KEYWORDS = {
    "action", "any_errors_fatal", "args", "async", "become", "become_exe", "become_flags", "become_method",
    "become_user", "changed_when", "check_mode", "collections", "connection", "debugger", "delay", "delegate_facts",
    "delegate_to", "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable", "local_action", "loop",
    "loop_control", "module_defaults", "name", "no_log", "notify", "poll", "port", "register", "remote_user", "retries",
    "run_once", "tags", "throttle", "timeout", "until", "vars", "when",
}
BLOCK_KEYWORDS = TASK_KEYWORDS | {"block", "rescue", "always"}
PLAY_KEYWORDS = {
    "any_errors_fatal", "become", "become_exe", "become_flags", "become_method", "become_user", "check_mode",
    "collections", "connection", "debugger", "diff", "environment", "fact_path", "force_handlers", "gather_facts",
    "gather_subset", "gather_timeout", "handlers", "hosts", "ignore_errors", "ignore_unreachable", "max_fail_percentage",
    "module_defaults", "name", "no_log", "order", "port", "post_tasks", "pre_tasks", "remote_user", "roles", "run_once",
    "serial", "strategy", "tags", "tasks", "throttle", "timeout", "vars", "vars_files", "vars_prompt",
}
# Modules that take any option, or read their options before the task runs.
INCLUDES = {"ansible.builtin.include_tasks", "ansible.builtin.import_tasks"}
FREE = {"ansible.builtin.set_fact"}


class Loader(yaml.SafeLoader):
    """YAML with Ansible's own tags."""


def plain(loader: Loader, node: yaml.Node) -> object:
    """What the tag stands before, without the tag."""
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_scalar(node)


Loader.add_constructor("!unsafe", plain)


def tasks_of(node: object, where: str) -> Iterator[tuple[str, dict]]:
    """Every task of a play, task list or block, with the path to it."""
    if isinstance(node, list):
        for item in node:
            yield from tasks_of(item, where)
    elif isinstance(node, dict):
        name = f"{where}: {node.get('name', '(no name)')}"
        if "hosts" in node:
            yield name, {"(play)": sorted(set(node) - PLAY_KEYWORDS)}
            for key in ("pre_tasks", "tasks", "post_tasks", "handlers"):
                yield from tasks_of(node.get(key, []), name)
        elif "block" in node:
            yield name, {"(play)": sorted(set(node) - BLOCK_KEYWORDS)}
            # The condition of a block is asked again for each task of its rescue, so once the first one has changed a
            # fact the condition looks at, the others are skipped without a word.
            if "when" in node and len(node.get("rescue", [])) > 1:
                yield name, {"(play)": ["rescue with several tasks below a conditional block"]}
            for key in ("block", "rescue", "always"):
                yield from tasks_of(node.get(key, []), name)
        else:
            yield name, node


def module_of(task: dict) -> tuple[list[str], object]:
    """The keys of a task that are no keyword (one, if all is well), and the options of the first."""
    keys = [key for key in task if key not in TASK_KEYWORDS]
    return keys, task[keys[0]] if keys else None


def documentation(program: str, modules: set[str], kept: pathlib.Path | None) -> dict[str, dict]:
    """Options of each module, by name and alias; `kept` remembers what the program said once."""
    known = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
    missing = sorted(modules - set(known))
    if missing:
        answer = subprocess.run([program, "-t", "module", "--json", *missing], capture_output=True, text=True, check=False)
        said = json.loads(answer.stdout or "{}")
        known |= {name: entry["doc"].get("options", {}) for name, entry in said.items() if "doc" in entry}
        if kept:
            kept.write_text(json.dumps(known), encoding="utf-8")
    return known


def is_template(value: object) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def faults_of(module: str, given: object, options: dict[str, dict]) -> Iterator[str]:
    """What is wrong with the options given to one module."""
    if not isinstance(given, dict):
        if given is not None:
            yield f"{module}: options stand in one string; write them as a mapping"
        return
    names = {alias: name for name, option in options.items() for alias in [name, *option.get("aliases", [])]}
    for key, value in given.items():
        if key not in names:
            yield f"{module}: no option `{key}`"
            continue
        option = options[names[key]]
        choices = option.get("choices")
        values = value if isinstance(value, list) else [value]
        if choices:
            allowed = {str(choice) for choice in (choices if isinstance(choices, list) else choices.keys())}
            for one in values:
                if not is_template(one) and str(one) not in allowed:
                    yield f"{module}: `{key}: {one}` is none of {', '.join(sorted(allowed))}"
        if option.get("type") == "bool" and not is_template(value) and not isinstance(value, bool):
            yield f"{module}: `{key}: {value}` is not true or false"
        for one in values:
            if option.get("suboptions") and isinstance(one, dict):
                yield from faults_of(f"{module}, {key}", one, option["suboptions"])
        if option.get("type") == "int" and not is_template(value) and not isinstance(value, int):
            yield f"{module}: `{key}: {value}` is not a whole number"
    present = {names[key] for key in given if key in names}
    for name, option in options.items():
        if option.get("required") and name not in present:
            yield f"{module}: `{name}` is required"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ansible-doc", default="ansible-doc")
    parser.add_argument("--documentation", type=pathlib.Path)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    tasks: list[tuple[str, dict]] = []
    for path in arguments.files:
        with open(path, encoding="utf-8") as file:
            for document in yaml.load_all(file, Loader):
                tasks.extend(tasks_of(document, path))
    faults: list[str] = []
    modules: set[str] = set()
    for where, task in tasks:
        if "(play)" in task:
            faults.extend(f"{where}: not allowed here: {key}" for key in task["(play)"])
            continue
        keys, _ = module_of(task)
        if len(keys) != 1:
            faults.append(f"{where}: needs exactly one module, has {keys}")
        elif keys[0].count(".") < 2:
            faults.append(f"{where}: `{keys[0]}` is not a fully qualified module name")
        modules.update(keys[:1])
    documented = documentation(arguments.ansible_doc, {m for m in modules if m.count(".") >= 2}, arguments.documentation)
    checked = 0
    for where, task in tasks:
        keys, given = module_of(task)
        if "(play)" in task or len(keys) != 1:
            continue
        checked += 1
        module = keys[0]
        if module in FREE:
            continue
        if module in INCLUDES and isinstance(given, str):
            continue
        if module not in documented:
            faults.append(f"{where}: `{module}` is not documented here; is it misspelled?")
            continue
        options = dict(documented[module])
        options.pop("free-form", None)
        options.pop("free_form", None)
        faults.extend(f"{where}: {fault}" for fault in faults_of(module, given, options))
    for fault in faults:
        print(fault)
    print(f"{checked} tasks of {len(modules)} modules in {len(arguments.files)} files: {len(faults)} faults")
    if checked == 0:
        print("nothing was checked")
    return 1 if faults or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
