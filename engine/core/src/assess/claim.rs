//! Whether a policy claims a finding, and what keeps it back: include, exclude, hold, manual release.

use super::case::Case;
use super::rules::Policy;
use super::scope::Answer;
use super::timeline::View;
use super::trace::Steps;
use crate::load::wire::{AdvisoryType, Hold, Lane};
use crate::name::{Glob, SeverityMatch};
use crate::time::Boundary;
use crate::version::{Scheme, compare, rpm_evr};

/// What selects findings in an include or exclude.
struct Filter<'a> {
    types: &'a [AdvisoryType],
    severity: Option<&'a SeverityMatch>,
    packages: &'a [Glob],
    advisories: &'a [String],
    when: Option<&'a String>,
}

/// Whether the policy claims the finding: any include, and no exclude. `lane` is the one its SLA gives.
///
/// A part that cannot be decided makes the claim unknown, unless another part decides it anyway.
pub(super) fn claims(policy: &Policy<'_>, case: &Case<'_>, lane: Lane, steps: &mut Steps) -> Answer {
    let spec = policy.spec();
    let includes = spec.include.iter().map(|i| Filter {
        types: &i.types,
        severity: i.severity.as_ref(),
        packages: &i.packages,
        advisories: &i.advisories,
        when: i.when.as_ref(),
    });
    let included = any(policy, case, lane, "include", includes, steps);
    if included == Answer::No {
        return Answer::No;
    }
    let excludes = spec.exclude.iter().map(|e| Filter {
        types: &e.types,
        severity: e.severity.as_ref(),
        packages: &e.packages,
        advisories: &e.advisories,
        when: e.when.as_ref(),
    });
    match any(policy, case, lane, "exclude", excludes, steps) {
        Answer::Yes => Answer::No,
        Answer::No => included,
        Answer::Unknown(why) => Answer::Unknown(why),
    }
}

/// The first filter that takes the finding decides; an undecidable one counts only if none does.
fn any<'a>(
    policy: &Policy<'_>,
    case: &Case<'_>,
    lane: Lane,
    what: &'static str,
    filters: impl Iterator<Item = Filter<'a>>,
    steps: &mut Steps,
) -> Answer {
    let mut answer = Answer::No;
    let name = &policy.resource.name;
    for (index, filter) in filters.enumerate() {
        let at = || case.rules.at(policy.resource, &format!("/spec/{what}/{index}"));
        match takes(policy, case, lane, &filter) {
            Answer::Yes => {
                steps.say(what, || {
                    (format!("policy `{name}`: {what} {} matches", index + 1), at())
                });
                return Answer::Yes;
            }
            Answer::No => {}
            Answer::Unknown(why) => {
                steps.say(what, || {
                    (
                        format!("policy `{name}`: {what} {} cannot be decided: {why}", index + 1),
                        at(),
                    )
                });
                if answer == Answer::No {
                    let place = case.rules.placed(policy.resource, &format!("/spec/{what}/{index}"));
                    let words = format!(
                        "{what} {} of policy `{name}`{place} cannot be decided: {why}",
                        index + 1
                    );
                    answer = Answer::Unknown(words.into());
                }
            }
        }
    }
    if answer == Answer::No {
        steps.say(what, || {
            let at = case.rules.at(policy.resource, &format!("/spec/{what}"));
            (format!("policy `{name}`: no {what} matches"), at)
        });
    }
    answer
}

fn takes(policy: &Policy<'_>, case: &Case<'_>, lane: Lane, filter: &Filter<'_>) -> Answer {
    let plain = (filter.types.is_empty() || filter.types.iter().any(|t| case.advisory.types.contains(t)))
        && filter.severity.is_none_or(|m| m.matches(case.advisory.severity))
        && names_package(filter.packages, case)
        && (filter.advisories.is_empty() || filter.advisories.iter().any(|id| case.is_called(id)));
    match (filter.when, plain) {
        (_, false) => Answer::No,
        (None, true) => Answer::Yes,
        (Some(text), true) => case.holds(policy, text, &View::now(case), Some(lane)),
    }
}

fn names_package(globs: &[Glob], case: &Case<'_>) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.matches(&case.hit.package))
}

