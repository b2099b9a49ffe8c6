"""The routes of the double, in the form apipie publishes: names and parameters as Foreman and Katello document them.

A parameter is `name`, or `name!` where it is required, or a pair of that and the parameters below it.
"""

from __future__ import annotations

LISTS = ["search", "page", "per_page", "order", "full_result", "sort_by", "sort_order", "organization_id"]
JOB = [
    "job_template_id", "targeting_type!", "inputs", "search_query", "description_format", "execution_timeout_interval",
    "feature", "time_to_pickup", ("scheduling", ["start_at", "start_before"]),
    ("concurrency_control", ["concurrency_level"]),
]
UPDATE = [
    ("content_view_version_environments", ["content_view_version_id", "environment_ids"]), "description",
    "resolve_dependencies", "propagate_all_composites", ("add_content", ["errata_ids", "package_ids", "deb_ids"]),
]
ROUTES = {
    "home.status": ("GET /api/status", []),
    "ping.server_status": ("GET /katello/api/status", []),
    "organizations.index": ("GET /katello/api/organizations", LISTS),
    "organizations.show": ("GET /katello/api/organizations/:id", ["id!"]),
    "lifecycle_environments.index": ("GET /katello/api/environments", [*LISTS, "organization_id!", "library", "name"]),
    "content_views.index": ("GET /katello/api/content_views", [*LISTS, "environment_id", "name"]),
    "content_views.show": ("GET /katello/api/content_views/:id", ["id!"]),
    "content_view_versions.index": (
        "GET /katello/api/content_view_versions",
        [*LISTS, "content_view_id", "environment_id", "version", "composite_version_id"],
    ),
    "content_view_versions.show": ("GET /katello/api/content_view_versions/:id", ["id!"]),
    "content_view_versions.promote": (
        "POST /katello/api/content_view_versions/:id/promote", ["id!", "force", "environment_ids", "description"],
    ),
    "content_view_versions.incremental_update": (
        "POST /katello/api/content_view_versions/incremental_update", UPDATE,
    ),
    "errata.index": ("GET /katello/api/errata", [*LISTS, "content_view_version_id", "available_for"]),
    "packages.index": ("GET /katello/api/packages", [*LISTS, "content_view_version_id"]),
    "capsules.index": ("GET /katello/api/capsules", LISTS),
    "capsule_content.sync_status": ("GET /katello/api/capsules/:id/content/sync", ["id!", "organization_id"]),
    "foreman_tasks.show": ("GET /foreman_tasks/api/tasks/:id", ["id!"]),
    "hosts.show": ("GET /api/hosts/:id", ["id!"]),
    "host_errata.index": ("GET /api/hosts/:host_id/errata", [*LISTS, "host_id!", "include_applicable"]),
    "host_packages.index": ("GET /api/hosts/:host_id/packages", [*LISTS, "host_id!"]),
    "host_tracer.index": ("GET /api/hosts/:host_id/traces", ["host_id!"]),
    "job_templates.index": ("GET /api/job_templates", ["search", "order", "page", "per_page"]),
    "job_invocations.create": ("POST /api/job_invocations", [("job_invocation!", JOB)]),
    "job_invocations.show": ("GET /api/job_invocations/:id", ["id!", "host_status"]),
    # By this one the collection knows a server with Katello.
    "subscriptions.index": ("GET /katello/api/subscriptions", LISTS),
    # The collection looks at these four when it connects, and calls none of them here.
    "organizations.update": ("PUT /katello/api/organizations/:id", ["id!", ("organization!", ["name"])]),
    "hosts.update": ("PUT /api/hosts/:id", ["id!"]),
    "content_view_filter_rules.create": ("POST /katello/api/content_view_filters/:id/rules", ["id!"]),
    "content_view_filter_rules.update": ("PUT /katello/api/content_view_filters/:id/rules/:rule_id", ["id!", "rule_id!"]),
    "job_invocations.outputs": ("GET /api/job_invocations/:id/outputs", ["id!", "search_query", "since", "raw"]),
}


def param(written: object, within: str = "") -> dict:
    """One parameter as apipie writes it."""
    name, below = (written, []) if isinstance(written, str) else written
    bare = name.rstrip("!")
    full = f"{within}[{bare}]" if within else bare
    known = {
        "name": bare, "full_name": full, "required": name.endswith("!"), "description": "", "allow_nil": False,
        "validator": "", "expected_type": "hash" if below else "string", "metadata": None, "show": True, "validations": [],
    }
    if bare.endswith("_ids"):
        known.update(validator="Must be an array of any type", expected_type="array")
    if below:
        known["params"] = [param(item, full) for item in below]
    return known


def description() -> dict:
    """The whole of it."""
    resources: dict[str, dict] = {}
    for name, (route, params) in ROUTES.items():
        resource, method = name.split(".")
        verb, path = route.split(" ")
        entry = resources.setdefault(
            resource, {"name": resource, "doc_url": "", "short_description": "", "methods": [], "headers": []}
        )
        unique = {str(item).rstrip("!") if isinstance(item, str) else item[0]: item for item in params}
        entry["methods"].append({
            "name": method, "doc_url": "", "errors": [], "examples": [], "formats": None, "full_description": "",
            "params": [param(item) for item in unique.values()],
            "apis": [{"api_url": path, "http_method": verb, "short_description": name, "deprecated": None}],
        })
    return {"docs": {"name": "Double", "info": "", "copyright": "", "doc_url": "", "api_url": "", "resources": resources}}
