//! # What it does
//! Checks words that name parts of the engine: targets, source types, decision tables, backups, rollbacks, hooks.
//!
//! # Why is this bad
//! A class patched by a tool that does not exist is never patched; a hook that does not exist would not drain the load
//! balancer.
//!
//! # Example
//! ```yaml
//! spec:
//!   target: ansibel
//! ```
//!
//! # Fix
//! Correct the word. A folder `templates/<name>/` adds a target, a file `templates/hooks/<name>.yml` a hook.

use std::collections::BTreeSet;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::Doc;
use crate::load::builtin::specification;
use crate::load::known::{self, Known};
use crate::load::sites::texts_at;
use crate::source::{DocId, SourceSet};

/// Unknown and unbuilt words.
pub static RULE: Rule = Rule {
    name: "known_names",
    codes: &[Code::UnknownName, Code::NotBuiltYet, Code::SourceKindMismatch],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for (id, doc) in context.documents.iter() {
        if doc.kind() == "AssetClass" {
            unreadable_targets(context, id, doc, diagnostics);
        }
        let mut word = |path: &[&str], what: &str, list: &[Known], added: &[&str]| {
            for (pointer, name) in texts_at(&doc.value, path) {
                judge(context, id, &pointer, (what, name), list, added, diagnostics);
            }
        };
        match doc.kind() {
            "AssetClass" => {
                let templates = &context.catalog.project.paths.templates;
                let folders = children(context, templates, "/target.yaml");
                let hooks: Vec<&str> = children(context, &format!("{templates}/hooks"), ".yml")
                    .into_iter()
                    .chain(known::HOOKS.iter().copied())
                    .collect();
                word(&["spec", "target"], "render target", known::TARGETS, &folders);
                word(
                    &["spec", "targets", "*", "use"],
                    "render target",
                    known::TARGETS,
                    &folders,
                );
                word(&["spec", "protection", "backup"], "kind of backup", known::BACKUPS, &[]);
                word(
                    &["spec", "protection", "rollback"],
                    "kind of rollback",
                    known::ROLLBACKS,
                    &[],
                );
                for stage in [
                    "beforeBatch",
                    "beforeAsset",
                    "afterAsset",
                    "afterBatch",
                    "onFailure",
                    "always",
                ] {
                    word(&["spec", "hooks", stage, "*", "name"], "hook", &[], &hooks);
                }
            }
            "PolicyTest" => {
                let expected = |field| ["spec", "expect", "findings", "*", field];
                word(&expected("status"), "status", &[], known::STATUSES);
                word(&expected("timeliness"), "timeliness", &[], known::TIMELINESS);
                word(&expected("decision"), "decision", &[], known::DECISIONS);
                word(
                    &["spec", "expect", "assets", "*", "status"],
                    "status",
                    &[],
                    known::STATUSES,
                );
                for list in [
                    &["spec", "expect", "refusals", "*", "binding"][..],
                    &["spec", "expect", "rollouts", "*", "waves", "*", "binding"],
                ] {
                    word(list, "constraint", &[], known::BINDINGS);
                }
            }
            "Source" => word(
                &["spec", "authoritativeFor", "*"],
                "group of facts",
                &[],
                known::FACT_GROUPS,
            ),
            "SlaPolicy" => word(&["spec", "table", "pack"], "decision table", known::TABLE_PACKS, &[]),
            _ => {}
        }
    }
    for source in context.catalog.sources.values() {
        let name = source.spec.format.as_str();
        let Some(found) = known::SOURCE_TYPES.iter().find(|t| t.name == name) else {
            let list: Vec<Known> = known::SOURCE_TYPES
                .iter()
                .filter(|t| t.kinds.contains(&source.spec.kind))
                .map(|t| Known {
                    name: t.name,
                    built: t.has(source.spec.kind),
                })
                .collect();
            judge(
                context,
                source.doc,
                "/spec/type",
                ("source type", name),
                &list,
                &[],
                diagnostics,
            );
            continue;
        };
        if !found.kinds.contains(&source.spec.kind) {
            let gives: Vec<&str> = found.kinds.iter().map(|k| known::kind_word(*k)).collect();
            let message = format!(
                "`{name}` does not give {}, but {}",
                known::kind_word(source.spec.kind),
                gives.join(" or ")
            );
            let diagnostic = context.at(Code::SourceKindMismatch, source.doc, "/spec/type", message);
            diagnostics.push(diagnostic.help(format!(
                "write `kind: {}`, or choose another type",
                gives.join("` or `kind: ")
            )));
        } else if !found.has(source.spec.kind) {
            diagnostics.push(not_built(context, source.doc, "/spec/type", "source type", name));
        }
    }
}

fn not_built(context: &Context<'_>, id: DocId, pointer: &str, what: &str, name: &str) -> crate::diag::Diagnostic {
    context
        .at(
            Code::NotBuiltYet,
            id,
            pointer,
            format!("the {what} `{name}` is not built yet"),
        )
        .help("work that needs it will be refused; everything else goes on")
}

fn judge(
    context: &Context<'_>,
    id: DocId,
    pointer: &str,
    (what, name): (&str, &str),
    list: &[Known],
    added: &[&str],
    diagnostics: &mut Diagnostics,
) {
    if added.contains(&name) {
        return;
    }
    match list.iter().find(|k| k.name == name) {
        Some(known) if known.built => {}
        Some(_) => diagnostics.push(not_built(context, id, pointer, what, name)),
        None => {
            let known = list.iter().map(|k| k.name).chain(added.iter().copied());
            let diagnostic = context.at(Code::UnknownName, id, pointer, format!("there is no {what} `{name}`"));
            diagnostics.push(diagnostic.maybe_help(nearest_or_list(name, known)));
        }
    }
}

/// A class that names a folder of the user's own whose `target.yaml` nobody can read.
fn unreadable_targets(context: &Context<'_>, id: DocId, doc: &Doc, diagnostics: &mut Diagnostics) {
    let templates = &context.catalog.project.paths.templates;
    for path in [&["spec", "target"][..], &["spec", "targets", "*", "use"]] {
        for (pointer, name) in texts_at(&doc.value, path) {
            if let Some(Err(why)) = specification(templates, name, context.set) {
                let message = format!("`{templates}/{name}/target.yaml` is not a render target: {why}");
                let help = format!("`patchwave targets check {templates}/{name}` names every fault of it");
                diagnostics.push(context.at(Code::UnknownName, id, &pointer, message).help(help));
            }
        }
    }
}

/// The names of the folders with a `target.yaml` below the templates folder.
pub(in crate::load) fn target_folders(templates: &str, set: &SourceSet) -> BTreeSet<String> {
    between(set, templates, "/target.yaml").map(str::to_owned).collect()
}

/// The names that stand between `folder/` and `end` in an existing path.
fn children<'a>(context: &Context<'a>, folder: &str, end: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = between(context.set, folder, end).collect();
    names.sort_unstable();
    names
}

fn between<'a>(set: &'a SourceSet, folder: &str, end: &str) -> impl Iterator<Item = &'a str> {
    let files = set.files.iter().map(|f| f.path.as_str());
    let paths = set.present.iter().map(String::as_str).chain(files);
    let name = move |path: &'a str| path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(end);
    paths.filter_map(name).filter(|name| !name.contains('/'))
}