/// The hold that keeps the finding back now, in words. A hold binds its own policy only.
pub(super) fn held(policy: &Policy<'_>, case: &Case<'_>, steps: &mut Steps) -> Option<String> {
    let zone = &case.rules.catalog.zone.0;
    let name = &policy.resource.name;
    let mut found = None;
    for (index, hold) in policy.spec().holds.iter().enumerate() {
        let until = hold.until.resolve(Boundary::End, zone);
        if !hold_matches(hold, case) {
            continue;
        }
        let reason = hold.reason.as_ref().map_or(String::new(), |r| format!(": {r}"));
        steps.say("hold", || {
            let ended = if until > case.rules.now { "" } else { "; it has ended" };
            let at = case.rules.at(policy.resource, &format!("/spec/holds/{index}"));
            (
                format!("policy `{name}` holds it until {}{reason}{ended}", hold.until),
                at,
            )
        });
        if until > case.rules.now && found.is_none() {
            found = Some(format!("held by policy `{name}` until {}{reason}", hold.until));
        }
    }
    found
}

fn hold_matches(hold: &Hold, case: &Case<'_>) -> bool {
    let says_nothing = hold.packages.is_empty() && hold.advisories.is_empty() && hold.versions.is_none();
    !says_nothing
        && names_package(&hold.packages, case)
        && (hold.advisories.is_empty() || hold.advisories.iter().any(|id| case.is_called(id)))
        && hold.versions.as_ref().is_none_or(|range| {
            // Without a fixed version there is nothing a hold of versions could keep back.
            case.hit
                .fixed
                .as_ref()
                .is_some_and(|fixed| in_range(case.hit.scheme, range, fixed))
        })
}

/// Whether `version` lies in a range such as `>= 16, < 17` (comparisons ANDed, separated by commas or blanks).
///
/// People write `>= 16` of PostgreSQL 16, not `>= 1:16-1.el9`: for rpm, deb and apk only the upstream part of the
/// version is compared, without epoch and release, unless the bound names them itself. A range that cannot be read holds
/// everything, because it was written to keep something back.
pub(super) fn in_range(scheme: Scheme, range: &str, version: &str) -> bool {
    let spaced: String = range.chars().map(|c| if c == ',' { ' ' } else { c }).collect();
    let mut rest = spaced.trim();
    let mut all = true;
    while !rest.is_empty() {
        let end = rest.find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(rest.len());
        let (operator, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let after = after.trim_start();
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '='))
            .unwrap_or(after.len());
        let (bound, after) = after.split_at_checked(end).unwrap_or((after, ""));
        if bound.is_empty() {
            return true;
        }
        let order = compare(scheme, &like(scheme, version, bound), bound);
        all &= match operator {
            ">=" => order.is_ge(),
            ">" => order.is_gt(),
            "<=" => order.is_le(),
            "<" => order.is_lt(),
            "" | "=" | "==" => order.is_eq(),
            "!=" => order.is_ne(),
            _ => return true,
        };
        rest = after.trim_start();
    }
    all
}

/// The parts of a version that a bound also has.
fn like(scheme: Scheme, version: &str, bound: &str) -> String {
    if !matches!(scheme, Scheme::Rpm | Scheme::Deb | Scheme::Apk) {
        return version.to_owned();
    }
    let (epoch, upstream, release) = rpm_evr(version);
    let mut text = String::new();
    if bound.contains(':') {
        text.push_str(epoch);
        text.push(':');
    }
    text.push_str(upstream);
    if let Some(release) = release.filter(|_| bound.contains('-')) {
        text.push('-');
        text.push_str(release);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_about_the_upstream_version() {
        for (range, version, expected) in [
            (">= 16", "16.4-1.el9", true),
            (">= 16", "15.9-1.el9", false),
            (">=16,<17", "1:16.4-1.el9", true),
            (">= 16, < 17", "17.0-1.el9", false),
            (">=16 <17", "16-1", true),
            ("16.4", "16.4-1.el9", true),
            ("> 16.4-1.el9", "16.4-2.el9", true),
            (">= 1:16", "16.4-1.el9", false),
            ("", "1-1", true),
            ("sixteen or so >", "1-1", true),
        ] {
            assert_eq!(in_range(Scheme::Rpm, range, version), expected, "{range} {version}");
        }
        assert!(in_range(Scheme::Deb, ">= 16", "16.4-1.pgdg120+1"));
    }
}
