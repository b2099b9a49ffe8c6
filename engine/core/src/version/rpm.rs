//! rpm: `[epoch:]version[-release]` as `rpm.vercmp` of rpm 4.18 orders it (`rpmio/rpmvercmp.c`, `rpmio/rpmver.c`).
//!
//! Each of the three parts is a sequence of segments: letter runs and digit runs, `~` and `^`. Every other byte,
//! so also every byte of a non-ASCII character, only separates. Segments order as
//! `~` < end of text < `^` < letters < digits, letters by byte, digits by value.
use std::cmp::Ordering;

use super::digits::{compare_numbers, split_digits, split_while};

/// Splits an EVR into `(epoch, version, release)` the way rpm does; the epoch is `"0"` where there is none.
///
/// The epoch is what stands before a `:` that directly follows the leading digits; the release is what follows the
/// last `-`. Nothing is checked or trimmed: `1.0-` has the release `""`, which is not a missing release.
pub fn rpm_evr(evr: &str) -> (&str, &str, Option<&str>) {
    let (epoch, rest) = match evr.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("", evr),
    };
    let epoch = if epoch.is_empty() { "0" } else { epoch };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}

/// Whether a release, or a whole version, belongs to a module build: modular builds carry `.module` in their release
/// (`1.14.1-2.module+el8.6.0+…`). A build that names no module otherwise is told apart by this alone.
pub fn is_modular(release_or_version: &str) -> bool {
    release_or_version.contains(".module")
}

/// Orders two EVRs. A missing release is older than any release, as in `rpm.vercmp`; rpm's *dependency* matching
/// differs (there a missing release matches any), which is a question of the caller's bound and not of order.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, version_a, release_a) = rpm_evr(a);
    let (epoch_b, version_b, release_b) = rpm_evr(b);
    compare_numbers(epoch_a.as_bytes(), epoch_b.as_bytes())
        .then_with(|| compare_segments(version_a.as_bytes(), version_b.as_bytes()))
        .then_with(|| match (release_a, release_b) {
            (Some(release_a), Some(release_b)) => compare_segments(release_a.as_bytes(), release_b.as_bytes()),
            (release_a, release_b) => release_a.is_some().cmp(&release_b.is_some()),
        })
}

/// One segment; the declaration order of the variants is the order of rpm.
#[derive(Clone, Copy)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    Digits(&'a [u8]),
}

impl Segment<'_> {
    const fn place(self) -> u8 {
        match self {
            Self::Tilde => 0,
            Self::End => 1,
            Self::Caret => 2,
            Self::Letters(_) => 3,
            Self::Digits(_) => 4,
        }
    }
}

fn compare_segments(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (segment_a, rest_a) = next_segment(a);
        let (segment_b, rest_b) = next_segment(b);
        let order = match (segment_a, segment_b) {
            (Segment::End, Segment::End) => return Ordering::Equal,
            (Segment::Letters(a), Segment::Letters(b)) => a.cmp(b),
            (Segment::Digits(a), Segment::Digits(b)) => compare_numbers(a, b),
            (a, b) => a.place().cmp(&b.place()),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Skips separators, then takes one segment; returns it and what follows.
fn next_segment(text: &[u8]) -> (Segment<'_>, &[u8]) {
    let (_, text) = split_while(text, |byte| {
        !byte.is_ascii_alphanumeric() && byte != b'~' && byte != b'^'
    });
    match text.split_first() {
        None => (Segment::End, text),
        Some((b'~', rest)) => (Segment::Tilde, rest),
        Some((b'^', rest)) => (Segment::Caret, rest),
        Some((first, _)) if first.is_ascii_digit() => {
            let (run, rest) = split_digits(text);
            (Segment::Digits(run), rest)
        }
        Some(_) => {
            let (run, rest) = split_while(text, |byte| byte.is_ascii_alphabetic());
            (Segment::Letters(run), rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evr_split() {
        assert_eq!(rpm_evr("1:3.0.7-24.el9"), ("1", "3.0.7", Some("24.el9")));
        assert_eq!(rpm_evr("3.0.7"), ("0", "3.0.7", None));
        assert_eq!(rpm_evr(":3.0-"), ("0", "3.0", Some("")));
        assert_eq!(rpm_evr("a:1-2-3"), ("0", "a:1-2", Some("3")));
        assert_eq!(rpm_evr("1:2:3"), ("1", "2:3", None));
        assert_eq!(rpm_evr(""), ("0", "", None));
    }

    #[test]
    fn modular_releases() {
        assert!(is_modular("1.14.1-2.module+el8.6.0+12972+ebab5911"));
        assert!(is_modular("2.module_f38"));
        assert!(!is_modular("24.el9"));
        assert!(!is_modular("module-init-tools"));
    }

    #[test]
    fn missing_release_is_older_than_any() {
        assert_eq!(compare("1.0", "1.0-"), Ordering::Less);
        assert_eq!(compare("1.0", "1.0-~1"), Ordering::Less);
        assert_eq!(compare("0:1.0-1", "1.0-1"), Ordering::Equal);
    }
}
