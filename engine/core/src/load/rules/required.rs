//! # What it does
//! Checks fields that need or exclude each other: what a schema of single fields cannot say.
//!
//! # Why is this bad
//! A policy that says nothing about which assets it means must not quietly mean all of them; a source with both a path
//! and an address would be read from one of the two, and nobody could say which.
//!
//! # Example
//! ```yaml
//! kind: Source
//! spec: {kind: inventory, type: native}      # neither `path` nor `url`
//! ```
//!
//! # Fix
//! Add the missing field, or remove one of the two.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::load::wire::{CompatibilityMatrixSpec, CompatibleValues, ForgeType, OverrideSubject};
use crate::name::{LabelSelector, Operator};
use crate::source::{DocId, escape_token};
use crate::version::Range;

/// Combinations of fields.
pub static RULE: Rule = Rule {
    name: "required",
    codes: &[
        Code::MissingField,
        Code::WrongCombination,
        Code::DanglingReference,
        Code::WrongValue,
        Code::UnsafePath,
        Code::OverrideTooBroad,
        Code::PlainTextSecret,
    ],
    check,
};

/// Collects faults of one document.
struct Faults<'a> {
    context: &'a Context<'a>,
    doc: DocId,
    found: Vec<Diagnostic>,
}

impl Faults<'_> {
    fn missing(&mut self, pointer: &str, message: &str, help: &str) {
        self.found.push(
            self.context
                .at_key(Code::MissingField, self.doc, pointer, message)
                .help(help),
        );
    }

    fn clash(&mut self, pointer: &str, message: &str, help: &str) {
        self.found.push(
            self.context
                .at_key(Code::WrongCombination, self.doc, pointer, message)
                .help(help),
        );
    }

    fn wrong(&mut self, pointer: &str, message: &str, help: &str) {
        self.found
            .push(self.context.at(Code::WrongValue, self.doc, pointer, message).help(help));
    }

    /// Exactly one of the fields below `pointer` must be there.
    fn exactly_one(&mut self, pointer: &str, fields: &[(&str, bool)], what: &str) {
        let names = fields
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let given: Vec<&str> = fields
            .iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| *name)
            .collect();
        match given.as_slice() {
            [] => self.missing(pointer, &format!("{what} needs one of {names}"), "add one of them"),
            [_] => {}
            [.., last] => {
                let message = format!("{what} takes only one of {names}");
                self.clash(&format!("{pointer}/{last}"), &message, "remove all but one");
            }
        }
    }

    fn selector(&mut self, pointer: &str, selector: Option<&LabelSelector>) {
        for (i, requirement) in selector
            .into_iter()
            .flat_map(|s| s.match_expressions.iter().enumerate())
        {
            let pointer = format!("{pointer}/matchExpressions/{i}");
            let needs_values = matches!(requirement.operator, Operator::In | Operator::NotIn);
            if needs_values && requirement.values.is_empty() {
                self.missing(
                    &pointer,
                    "`In` and `NotIn` need `values`",
                    "list the values, or use `Exists`",
                );
            } else if !needs_values && !requirement.values.is_empty() {
                let help = "remove them, or use `In` or `NotIn`";
                self.clash(
                    &format!("{pointer}/values"),
                    "`Exists` and `DoesNotExist` take no `values`",
                    help,
                );
            }
        }
    }
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let catalog = context.catalog;
    let mut of = |doc: DocId, check: &dyn Fn(&mut Faults<'_>)| {
        let mut faults = Faults {
            context,
            doc,
            found: Vec::new(),
        };
        check(&mut faults);
        diagnostics.extend(faults.found);
    };
    catalog
        .policies
        .values()
        .for_each(|r| of(r.doc, &|f| policy(f, &r.spec)));
    catalog.slas.values().for_each(|r| of(r.doc, &|f| sla(f, &r.spec)));
    catalog.classes.values().for_each(|r| of(r.doc, &|f| class(f, &r.spec)));
    catalog
        .strategies
        .values()
        .for_each(|r| of(r.doc, &|f| strategy(f, &r.spec)));
    catalog
        .freezes
        .values()
        .for_each(|r| of(r.doc, &|f| freeze(f, &r.spec)));
    catalog
        .overrides
        .values()
        .for_each(|r| of(r.doc, &|f| overriding(f, &r.spec)));
    catalog.suites.values().for_each(|r| of(r.doc, &|f| suite(f, &r.spec)));
    catalog
        .advisories
        .values()
        .for_each(|r| of(r.doc, &|f| advisory(f, &r.spec)));
    catalog
        .exceptions
        .values()
        .for_each(|r| of(r.doc, &|f| f.selector("/spec/selector", r.spec.selector.as_ref())));
    catalog
        .matrices
        .values()
        .for_each(|r| of(r.doc, &|f| matrix(f, &r.spec)));
    catalog.sources.values().for_each(|r| {
        let fields = [("path", r.spec.path.is_some()), ("url", r.spec.url.is_some())];
        of(r.doc, &|f| {
            f.exactly_one("/spec", &fields, "a Source");
            source_place(f, &r.spec);
        });
    });
    catalog.fleets.values().for_each(|r| {
        of(r.doc, &|f| {
            if r.spec.sources.is_empty() && r.spec.assets.is_empty() {
                let help = "name the `sources` that report its assets, or list them under `assets`";
                f.missing(
                    "/spec",
                    "a Fleet needs `sources` or `assets`: this one has no asset at all",
                    help,
                );
            }
            for (i, service) in r.spec.services.iter().enumerate() {
                f.selector(&format!("/spec/services/{i}/members"), Some(&service.members));
            }
        });
    });
    if let Some(id) = context.project {
        of(id, &|f| project(f));
    }
}

