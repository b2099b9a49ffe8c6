//! The page about render targets (`docs/targets.md`), written from their specifications.

use std::fmt;

use super::builtin::BUILTIN_TARGETS;
use super::wire::{Capabilities, Delivery, HookReach, LateClients, RebootControl, TargetSpec, Way};

/// Displays as Markdown.
#[derive(Clone, Copy, Debug)]
pub struct TargetsPage;

const HEAD: &str = "<!-- Written by `cargo run -p xtask -- generate` from templates/*/target.yaml. -->
# Render targets

A target is the tool that executes a wave. Name it in an AssetClass (`target: wsus`, or `targets` by type of update); the wave's pull request then
holds the files this tool takes. The planner refuses a class that asks for what its target cannot promise, before anything is rendered, and says
what would do instead.

**proven** means that the tools named below accepted the golden files in this repository's own checks; nobody ran them against a vendor's product here
unless it says so. **unproven** means written after the vendor's documentation, with its own schema, and accepted by no tool: try it on a test wave first.

A folder `templates/<name>/` with a `target.yaml` and templates adds a target or replaces one; `patchwave targets check templates/<name>` reads it,
renders it and tries to break out of its files. [CONTRIBUTING.md](../CONTRIBUTING.md) says how to write one.
";

impl fmt::Display for TargetsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        f.write_str(
            "\n| target | takes | who begins | exact versions | way back | |\n| --- | --- | --- | --- | --- | --- |\n",
        )?;
        for (name, spec) in targets() {
            let can = &spec.capabilities;
            let proof = if spec.accepted_by.is_empty() {
                "unproven"
            } else {
                "proven"
            };
            writeln!(
                f,
                "| [{name}](#{name}) | {} | {} | {} | {} | {proof} |",
                takes(spec),
                match can.control {
                    Delivery::Push => "the executor",
                    Delivery::Pull => "the clients",
                },
                yes(can.pins),
                ways(can),
            )?;
        }
        for (name, spec) in targets() {
            one(f, name, spec)?;
        }
        Ok(())
    }
}

fn targets() -> impl Iterator<Item = (&'static String, &'static TargetSpec)> {
    // A pack that takes nothing writes pages for people.
    BUILTIN_TARGETS.iter().filter(|(_, spec)| !takes(spec).is_empty())
}

fn one(f: &mut fmt::Formatter<'_>, name: &str, spec: &TargetSpec) -> fmt::Result {
    let can = &spec.capabilities;
    write!(f, "\n## {name}\n\n{}\n\n", spec.description)?;
    let late = match can.late_clients {
        LateClients::Skip => "installs nothing",
        LateClients::Install => "installs when it comes back",
    };
    let reboot = match can.reboot {
        RebootControl::Controlled => "as the class says",
        RebootControl::Client => "left to the client",
        RebootControl::None => "never",
    };
    let hooks = match can.hooks {
        HookReach::None => "none",
        HookReach::Batch => "around a batch",
        HookReach::Asset => "around a batch and each asset",
    };
    let backups: Vec<&str> = can.backups.iter().map(String::as_str).collect();
    let content: Vec<&str> = spec.content.iter().map(|c| c.as_str()).collect();
    let needs: Vec<&str> = spec.needs.iter().map(|n| n.as_str()).collect();
    for (what, says) in [
        ("waits for an opening", yes(can.not_before).to_owned()),
        ("can be given a deadline", yes(can.deadline).to_owned()),
        ("stops an asset that has begun", yes(can.stop_in_flight).to_owned()),
        ("a client that missed the window", late.to_owned()),
        ("reboots", reboot.to_owned()),
        ("ways back", ways(can)),
        ("hooks", hooks.to_owned()),
        ("backups it takes or has taken", list(&backups)),
        (
            "looks at the age of a regular backup",
            yes(can.backup_evidence).to_owned(),
        ),
        (
            "reads the role of a cluster's member before it is touched",
            yes(can.roles).to_owned(),
        ),
        ("runs checks on the asset", yes(can.checks).to_owned()),
        ("measures workloads around an asset", yes(can.workloads).to_owned()),
        ("freezes content", list(&content)),
        ("needs these facts", list(&needs)),
    ] {
        writeln!(f, "- {what}: {says}")?;
    }
    if !spec.limits.is_empty() {
        f.write_str("\nWhat it cannot promise:\n\n")?;
        for limit in &spec.limits {
            writeln!(f, "- {limit}")?;
        }
    }
    if spec.accepted_by.is_empty() {
        return f.write_str("\nAccepted by: nothing here (**unproven**).\n");
    }
    f.write_str("\nAccepted by:\n\n")?;
    for tool in &spec.accepted_by {
        writeln!(f, "- {tool}")?;
    }
    Ok(())
}

fn takes(spec: &TargetSpec) -> String {
    let packages = spec.ecosystems.iter().map(|scheme| format!("{scheme} packages"));
    let parts = spec.kinds.iter().map(|kind| kind.as_str().to_owned());
    packages.chain(parts).collect::<Vec<_>>().join(", ")
}

fn ways(can: &Capabilities) -> String {
    let ways: Vec<&str> = can
        .rollback
        .iter()
        .map(|way| match way {
            Way::Snapshot => "snapshot",
            Way::Exact => "exact",
        })
        .collect();
    list(&ways)
}

fn list(words: &[&str]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
