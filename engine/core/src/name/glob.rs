//! Package globs: `openssl*`, `linux-image-*`, `kernel?`. Only `*` and `?` are special; matching is linear.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pattern over names. `*` is any run of characters, `?` any one; the whole name must match; case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Glob(pub String);

impl Glob {
    /// Whether `name` matches. Greedy with one backtrack point, so never worse than `pattern × name`.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut n, mut star) = (0, 0, None);
        while let Some(c) = name.get(n) {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(x) if *x == '?' || x == c => (p, n) = (p + 1, n + 1),
                _ => {
                    let Some((at, from)) = star else { return false };
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
            }
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }

    /// Whether the pattern matches every name.
    pub fn is_everything(&self) -> bool {
        !self.0.is_empty() && self.0.chars().all(|c| c == '*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_names() {
        for (pattern, name, expected) in [
            ("openssl*", "openssl-libs", true),
            ("openssl", "openssl-libs", false),
            ("linux-image-*", "linux-image-6.1.0", true),
            ("*-lib?", "foo-libs", true),
            ("*", "", true),
            ("", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
        ] {
            assert_eq!(Glob(pattern.into()).matches(name), expected, "{pattern} {name}");
        }
    }
}
