//! dotted: versions of appliances, firmware and applications, as their vendors write them.
//!
//! `[v]number(.number)*` and then suffixes of a word and a number: `9.14.1P6` (NetApp ONTAP: patch 6 of 9.14.1),
//! `9.14.1RC1` (candidate: before 9.14.1), `9.14.1P6D2` (debug build of P6), `10.2.3-h4` (PAN-OS hotfix),
//! `8.0.2-22380479` (VMware ESXi: release and build). Words that mean *before* and *after* the release are listed;
//! nothing is guessed of any other word.
//!
//! Invariant \[partial\]: [`order`] answers only where both versions are written in this way and the same words stand at
//! the same places; a version that cannot be ordered is never equal to another. [`compare`] is total as every scheme's
//! comparison is, and agrees with [`order`] wherever that answers.
use std::cmp::Ordering;

use super::digits::{compare_natural, compare_numbers, compare_parts, split_digits, split_while};

/// Words of builds before the release they are named after.
const BEFORE: [&str; 4] = ["alpha", "beta", "rc", "x"];
/// Words of builds after it; the empty one is a bare build number behind `-`.
const AFTER: [&str; 8] = ["", "d", "h", "hf", "p", "sp", "u", "update"];

/// A version taken apart.
struct Parts<'v> {
    numbers: &'v [u8],
    suffixes: Vec<Suffix<'v>>,
    /// What could not be read, to the end.
    rest: &'v [u8],
}

struct Suffix<'v> {
    before: bool,
    word: &'static str,
    number: &'v [u8],
}

/// Takes a version apart as far as it can be read.
fn parts(version: &str) -> Parts<'_> {
    let text = version.strip_prefix(['v', 'V']).unwrap_or(version).as_bytes();
    let (numbers, mut rest) = split_while(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let mut suffixes = Vec::new();
    while let Some((suffix, after)) = suffix(rest) {
        suffixes.push(suffix);
        rest = after;
    }
    Parts {
        numbers,
        suffixes,
        rest,
    }
}

/// One suffix: maybe a separator, a known word, digits.
fn suffix(text: &[u8]) -> Option<(Suffix<'_>, &[u8])> {
    let unseparated = match text.split_first() {
        Some((b'-' | b'_' | b' ', rest)) => rest,
        _ => text,
    };
    let (letters, rest) = split_while(unseparated, |byte| byte.is_ascii_alphabetic());
    let (number, rest) = split_digits(rest);
    let is = |word: &&&str| word.as_bytes().eq_ignore_ascii_case(letters);
    let bare = letters.is_empty() && (number.is_empty() || unseparated.len() == text.len());
    let known = BEFORE.iter().find(is).map(|word| (true, *word));
    let (before, word) = known.or_else(|| AFTER.iter().find(is).map(|word| (false, *word)))?;
    // `P6` is patch 6; a `P` alone says nothing, a candidate without a number does.
    if bare || (number.is_empty() && !before) {
        return None;
    }
    Some((Suffix { before, word, number }, rest))
}

impl Parts<'_> {
    fn is_readable(&self) -> bool {
        let numbers = self.numbers.split(|byte| *byte == b'.');
        self.rest.is_empty() && numbers.into_iter().all(|number| !number.is_empty())
    }
}

/// How two versions stand, where that can be told.
pub(super) fn order(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parts(a), parts(b));
    if !a.is_readable() || !b.is_readable() {
        return None;
    }
    let order = compare_parts(a.numbers, b.numbers, compare_numbers);
    if order.is_ne() {
        return Some(order);
    }
    let (mut rest_a, mut rest_b) = (a.suffixes.iter(), b.suffixes.iter());
    loop {
        let order = match (rest_a.next(), rest_b.next()) {
            (None, None) => return Some(Ordering::Equal),
            // A build number on one side only: the other side did not say which build it is.
            (Some(one), None) | (None, Some(one)) if one.word.is_empty() => return None,
            (Some(one), None) => after_or_before(one),
            (None, Some(one)) => after_or_before(one).reverse(),
            (Some(a), Some(b)) if a.word == b.word => compare_numbers(a.number, b.number),
            (Some(a), Some(b)) if a.before != b.before => b.before.cmp(&a.before),
            // `P6` against `D2`: the vendor orders them, we do not know how.
            (Some(_), Some(_)) => return None,
        };
        if order.is_ne() {
            return Some(order);
        }
    }
}

/// A version with a suffix against the same without.
const fn after_or_before(suffix: &Suffix<'_>) -> Ordering {
    if suffix.before {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// A total order that agrees with [`order`]: numbers, then suffix by suffix, where the end stands between the words
/// before a release and those after it; what cannot be read comes last, as text.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let order = compare_parts(a.numbers, b.numbers, compare_numbers);
    if order.is_ne() {
        return order;
    }
    let (mut rest_a, mut rest_b) = (a.suffixes.iter(), b.suffixes.iter());
    loop {
        let (one, other) = (rest_a.next(), rest_b.next());
        let order = rank(one, a.rest)
            .cmp(&rank(other, b.rest))
            .then_with(|| match (one, other) {
                (Some(one), Some(other)) => compare_numbers(one.number, other.number),
                _ => Ordering::Equal,
            });
        if order.is_ne() {
            return order;
        }
        if one.is_none() {
            return compare_natural(a.rest, b.rest);
        }
    }
}

/// Where a place in the suffixes stands: words before, the end, words after, what cannot be read.
fn rank(suffix: Option<&Suffix<'_>>, rest: &[u8]) -> (u8, &'static str) {
    match suffix {
        Some(suffix) if suffix.before => (0, suffix.word),
        Some(suffix) => (2, suffix.word),
        None if rest.is_empty() => (1, ""),
        None => (3, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vendors_write() {
        let ascending = [
            "9.13.1P9",
            "9.14.1RC1",
            "9.14.1RC2",
            "9.14.1",
            "9.14.1P1",
            "9.14.1P6",
            "9.14.1P6D2",
            "9.14.1P10",
            "9.15.0",
        ];
        for (at, a) in ascending.iter().enumerate() {
            for b in ascending.get(at + 1..).unwrap() {
                assert_eq!(order(a, b), Some(Ordering::Less), "{a} {b}");
                assert_eq!(order(b, a), Some(Ordering::Greater), "{b} {a}");
                assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            }
        }
        assert_eq!(order("v2.10", "2.10.0"), Some(Ordering::Equal));
        assert_eq!(order("10.2.3-h4", "10.2.3"), Some(Ordering::Greater));
        assert_eq!(order("8.0.2-22380479", "8.0.3-24022510"), Some(Ordering::Less));
    }

    #[test]
    fn what_cannot_be_told_is_not_equal() {
        for (a, b) in [
            ("U46 v2.10", "2.10"),
            ("2.10", "latest"),
            ("8.0.2", "8.0.2-22380479"),
            ("9.14.1D1", "9.14.1P1"),
            ("1..2", "1.2"),
            ("", ""),
            ("1.2q3", "1.2q3"),
            ("2.10 (03/2024)", "2.10 (03/2024)"),
        ] {
            assert_eq!(order(a, b), None, "{a} {b}");
        }
    }
}