/// Whether a path is not one below the root: absolute, with a drive, or with `..` in it.
fn leaves_the_repository(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.contains(':') || path.split(['/', '\\']).any(|part| part == "..")
}

/// Schemes that an address of a source can have.
const SCHEMES: &[&str] = &["http://", "https://", "s3://", "gs://", "az://"];

fn source_place(f: &mut Faults<'_>, spec: &crate::load::wire::SourceSpec) {
    // Exports often land beside the repository, so this is only said; inside it, links may not leave.
    if let Some(path) = spec.path.as_deref().filter(|path| leaves_the_repository(path)) {
        let message =
            format!("`{path}` lies outside the repository, so another machine reads something else or nothing");
        let diagnostic = f.context.at(Code::UnsafePath, f.doc, "/spec/path", message);
        f.found.push(Diagnostic {
            severity: Severity::Warning,
            ..diagnostic.help("write a path relative to the root of the repository")
        });
    }
    if spec
        .url
        .as_deref()
        .is_some_and(|url| !SCHEMES.iter().any(|s| url.starts_with(s)))
    {
        // The address itself is not repeated, and one with `@` may hold a password: its line is not shown either.
        let doubtful = spec.url.as_deref().is_some_and(|url| url.contains('@'));
        let code = if doubtful {
            Code::PlainTextSecret
        } else {
            Code::WrongValue
        };
        let diagnostic = f
            .context
            .at(code, f.doc, "/spec/url", "this is no address that can be asked");
        f.found
            .push(diagnostic.help("write for example `https://host.example/path`; files are named with `path`"));
    }
}

fn project(f: &mut Faults<'_>) {
    let spec = &f.context.catalog.project;
    let paths = &spec.paths;
    let folders = [
        ("policies", &paths.policies),
        ("fleets", &paths.fleets),
        ("templates", &paths.templates),
        ("rollouts", &paths.rollouts),
    ];
    for (field, folder) in folders {
        if leaves_the_repository(folder) || folder.trim().is_empty() {
            let message = format!("`{folder}` is not a folder below the root of the repository");
            let diagnostic = f
                .context
                .at(Code::UnsafePath, f.doc, &format!("/spec/paths/{field}"), message);
            f.found.push(diagnostic.help(format!("write for example `{field}`")));
        }
    }
    if spec.state.path.is_some() && spec.state.url.is_some() {
        f.clash(
            "/spec/state/url",
            "the state store is either a `path` or a `url`",
            "remove one of the two",
        );
    }
    if spec.forge.kind != ForgeType::Local && spec.forge.repository.is_none() {
        let help = "add `repository: owner/name`";
        f.missing(
            "/spec/forge",
            "this forge needs `repository`, or nobody knows where pull requests go",
            help,
        );
    }
    if spec.forge.kind == ForgeType::Gitea && spec.forge.api_url.is_none() {
        f.missing("/spec/forge", "Gitea needs `apiUrl`", "add `apiUrl: https://…/api/v1`");
    }
    if let Some(zone) = &spec.defaults.timezone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        let pointer = "/spec/defaults/timezone";
        let message = format!("there is no time zone `{zone}`");
        f.found.push(
            f.context
                .at(Code::WrongValue, f.doc, pointer, message)
                .maybe_help(super::windows::nearest_zone(zone)),
        );
    }
}

