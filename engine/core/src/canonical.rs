//! Canonical bytes and digests: equal values are equal bytes, so a digest names a value.
//!
//! Canonical JSON is RFC 8785 (JCS): keys sorted by UTF-16 code units, numbers as ECMAScript prints them, no blanks.
//! One rule is stricter than the RFC, which would silently round: an integer that a double cannot hold exactly is refused
//! (I-JSON, RFC 7493 section 2.2), so two different values can never share bytes.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Largest integer magnitude that RFC 7493 calls interoperable: 2^53 - 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// An integer beyond ±(2^53 - 1).
    #[error("the integer {number} at {pointer} is beyond 2^53 - 1, so readers would round it; write it as a string")]
    InexactInteger {
        /// JSON pointer of the number, `/` for the root.
        pointer: String,
        /// The number as written.
        number: String,
    },
    /// The value cannot be written as JSON at all, for example a map whose keys are not strings.
    #[error("the value cannot be written as JSON: {0}")]
    NotJson(String),
}

/// The RFC 8785 bytes of `value`.
///
/// # Errors
/// [`CanonicalError`] if the value is not JSON or holds an integer that a double cannot hold.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::NotJson(e.to_string()))?;
    refuse_inexact(&value, &mut String::new())?;
    serde_json_canonicalizer::to_vec(&value).map_err(|e| CanonicalError::NotJson(e.to_string()))
}

/// The digest of `value`: [`sha256_hex`] of its [`canonical_json`].
///
/// # Errors
/// As [`canonical_json`].
pub fn digest<T: Serialize + ?Sized>(value: &T) -> Result<String, CanonicalError> {
    canonical_json(value).map(|bytes| sha256_hex(&bytes))
}

/// SHA-256 of `bytes` as 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn refuse_inexact(value: &Value, pointer: &mut String) -> Result<(), CanonicalError> {
    let mut below = |step: &str, child: &Value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let outcome = refuse_inexact(child, pointer);
        pointer.truncate(length);
        outcome
    };
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, child)| below(key, child)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, child)| below(&at.to_string(), child)),
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude > INTEGER_MAX => Err(CanonicalError::InexactInteger {
                    pointer: if pointer.is_empty() {
                        "/".to_owned()
                    } else {
                        pointer.clone()
                    },
                    number: number.to_string(),
                }),
                _ => Ok(()),
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(canonical_json(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_by_utf16_code_units() {
        // RFC 8785 section 3.2.3: U+1F600 (a surrogate pair, D83D…) sorts before U+FB33, unlike in UTF-8.
        let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(
            text(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn numbers_are_printed_as_ecmascript_prints_them() {
        // RFC 8785 appendix B.
        for (bits, printed) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            assert_eq!(text(&json!(f64::from_bits(bits))), printed);
        }
        assert_eq!(text(&json!({"b": 10, "a": -3})), r#"{"a":-3,"b":10}"#);
    }

    #[test]
    fn strings_escape_only_what_must_be() {
        assert_eq!(
            text(&json!("\u{20ac}$\u{f}\nA'B\"\\\"/\u{7f}")),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\"/\u{7f}\""
        );
    }

    #[test]
    fn an_integer_that_would_be_rounded_is_refused() {
        let fault = canonical_json(&json!({"a": [{"b/c": 9_007_199_254_740_993_u64}]})).unwrap_err();
        assert_eq!(
            fault,
            CanonicalError::InexactInteger {
                pointer: "/a/0/b~1c".into(),
                number: "9007199254740993".into()
            }
        );
        assert!(canonical_json(&json!(i64::MIN)).is_err());
        assert!(canonical_json(&json!(9_007_199_254_740_991_u64)).is_ok());
    }

    #[test]
    fn sha256_is_the_known_one() {
        // FIPS 180-2 appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<f64>()
                .prop_filter("finite", |n| n.is_finite())
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_are_a_fixed_point(value in any_json()) {
            let once = canonical_json(&value).unwrap();
            let back: Value = serde_json::from_slice(&once).unwrap();
            // A float may come back as an integer beyond 2^53 only if it was printed without an exponent.
            if let Ok(twice) = canonical_json(&back) {
                prop_assert_eq!(once, twice);
            }
        }
    }
}
