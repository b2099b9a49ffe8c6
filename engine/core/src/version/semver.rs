//! semver: precedence of Semantic Versioning 2.0.0 (semver.org, item 11), read leniently.
//!
//! One leading `v` or `V` is dropped, as is build metadata (from the first `+`). The leading digits and dots are the
//! numbers: any count, of any length; a missing or empty one is 0. What follows is the pre-release, with or without
//! its `-` (`1.21rc1` is before `1.21`, as `1.21-rc1` is).
use std::cmp::Ordering;

use super::digits::{compare_numbers, compare_parts, split_while};

/// Orders two versions: the numbers, then the pre-release. None is newer than any pre-release.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (numbers_a, pre_release_a) = split(a);
    let (numbers_b, pre_release_b) = split(b);
    compare_parts(numbers_a, numbers_b, compare_numbers).then_with(|| match (pre_release_a, pre_release_b) {
        (Some(a), Some(b)) => compare_pre_releases(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    })
}

/// The numbers with their dots, and the pre-release without its `-`.
fn split(version: &str) -> (&[u8], Option<&[u8]>) {
    let version = version.split_once('+').map_or(version, |(version, _build)| version);
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let (numbers, rest) = split_while(version.as_bytes(), |byte| byte.is_ascii_digit() || byte == b'.');
    let pre_release = (!rest.is_empty()).then(|| rest.strip_prefix(b"-").unwrap_or(rest));
    (numbers, pre_release)
}

/// Identifier by identifier; where all are equal, the one with more identifiers is newer.
fn compare_pre_releases(a: &[u8], b: &[u8]) -> Ordering {
    let mut identifiers_a = a.split(|byte| *byte == b'.');
    let mut identifiers_b = b.split(|byte| *byte == b'.');
    loop {
        let order = match (identifiers_a.next(), identifiers_b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(a), Some(b)) => compare_identifiers(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers by value and before text; text by byte.
fn compare_identifiers(a: &[u8], b: &[u8]) -> Ordering {
    let is_number = |identifier: &[u8]| !identifier.is_empty() && identifier.iter().all(u8::is_ascii_digit);
    match (is_number(a), is_number(b)) {
        (true, true) => compare_numbers(a, b),
        (false, false) => a.cmp(b),
        (a, b) => b.cmp(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of semver.org, item 11.4.4, with the lenient forms between.
    #[test]
    fn precedence() {
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0rc1",
            "1.0.0",
            "1.0.0.1",
            "1.2",
            "v1.10",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(compare("v1", "1.0.0+build-5.rc1"), Ordering::Equal);
        assert_eq!(compare("1.0.0-rc.1+a", "1-rc.01+b"), Ordering::Equal);
    }
}
