"""Checks that no name is both a fact (set_fact, register) and a variable of a task (vars) in one rendered folder: a fact wins, so
the variable would silently be what another file has left under its name.

    check_names.py FILE...
"""
import collections
import pathlib
import sys

import yaml


class Loader(yaml.SafeLoader):
    """Ansible's tags mean nothing here."""


Loader.add_multi_constructor("!", lambda *_: None)


def look(tasks, file, facts, variables):
    for task in tasks or []:
        for key, value in task.items():
            if key == "ansible.builtin.set_fact" and isinstance(value, dict):
                for name in value:
                    facts[name].add(file)
        if "register" in task:
            facts[task["register"]].add(file)
        # The variables of a play are meant to be what facts replace; its own tasks only include the files looked at here.
        for name in task.get("vars") or {} if "hosts" not in task else {}:
            variables[name].add(file)
        for part in ("block", "rescue", "always"):
            look(task.get(part), file, facts, variables)


def main():
    facts, variables = collections.defaultdict(set), collections.defaultdict(set)
    for path in sys.argv[1:]:
        look(yaml.load(pathlib.Path(path).read_text(encoding="utf-8"), Loader), pathlib.Path(path).name, facts, variables)
    both = sorted(facts.keys() & variables.keys())
    for name in both:
        print(f"{name} is a fact in {', '.join(sorted(facts[name]))} and a variable in {', '.join(sorted(variables[name]))}")
    return 1 if both else 0


sys.exit(main())
