"""Sorts versions as LooseVersion does."""
from ansible.module_utils.compat.version import LooseVersion


class FilterModule:
    def filters(self):
        return {"version_sort": lambda versions, reverse=False: sorted(versions, key=LooseVersion, reverse=reverse)}
