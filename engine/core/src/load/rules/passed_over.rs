//! # What it does
//! Names files below the roots that were surely meant to be read: `policies/linux.YAML`.
//!
//! # Why is this bad
//! Only `*.yaml` and `*.yml` are resource files. A policy in a file of another name is not in force, and nobody is told.
//!
//! # Example
//! ```text
//! policies/linux.YAML
//! ```
//!
//! # Fix
//! Rename the file.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::Location;

/// Resource files under a name that is not read.
pub static RULE: Rule = Rule {
    name: "passed_over",
    codes: &[Code::FilePassedOver],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let paths = &context.catalog.project.paths;
    let roots = [paths.policies.as_str(), paths.fleets.as_str()].map(|root| root.trim_matches('/'));
    let below = |path: &str| {
        roots
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))
    };
    for path in context.set.present.iter().filter(|path| below(path)) {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        let meant = ["yaml", "yml"]
            .iter()
            .any(|e| e.eq_ignore_ascii_case(extension) && *e != extension);
        if meant {
            let message = format!("`{path}` is not read: resource files are named `*.yaml` or `*.yml`");
            let diagnostic = Diagnostic::new(Code::FilePassedOver, message).at(Location::whole_file(path), "");
            diagnostics.push(diagnostic.help("write the extension in lowercase"));
        }
    }
}
