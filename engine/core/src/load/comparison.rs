//! The comparison of a gate (`is`): one of PromQL's comparison operators and a number.

use std::fmt;

/// `== 1`, `< 0.05`, `>= -1e3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    operator: Operator,
    number: f64,
}

/// PromQL's comparison binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// Longer operators first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Below),
    (">", Operator::Above),
];

impl Comparison {
    /// Reads an operator and a finite number; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let found = OPERATORS
            .iter()
            .find_map(|(word, operator)| Some((operator, text.strip_prefix(word)?)));
        let (operator, number) = found?;
        let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite())?;
        Some(Self {
            operator: *operator,
            number,
        })
    }

    /// Whether a value satisfies it. What is no number (NaN) satisfies nothing, not even `!=`: a monitor that gives no
    /// number has shown nothing.
    pub fn holds(self, value: f64) -> bool {
        !value.is_nan()
            && match self.operator {
                Operator::Equal => value == self.number,
                Operator::NotEqual => value != self.number,
                Operator::AtMost => value <= self.number,
                Operator::AtLeast => value >= self.number,
                Operator::Below => value < self.number,
                Operator::Above => value > self.number,
            }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = OPERATORS
            .iter()
            .find(|(_, o)| *o == self.operator)
            .map_or("", |(w, _)| w);
        write!(f, "{word} {}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_have_an_operator_and_a_number() {
        for text in ["== 1", "==1", "< 0.05", " >= -1e3 ", "!= 0", "> +2"] {
            assert!(Comparison::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "1",
            "= 1",
            "== ",
            "== one",
            "=> 1",
            "== 1 or 2",
            "< nan",
            "< inf",
            "== 1%",
            "<> 1",
        ] {
            assert!(Comparison::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_satisfies_nothing() {
        for text in ["== 1", "!= 1", "< 1", "<= 1", "> 1", ">= 1"] {
            assert!(!Comparison::parse(text).unwrap().holds(f64::NAN), "{text}");
        }
        assert!(Comparison::parse("!= 0").unwrap().holds(f64::INFINITY));
        assert!(Comparison::parse("<= 0.05").unwrap().holds(0.05));
        assert!(!Comparison::parse("< 0.05").unwrap().holds(0.05));
        assert!(Comparison::parse("== 0").unwrap().holds(-0.0));
    }
}
