//! Diagnostics as editors show them, and the fixes they carry.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use lsp_types::{
    CodeAction, CodeActionKind, CodeDescription, Diagnostic as Shown, DiagnosticRelatedInformation, DiagnosticSeverity,
    NumberOrString, Range, TextEdit, Uri, WorkspaceEdit,
};
use patchwave_core::diag::{Code, Diagnostic, Severity};

use super::position::Lines;
use super::workspace::Workspace;

/// The page with a section for every code; the version of it that belongs to the newest release.
const PAGE: &str = "https://patchwave.dev/docs/diagnostics.md";

/// Every diagnostic by file, in order. Those of no file are left to `validate`.
pub fn by_file(workspace: &Workspace) -> BTreeMap<String, Vec<Shown>> {
    let mut found: BTreeMap<String, Vec<Shown>> = BTreeMap::new();
    let mut at: Option<(&str, Lines<'_>)> = None;
    for diagnostic in workspace.loaded().diagnostics.iter() {
        let Some(location) = &diagnostic.location else { continue };
        let file: &str = &location.file;
        if at.as_ref().is_none_or(|(known, _)| *known != file) {
            let text = workspace.set().text(file).unwrap_or_default();
            at = Some((file, Lines::new(text, workspace.encoding)));
        }
        if let Some((_, lines)) = &at {
            let shown = show(workspace, diagnostic, lines.range_of(location));
            found.entry(file.to_owned()).or_default().push(shown);
        }
    }
    found
}

fn show(workspace: &Workspace, diagnostic: &Diagnostic, range: Range) -> Shown {
    let related = diagnostic.related.iter().filter_map(|related| {
        Some(DiagnosticRelatedInformation {
            location: workspace.place(&related.location)?,
            message: related.message.clone(),
        })
    });
    let related: Vec<_> = related.collect();
    let help = diagnostic.help.as_ref();
    Shown {
        range,
        severity: Some(match diagnostic.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Info => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(diagnostic.code.id().to_owned())),
        code_description: page(diagnostic.code),
        source: Some("patchwave".into()),
        message: help.map_or_else(
            || diagnostic.message.clone(),
            |help| format!("{}\nhelp: {help}", diagnostic.message),
        ),
        related_information: (!related.is_empty()).then_some(related),
        tags: None,
        data: None,
    }
}

fn page(code: Code) -> Option<CodeDescription> {
    let href = Uri::from_str(&format!("{PAGE}#{}", code.id().to_lowercase())).ok()?;
    Some(CodeDescription { href })
}

/// The fixes for what is wrong in a range of a file: the nearest name, a missing quote.
pub fn fixes(workspace: &Workspace, path: &str, uri: &Uri, range: Range) -> Vec<CodeAction> {
    let text = workspace.set().text(path).unwrap_or_default();
    let lines = Lines::new(text, workspace.encoding);
    let mut found = Vec::new();
    for diagnostic in workspace.loaded().diagnostics.iter() {
        let Some(location) = diagnostic.location.as_ref().filter(|l| &*l.file == path) else {
            continue;
        };
        let at = lines.range_of(location);
        if at.end < range.start || range.end < at.start {
            continue;
        }
        let written = text.get(lines.bytes_of(location)).unwrap_or_default();
        let Some(replacement) = replacement(diagnostic, written) else {
            continue;
        };
        let edit = TextEdit::new(at, replacement.clone());
        found.push(CodeAction {
            title: format!("Write {replacement}"),
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![show(workspace, diagnostic, at)]),
            edit: Some(WorkspaceEdit {
                // A map keyed by address is the form of the protocol; one entry has no order.
                changes: Some(std::iter::once((uri.clone(), vec![edit])).collect()),
                ..WorkspaceEdit::default()
            }),
            is_preferred: Some(true),
            ..CodeAction::default()
        });
    }
    found
}

/// What the help of a diagnostic says to write in the place of `written`; `None` if that is not the whole of the fix.
fn replacement(diagnostic: &Diagnostic, written: &str) -> Option<String> {
    let help = diagnostic.help.as_deref()?;
    let bare = written.trim_matches(['"', '\'']);
    if bare.is_empty() || bare.contains('\n') || !diagnostic.message.contains(&format!("`{bare}`")) {
        return None;
    }
    if let Some(rest) = help.strip_prefix("did you mean `") {
        let name = rest.split('`').next()?;
        return Some(written.replacen(bare, name, 1));
    }
    let quoted = help.strip_prefix("quote it: ").map(str::to_owned);
    quoted.or_else(|| Some(help.strip_prefix("write `")?.strip_suffix('`')?.to_owned()))
}
