//! deb: `[epoch:]upstream[-revision]` as `dpkg --compare-versions` orders it (`lib/dpkg/version.c`,
//! `lib/dpkg/parsehelp.c`; Debian Policy 5.6.12).
//!
//! Strings that dpkg refuses (no digit before `:`, nothing after it, a trailing `-`, blanks inside) are ordered as
//! if they were plain text of the same form, so that they have a place at all.
use std::cmp::Ordering;

use super::digits::{compare_numbers, split_digits, split_while};

/// Orders two versions: epoch, upstream version, revision. A missing epoch or number is zero, a missing revision is
/// the empty one and so equal to `0`.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    compare_numbers(a.epoch.as_bytes(), b.epoch.as_bytes())
        .then_with(|| compare_text(a.upstream.as_bytes(), b.upstream.as_bytes()))
        .then_with(|| compare_text(a.revision.as_bytes(), b.revision.as_bytes()))
}

struct Parts<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) => match epoch_digits(epoch) {
                Some(digits) => (digits, rest),
                None => ("", version),
            },
            None => ("", version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self {
            epoch,
            upstream,
            revision,
        }
    }
}

/// The digits of an epoch. dpkg reads it with `strtol`, so one sign may lead: `+01:` is epoch 1, `-0:` epoch 0. Other
/// negative epochs, which dpkg refuses, are no epoch here.
fn epoch_digits(text: &str) -> Option<&str> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = digits.bytes().all(|byte| byte == b'0');
    (is_number && (!negative || is_zero)).then_some(digits)
}

/// Compares non-digit runs and digit runs in turn until both texts are used up.
fn compare_text(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (text_a, rest_a) = split_while(a, |byte| !byte.is_ascii_digit());
        let (text_b, rest_b) = split_while(b, |byte| !byte.is_ascii_digit());
        let (number_a, rest_a) = split_digits(rest_a);
        let (number_b, rest_b) = split_digits(rest_b);
        let order = compare_non_digits(text_a, text_b).then_with(|| compare_numbers(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn compare_non_digits(a: &[u8], b: &[u8]) -> Ordering {
    // The end of a run stands for 0, which is above `~` alone; no byte weighs 0, so the longer run decides there.
    let (mut weights_a, mut weights_b) = (a.iter().map(weight), b.iter().map(weight));
    loop {
        let order = match (weights_a.next(), weights_b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => a.unwrap_or(0).cmp(&b.unwrap_or(0)),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// `~` before the end of the run, then letters, then bytes of non-ASCII characters, then all other characters.
///
/// Bytes above 127 are negative `char`s in dpkg on x86 before it adds 256 to them, so they come before the
/// punctuation, which gets 256 on top of its own value.
fn weight(byte: &u8) -> i16 {
    match *byte {
        b'~' => -1,
        byte if byte.is_ascii_alphabetic() || !byte.is_ascii() => i16::from(byte),
        byte => i16::from(byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, expected: Ordering, b: &str) {
        assert_eq!(compare(a, b), expected, "{a} {b}");
        assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
    }

    #[test]
    fn missing_numbers_are_zero() {
        check("1.0", Ordering::Equal, "1.0-0");
        check("0:1", Ordering::Equal, "1");
        check("x", Ordering::Equal, "x0");
        check("1.", Ordering::Equal, "1.0");
    }

    #[test]
    fn epochs_are_read_as_strtol_does() {
        check("+01:1", Ordering::Equal, "1:1");
        check("-0:1", Ordering::Equal, "1");
        check("1:1:1", Ordering::Greater, "1:1");
        check("99999999999999999999:1", Ordering::Greater, "9:9");
    }

    #[test]
    fn tilde_end_letter_foreign_punctuation() {
        for pair in ["1~", "1", "1a", "1z", "1é", "1+", "1."].windows(2) {
            check(pair[0], Ordering::Less, pair[1]);
        }
    }
}
