//! Names, texts and labels as every forge on a server has them.

use crate::forge::plumbing::ENGINE_NAME;

/// Label of the dashboard issue, by which it is found.
pub(in crate::forge) const DASHBOARD_LABEL: &str = "patchwave-dashboard";
/// Hidden line that ends the dashboard issue.
pub(in crate::forge) const DASHBOARD_MARKER: &str = "<!-- patchwave dashboard -->";
/// Title of the dashboard issue.
pub(in crate::forge) const DASHBOARD_TITLE: &str = "patchwave";
/// Marks the comment that says why the engine closed a pull request.
pub(in crate::forge) const CLOSED_MARKER: &str = "<!-- patchwave closed -->";
/// Name of the engine's status among those of others.
pub(in crate::forge) const STATUS_CONTEXT: &str = "patchwave";
/// Prefixes of labels that are the engine's to take away; any other label is a person's.
const OWN_LABELS: [&str; 3] = ["lane/", "policy/", "wave/"];

/// Whether a label is the engine's to take away.
pub(in crate::forge) fn is_own_label(label: &str) -> bool {
    OWN_LABELS.iter().any(|prefix| label.starts_with(prefix))
}

/// A login as it stands in a view: the engine's account goes by the engine's name, and nobody else does.
pub(in crate::forge) fn shown_name(login: &str, own: &str) -> String {
    if login == own {
        ENGINE_NAME.to_owned()
    } else if login.eq_ignore_ascii_case(ENGINE_NAME) {
        format!("@{login}")
    } else {
        login.to_owned()
    }
}

/// A text as it was written: web interfaces store lines with a carriage return.
pub(in crate::forge) fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().replace("\r\n", "\n")
}

/// A text without the hidden line that ends it.
pub(in crate::forge) fn without_marker(text: &str) -> &str {
    let trimmed = text.trim_end();
    let (before, last) = trimmed.rsplit_once('\n').unwrap_or(("", trimmed));
    if last.starts_with("<!--") {
        before.trim_end()
    } else {
        trimmed
    }
}

/// The text of the dashboard in an issue's, if it is one.
pub(in crate::forge) fn dashboard_in(body: &str) -> Option<String> {
    let body = body.trim_end().strip_suffix(DASHBOARD_MARKER)?;
    Some(body.strip_suffix("\n\n").unwrap_or(body).to_owned())
}

/// A team or person as requests name it: without `@` and organisation.
pub(in crate::forge) fn slug(name: &str) -> &str {
    let plain = name.trim_start_matches('@');
    plain.rsplit_once('/').map_or(plain, |(_, slug)| slug)
}

/// Organisation and team of a name in `roles`, if both can be part of a path; `owner` is the organisation of a bare name.
pub(in crate::forge) fn team_of<'a>(name: &'a str, owner: &'a str) -> Option<(&'a str, &'a str)> {
    let plain = name.trim_start_matches('@');
    let (owner, slug) = plain.split_once('/').unwrap_or((owner, plain));
    let fits = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && part != "."
            && part != ".."
    };
    (fits(owner) && fits(slug)).then_some((owner, slug))
}

/// Owner and name of a repository.
pub(in crate::forge) fn owner_of(repository: &str) -> Option<&str> {
    team_of(repository, "").map(|(owner, _)| owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_left_out_at_first() {
        assert_eq!(without_marker("Body\n\n<!-- patchwave -->\n"), "Body");
        assert_eq!(without_marker("Body\n"), "Body");
    }

    #[test]
    fn names_of_teams_are_those_of_the_api() {
        assert_eq!([slug("@acme/sre"), slug("acme/sre"), slug("sre")], ["sre"; 3]);
        assert_eq!(team_of("sre", "acme"), Some(("acme", "sre")));
        assert_eq!(team_of("@other/sre", "acme"), Some(("other", "sre")));
        assert_eq!(team_of("../../user", "acme"), None);
        assert_eq!(owner_of("acme/patching"), Some("acme"));
        assert_eq!([owner_of("acme"), owner_of("a/b/c"), owner_of("/x")], [None; 3]);
    }

    #[test]
    fn a_dashboard_is_known_by_its_last_line() {
        assert_eq!(
            dashboard_in("# x\n\n\n<!-- patchwave dashboard -->\n"),
            Some("# x\n".to_owned())
        );
        assert_eq!(dashboard_in("# x\n"), None);
    }
}