fn policy(f: &mut Faults<'_>, spec: &crate::load::wire::PatchPolicySpec) {
    if spec.scope.selector.is_none() && spec.scope.when.is_none() {
        let help = "`selector: {}` means every asset";
        f.missing(
            "/spec/scope",
            "the scope says nothing about which assets are meant",
            help,
        );
    }
    f.selector("/spec/scope/selector", spec.scope.selector.as_ref());
    for (i, hold) in spec.holds.iter().enumerate() {
        if hold.packages.is_empty() && hold.advisories.is_empty() {
            let help = "`packages: [\"*\"]` means every package";
            f.missing(
                &format!("/spec/holds/{i}"),
                "a hold needs `packages` or `advisories`",
                help,
            );
        }
        if let Some(range) = hold.versions.as_deref().filter(|range| !is_range(range)) {
            let message = format!("`{range}` is no range of versions, so everything would be held");
            let diagnostic = f
                .context
                .at(Code::WrongValue, f.doc, &format!("/spec/holds/{i}/versions"), message);
            f.found
                .push(diagnostic.help("write for example `>= 16`, or `>= 16, < 17`"));
        }
    }
    for (i, e) in spec.exclude.iter().enumerate() {
        let says = !e.types.is_empty() || e.severity.is_some() || !e.packages.is_empty() || !e.advisories.is_empty();
        if !says && e.when.is_none() {
            let message = "this exclude names nothing, so it would take everything out of the policy";
            f.missing(
                &format!("/spec/exclude/{i}"),
                message,
                "say which types, severity, packages or advisories",
            );
        }
    }
}

/// Whether a text is comparisons, separated by commas or blanks: `>= 16`, `>=550.54 <560`. A bare version is `=`.
fn is_range(text: &str) -> bool {
    Range::parse(text).is_some()
}

fn sla(f: &mut Faults<'_>, spec: &crate::load::wire::SlaPolicySpec) {
    // An empty list is a list: `rules: []` says that the default is meant for everything.
    let written = f
        .context
        .documents
        .get(f.doc)
        .is_some_and(|d| d.value.pointer("/spec/rules").is_some());
    let fields = [("rules", written), ("table", spec.table.is_some())];
    f.exactly_one("/spec", &fields, "an SlaPolicy");
    if let Some(table) = &spec.table {
        f.exactly_one(
            "/spec/table",
            &[("pack", table.pack.is_some()), ("file", table.file.is_some())],
            "a table",
        );
    }
    for (i, rule) in spec.rules.iter().enumerate() {
        f.selector(&format!("/spec/rules/{i}/selector"), rule.selector.as_ref());
    }
}

fn class(f: &mut Faults<'_>, spec: &crate::load::wire::AssetClassSpec) {
    if spec.selector.is_none() && spec.when.is_none() {
        let message = "an AssetClass needs `selector` or `when`: this one says nothing about which assets are meant";
        f.missing("/spec", message, "`selector: {}` means every asset");
    }
    f.selector("/spec/selector", spec.selector.as_ref());
    let fields = [("target", spec.target.is_some()), ("targets", !spec.targets.is_empty())];
    f.exactly_one("/spec", &fields, "an AssetClass");
}

fn strategy(f: &mut Faults<'_>, spec: &crate::load::wire::RolloutStrategySpec) {
    for (w, wave) in spec.waves.iter().enumerate() {
        f.selector(&format!("/spec/waves/{w}/selector"), wave.selector.as_ref());
        for (b, _) in wave.batches.iter().enumerate().filter(|(_, size)| size.is_zero()) {
            let pointer = format!("/spec/waves/{w}/batches/{b}");
            let message = "a batch of no asset never ends the wave";
            let diagnostic = f.context.at(Code::WrongValue, f.doc, &pointer, message);
            f.found
                .push(diagnostic.help("write at least 1; a share rounds up to 1 by itself"));
        }
        for (g, gate) in wave.gates.iter().enumerate() {
            let pointer = format!("/spec/waves/{w}/gates/{g}");
            let fields = [
                ("promql", gate.promql.is_some()),
                ("status", gate.status.is_some()),
                ("http", gate.http.is_some()),
                ("result", gate.result.is_some()),
                ("change", gate.change.is_some()),
            ];
            f.exactly_one(&pointer, &fields, "a gate");
            let asks = gate.promql.is_some() || gate.status.is_some() || gate.change.is_some();
            if asks && gate.source.is_none() {
                f.missing(
                    &pointer,
                    "this gate needs `source`: the monitor that is asked",
                    "add the name of a Source",
                );
            }
            let global = gate.scope == crate::load::wire::GateScope::Global;
            if gate.promql.is_some() && gate.matching.is_none() && !global {
                let help =
                    "add `match: {label: instance, to: asset.fqdn}`, or `scope: global` if one answer is for all";
                f.missing(
                    &pointer,
                    "a PromQL gate needs `match`, which tells whose sample is whose",
                    help,
                );
            }
        }
    }
}

