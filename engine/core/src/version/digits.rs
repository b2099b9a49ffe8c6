//! Numbers written as digit runs of any length, compared without converting them.
use std::cmp::Ordering;

/// Splits `text` after its leading ASCII digits (maybe none).
pub(super) fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    split_while(text, |byte| byte.is_ascii_digit())
}

/// Splits `text` before the first byte that does not satisfy `keep`.
pub(super) fn split_while(text: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| keep(**byte)).count();
    text.split_at(length)
}

/// Compares two digit runs by value; the empty run is zero.
pub(super) fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = split_while(a, |byte| byte == b'0');
    let (_, b) = split_while(b, |byte| byte == b'0');
    // Without leading zeros the longer run is the larger number, and runs of one length order as text.
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compares free text in which digit runs count by value and everything else by byte; a digit run stands before any
/// other byte, the end of the text before everything.
pub(super) fn compare_natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let ((number_a, rest_a), (number_b, rest_b)) = (split_digits(a), split_digits(b));
        let order = match (number_a.is_empty(), number_b.is_empty()) {
            (false, false) => {
                (a, b) = (rest_a, rest_b);
                compare_numbers(number_a, number_b)
            }
            (true, true) => match (a.split_first(), b.split_first()) {
                (Some((first_a, rest_a)), Some((first_b, rest_b))) => {
                    (a, b) = (rest_a, rest_b);
                    first_a.cmp(first_b)
                }
                _ => return a.len().cmp(&b.len()),
            },
            (false, true) if b.is_empty() => return Ordering::Greater,
            (true, false) if a.is_empty() => return Ordering::Less,
            (false, true) => return Ordering::Less,
            (true, false) => return Ordering::Greater,
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares two texts part by part between dots; a missing part counts as the empty one.
pub(super) fn compare_parts(a: &[u8], b: &[u8], compare_part: impl Fn(&[u8], &[u8]) -> Ordering) -> Ordering {
    let mut parts_a = a.split(|byte| *byte == b'.');
    let mut parts_b = b.split(|byte| *byte == b'.');
    loop {
        let (part_a, part_b) = (parts_a.next(), parts_b.next());
        if part_a.is_none() && part_b.is_none() {
            return Ordering::Equal;
        }
        let order = compare_part(part_a.unwrap_or_default(), part_b.unwrap_or_default());
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ignore_leading_zeros() {
        assert_eq!(compare_numbers(b"007", b"7"), Ordering::Equal);
        assert_eq!(compare_numbers(b"", b"000"), Ordering::Equal);
        assert_eq!(compare_numbers(b"10", b"9"), Ordering::Greater);
        assert_eq!(
            compare_numbers(b"18446744073709551615", b"18446744073709551616"),
            Ordering::Less
        );
    }

    #[test]
    fn natural_order() {
        let ascending: [&[u8]; 8] = [b"", b"2", b"2a", b"10", b"a", b"a2", b"a10", b"a-"];
        // `-` is a byte below the letters but above a digit run, which stands before any other byte.
        for pair in ascending.windows(2) {
            assert_eq!(compare_natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare_natural(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }
}
