//! A count or a share: `1`, `"10%"`. How a share rounds depends on the field (design: batches and budgets down but at
//! least one, `maxFailures` down, `minAvailable` and `promoteAt.patched` up), so rounding is an argument.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of assets, or a share of them in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    /// An absolute count.
    Count(u32),
    /// A share; 10 000 is the whole. Hundredths of a percent keep `0.5%` exact.
    Share(u32),
}

/// How a share of `n` becomes a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Down, 0 included (`maxFailures`).
    Down,
    /// Down, but at least 1 unless the share is 0 (batch sizes, `maxUnavailable`, limits).
    DownAtLeastOne,
    /// Up (`minAvailable`, `promoteAt.patched`).
    Up,
}

impl Amount {
    /// Whether this is nothing at all, of whatever it is taken.
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Share(0))
    }

    /// The whole: `100%`.
    pub const ALL: Self = Self::Share(10_000);

    /// The count this amount means of `n` assets. A plain count is itself, also when it exceeds `n`.
    pub fn of(self, n: usize, rounding: Rounding) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Share(share) => {
                let product = n as u128 * u128::from(share);
                let down = (product / 10_000) as usize;
                match rounding {
                    Rounding::Down => down,
                    Rounding::DownAtLeastOne => down.max(usize::from(share > 0)),
                    Rounding::Up => product.div_ceil(10_000) as usize,
                }
            }
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || format!("`{text}` is neither a count like `2` nor a share like `10%` between 0% and 100%");
        let text = text.trim();
        let Some(number) = text.strip_suffix('%') else {
            return text.parse().map(Self::Count).map_err(|_| fault());
        };
        let (whole, fraction) = number.trim_end().split_once('.').unwrap_or((number.trim_end(), ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
            return Err(fault());
        }
        let share: u32 = format!("{whole}{fraction:0<2}").parse().map_err(|_| fault())?;
        if share <= 10_000 {
            Ok(Self::Share(share))
        } else {
            Err(fault())
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) if share % 100 == 0 => write!(f, "{}%", share / 100),
            Self::Share(share) => write!(f, "{}.{:02}%", share / 100, share % 100),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Share(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(n) => n
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .map(Self::Count)
                .ok_or_else(|| serde::de::Error::custom(format!("`{n}` is not a count of assets"))),
            serde_json::Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            other => Err(serde::de::Error::custom(format!(
                "`{other}` is neither a count nor a share"
            ))),
        }
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A count (`2`) or a share (`10%`).",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32},
                {"type": "string", "pattern": "^\\s*([0-9]+|(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)\\s*%)\\s*$"}
            ],
            "examples": [1, "10%", "100%"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_as_their_field_says() {
        let half: Amount = "50%".parse().unwrap();
        assert_eq!((half.of(3, Rounding::Down), half.of(3, Rounding::Up)), (1, 2));
        let small: Amount = "2%".parse().unwrap();
        assert_eq!(
            (small.of(4, Rounding::Down), small.of(4, Rounding::DownAtLeastOne)),
            (0, 1)
        );
        let zero: Amount = "0%".parse().unwrap();
        assert_eq!(zero.of(4, Rounding::DownAtLeastOne), 0, "a written 0 means 0");
        assert_eq!("98%".parse::<Amount>().unwrap().of(100, Rounding::Up), 98);
        assert_eq!("0.5%".parse(), Ok(Amount::Share(50)));
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", "%", "-1", "101%", "1.234%", "ten", "1 000%"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
