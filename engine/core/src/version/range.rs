//! Ranges of versions as people write them: `>= 16`, `>=550.54.15 <560`, `>= 16, < 17`; a bare version is `=`.

use std::cmp::Ordering;

/// Comparisons that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<'t>(Vec<(Comparison, &'t str)>);

/// One operator of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    fn parse(operator: &str) -> Option<Self> {
        Some(match operator {
            "" | "=" | "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl<'t> Range<'t> {
    /// Reads comparisons separated by commas or blanks; none when the text is anything else.
    pub fn parse(text: &'t str) -> Option<Self> {
        let mut rest = text.trim();
        let mut comparisons = Vec::new();
        while !rest.is_empty() {
            let (operator, after) = split_at(rest, |c| !matches!(c, '<' | '>' | '=' | '!'));
            let (bound, after) = split_at(after.trim_start(), |c| {
                c.is_whitespace() || matches!(c, ',' | '<' | '>' | '=' | '!')
            });
            // Every scheme has versions with a digit in them; a word without one is prose.
            if !bound.contains(|c: char| c.is_ascii_digit()) {
                return None;
            }
            comparisons.push((Comparison::parse(operator)?, bound));
            let after = after.trim_start();
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        (!comparisons.is_empty()).then_some(Self(comparisons))
    }

    /// Whether every comparison holds, where `order` says how the version stands to a bound; none when a comparison that
    /// cannot be made would decide.
    pub fn holds(&self, order: impl Fn(&str) -> Option<Ordering>) -> Option<bool> {
        let answers = self
            .0
            .iter()
            .map(|(comparison, bound)| Some(comparison.holds(order(bound)?)));
        let answers: Vec<Option<bool>> = answers.collect();
        if answers.contains(&Some(false)) {
            return Some(false);
        }
        answers.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
    }
}

fn split_at(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(stop).unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{Scheme, order};

    #[test]
    fn ranges_are_comparisons() {
        for range in [
            "16",
            ">= 16",
            ">=16,<17",
            ">= 1:16-1.el9, < 1:17",
            ">=550.54.15 <560",
            "!= 9.14.1P6",
            "= 1.0~rc1",
            ">= 16,",
        ] {
            assert!(Range::parse(range).is_some(), "{range}");
        }
        for text in ["", " ", "16 or so", ">> 16", "=> 550", ">=", "< ", "latest", ">= 16 <"] {
            assert!(Range::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn they_hold_in_every_part() {
        for (range, version, expected) in [
            (">=550.54.15 <560", "550.90.07", Some(true)),
            (">=550.54.15 <560", "560.1", Some(false)),
            (">= 12.4, < 12.6", "12.5", Some(true)),
            ("<6.9", "5.14.0", Some(true)),
            ("=1.2", "1.2", Some(true)),
            ("!= 9.14.1P6", "9.14.1P6", Some(false)),
            (">=1 <2", "spring", None),
        ] {
            let holds = Range::parse(range)
                .unwrap()
                .holds(|bound| order(Scheme::Dotted, version, bound));
            assert_eq!(holds, expected, "{range} {version}");
        }
    }
}