fn freeze(f: &mut Faults<'_>, spec: &crate::load::wire::ChangeFreezeSpec) {
    f.selector("/spec/selector", spec.selector.as_ref());
    match (spec.from.is_some(), spec.to.is_some(), spec.rule.is_some()) {
        (true, true, false) | (false, false, true) => {}
        (false, false, false) => f.missing(
            "/spec",
            "a ChangeFreeze needs `from` and `to`, or a `rule`",
            "say when it is",
        ),
        (true, false, false) => f.missing("/spec/from", "a freeze with `from` needs `to`", "add the last day"),
        (false, true, false) => f.missing("/spec/to", "a freeze with `to` needs `from`", "add the first day"),
        (_, _, true) => f.clash(
            "/spec/rule",
            "a freeze is either `from` and `to` or a `rule`",
            "remove one of the two",
        ),
    }
}

fn overriding(f: &mut Faults<'_>, spec: &crate::load::wire::OverrideSpec) {
    f.selector("/spec/selector", spec.selector.as_ref());
    let (what, field) = match spec.what {
        OverrideSubject::Freeze => ("freeze", "freeze"),
        OverrideSubject::Window => ("window", "window"),
        OverrideSubject::Limit => ("limit", "policy"),
    };
    let given = [
        ("freeze", spec.freeze.is_some()),
        ("window", spec.window.is_some()),
        ("policy", spec.policy.is_some()),
    ];
    for (name, _) in given.iter().filter(|(name, given)| *given && *name != field) {
        let message = format!("`{name}` does not go with `what: {what}`");
        f.clash(
            &format!("/spec/{name}"),
            &message,
            "write two overrides if two things are meant",
        );
    }
    if !given.iter().any(|(name, given)| *given && *name == field) {
        let everything = match spec.what {
            OverrideSubject::Freeze => format!("every freeze that `{}` may override", spec.by),
            OverrideSubject::Window => "every window".to_owned(),
            OverrideSubject::Limit => "the limits of every policy".to_owned(),
        };
        let message = format!("this override names no `{field}`, so it lifts {everything}");
        let diagnostic = f.context.at_key(Code::OverrideTooBroad, f.doc, "/spec/what", message);
        f.found
            .push(diagnostic.help(format!("add `{field}: NAME`, if one is meant")));
    }
}

fn suite(f: &mut Faults<'_>, spec: &crate::load::wire::ValidationSuiteSpec) {
    for (i, c) in spec.checks.iter().enumerate() {
        let fields = [
            ("command", c.command.is_some()),
            ("workload", c.workload.is_some()),
            ("promql", c.promql.is_some()),
            ("http", c.http.is_some()),
        ];
        f.exactly_one(&format!("/spec/checks/{i}"), &fields, "a check");
    }
}

/// A matrix says which versions go together: a range nobody can read would allow nothing, and an empty row everything.
fn matrix(f: &mut Faults<'_>, spec: &CompatibilityMatrixSpec) {
    f.selector("/spec/selector", spec.selector.as_ref());
    if spec.rows.is_empty() {
        f.wrong(
            "/spec/rows",
            "a matrix without rows allows nothing",
            "add the combinations that were tested",
        );
    }
    for (i, row) in spec.rows.iter().enumerate() {
        let pointer = format!("/spec/rows/{i}");
        if row.is_empty() {
            f.wrong(
                &pointer,
                "a row without columns allows everything",
                "write what it is about, or remove it",
            );
        }
        for (column, values) in row {
            let pointer = format!("{pointer}/{}", escape_token(column));
            match values {
                CompatibleValues::Range(text) if !is_range(text) => {
                    let message = format!("`{text}` is no range of versions");
                    f.wrong(
                        &pointer,
                        &message,
                        "write comparisons such as `>=12.4 <12.6`, or a list of words such as `[hopper]`",
                    );
                }
                CompatibleValues::OneOf(list) if list.is_empty() => {
                    f.wrong(
                        &pointer,
                        "an empty list allows nothing",
                        "list what goes together, or remove the column",
                    );
                }
                _ => {}
            }
        }
    }
}

fn advisory(f: &mut Faults<'_>, spec: &crate::load::wire::AdvisorySpec) {
    for (i, fix) in spec.fixes.iter().enumerate() {
        let pointer = format!("/spec/fixes/{i}");
        let fields = [
            ("package", fix.package.is_some()),
            ("component", fix.component.is_some()),
        ];
        f.exactly_one(&pointer, &fields, "a fix");
        if fix.package.is_some() && fix.ecosystem.is_none() {
            let help = "add for example `ecosystem: \"AlmaLinux:9\"`";
            f.missing(
                &pointer,
                "a package needs its `ecosystem`, which decides how versions are ordered",
                help,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_repository() {
        for path in ["/etc", "../x", "a/../../b", "C:/x", "\\\\host\\x", "a/.."] {
            assert!(leaves_the_repository(path), "{path}");
        }
        for path in ["fleets/observed", "a..b/c", "./x", ".state"] {
            assert!(!leaves_the_repository(path), "{path}");
        }
    }
}
