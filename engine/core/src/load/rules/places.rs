//! Places that a Project or a Source names: folders, addresses, the forge. A part of the rule `required`.

use super::required::Faults;
use crate::diag::{Code, Diagnostic, Severity};
use crate::load::wire::{ForgeType, SourceSpec};

/// Whether a path is not one below the root: absolute, with a drive, or with `..` in it.
fn leaves_the_repository(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.contains(':') || path.split(['/', '\\']).any(|part| part == "..")
}

/// Schemes that an address of a source can have.
const SCHEMES: &[&str] = &["http://", "https://", "s3://", "gs://", "az://"];

/// Where a source is read from.
pub(super) fn source_place(f: &mut Faults<'_>, spec: &SourceSpec) {
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

/// The folders, the state, the forge and the zone of the Project.
pub(super) fn project(f: &mut Faults<'_>) {
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
    if spec.forge.app.is_some() && spec.forge.kind != ForgeType::Github {
        let help = "remove it, and name a token with `tokenFrom`";
        f.clash("/spec/forge/app", "only GitHub has Apps", help);
    }
    if spec.forge.app.is_some() && spec.forge.token_from.is_some() {
        let message = "the forge is asked either with a token or as an App";
        f.clash("/spec/forge/app", message, "remove `app` or `tokenFrom`");
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
