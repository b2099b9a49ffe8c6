//! windows and nvidia: dotted numbers, compared from left to right; a missing part is 0.
//!
//! Windows builds (`10.0.17763.7558`) are four numbers, NVIDIA driver releases (`550.54.15`) two or three. Text after
//! the number of a part, which neither vendor writes, makes that part newer than the bare number.
use std::cmp::Ordering;

use super::digits::{compare_natural, compare_numbers, compare_parts, split_digits};

/// Orders two versions part by part.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    compare_parts(a.as_bytes(), b.as_bytes(), |part_a, part_b| {
        let (number_a, text_a) = split_digits(part_a);
        let (number_b, text_b) = split_digits(part_b);
        compare_numbers(number_a, number_b).then_with(|| compare_natural(text_a, text_b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_as_numbers() {
        assert_eq!(compare("10.0.17763.7558", "10.0.17763.10000"), Ordering::Less);
        assert_eq!(compare("10.0", "10.0.0.0"), Ordering::Equal);
        assert_eq!(compare("550.54.15", "550.144.3"), Ordering::Less);
        assert_eq!(compare("550.54.15-beta", "550.54.15"), Ordering::Greater);
    }
}
