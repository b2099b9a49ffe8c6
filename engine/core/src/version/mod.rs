//! Version order of each ecosystem.
//!
//! Invariant \[total\]: [`compare`] never fails and is a total order over all strings, readable or not: reflexive,
//! antisymmetric and transitive. A scheme's own tool may refuse a string; here it still has one fixed place, so that
//! sorting once and comparing ranks ([`Ranks`], [`ranks`]) can stand in for comparing strings.
//!
//! ```
//! use patchwave_core::version::{Scheme, compare};
//! use std::cmp::Ordering;
//!
//! assert_eq!(compare(Scheme::Rpm, "1:3.0.7-24.el9", "1:3.0.7-27.el9"), Ordering::Less);
//! assert_eq!(compare(Scheme::Deb, "1.0~rc1", "1.0"), Ordering::Less);
//! assert_eq!(compare(Scheme::Semver, "v1.30", "1.30.0+build.5"), Ordering::Equal);
//! ```
mod apk;
mod deb;
mod digits;
mod dotted;
mod kernel;
mod range;
mod rank;
mod rpm;
mod semver;
mod vendor;

use std::cmp::Ordering;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use kernel::{is_kernel_package, kernel_release_version};
pub use range::Range;
pub use rank::{Ranks, ranks};
pub use rpm::{is_modular, rpm_evr};

/// How versions are ordered: the rules of one ecosystem. Written in lower case everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "VersionScheme")]
pub enum Scheme {
    /// `[epoch:]version[-release]` as `rpm.vercmp` of rpm 4.18 orders it.
    Rpm,
    /// `[epoch:]upstream[-revision]` as `dpkg --compare-versions` orders it.
    Deb,
    /// Alpine package versions as apk-tools 3 orders them.
    Apk,
    /// Semantic Versioning 2.0.0, read leniently: any count of numeric parts, an optional leading `v`.
    Semver,
    /// Dotted numbers of Windows builds, such as `10.0.17763.7558`.
    Windows,
    /// Dotted numbers of NVIDIA driver releases, such as `550.54.15`.
    Nvidia,
    /// Dotted numbers with a vendor's suffixes, such as `9.14.1P6`: appliances, firmware, applications.
    Dotted,
}

impl Scheme {
    /// Every scheme, in the order of the declaration.
    pub const ALL: &'static [Self] = &[
        Self::Rpm,
        Self::Deb,
        Self::Apk,
        Self::Semver,
        Self::Windows,
        Self::Nvidia,
        Self::Dotted,
    ];

    /// Reads the lower-case name; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scheme| scheme.as_str() == name)
    }

    /// The lower-case name, as it stands in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Semver => "semver",
            Self::Windows => "windows",
            Self::Nvidia => "nvidia",
            Self::Dotted => "dotted",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Orders two versions of one scheme; blanks around either are ignored.
///
/// Total for any two strings, see \[total\] above. Equal does not mean the same spelling (`1.0` and `1.00` are
/// equal in rpm). Linear in the length of the strings: digit runs are compared as text, so none is too long.
pub fn compare(scheme: Scheme, a: &str, b: &str) -> Ordering {
    let (a, b) = (trim(a), trim(b));
    match scheme {
        Scheme::Rpm => rpm::compare(a, b),
        Scheme::Deb => deb::compare(a, b),
        Scheme::Apk => apk::compare(a, b),
        Scheme::Semver => semver::compare(a, b),
        Scheme::Windows | Scheme::Nvidia => dotted::compare(a, b),
        Scheme::Dotted => vendor::compare(a, b),
    }
}

/// How two versions stand, or none where that cannot be told: versions of [`Scheme::Dotted`] with words nobody knows, a
/// Windows build or a driver release that is no row of numbers. Wherever it answers, [`compare`] answers the same.
///
/// ```
/// use patchwave_core::version::{Scheme, order};
/// use std::cmp::Ordering;
///
/// assert_eq!(order(Scheme::Dotted, "9.14.1P6", "9.14.1P10"), Some(Ordering::Less));
/// assert_eq!(order(Scheme::Dotted, "9.14.1", "spring release"), None);
/// ```
pub fn order(scheme: Scheme, a: &str, b: &str) -> Option<Ordering> {
    match scheme {
        Scheme::Dotted => vendor::order(trim(a), trim(b)),
        Scheme::Windows | Scheme::Nvidia if !is_numbers(a) || !is_numbers(b) => None,
        Scheme::Semver if !starts_with_number(a) || !starts_with_number(b) => None,
        _ => Some(compare(scheme, a, b)),
    }
}

fn is_numbers(text: &str) -> bool {
    let mut parts = trim(text).split('.');
    parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn starts_with_number(text: &str) -> bool {
    let text = trim(text);
    text.strip_prefix(['v', 'V'])
        .unwrap_or(text)
        .starts_with(|c: char| c.is_ascii_digit())
}

/// What a line of two versions says: how the first stands to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// `<`: the first is older.
    Less,
    /// `=`: neither is older.
    Equal,
    /// `>`: the first is newer.
    Greater,
    /// `?`: the line has not exactly two fields, or an empty one.
    Unreadable,
}

impl Verdict {
    /// The one-character form that is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::Equal => "=",
            Self::Greater => ">",
            Self::Unreadable => "?",
        }
    }
}

impl From<Ordering> for Verdict {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Less => Self::Less,
            Ordering::Equal => Self::Equal,
            Ordering::Greater => Self::Greater,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict over one line `A<TAB>B`, with or without its line end.
///
/// Blanks around a field do not count; a line without exactly two fields, or with one that is empty without its
/// blanks, is [`Verdict::Unreadable`]. Nothing else is.
pub fn verdict_line(scheme: Scheme, line: &str) -> Verdict {
    let mut fields = line.split('\t').map(trim);
    match (fields.next(), fields.next(), fields.next()) {
        (Some(a), Some(b), None) if !a.is_empty() && !b.is_empty() => compare(scheme, a, b).into(),
        _ => Verdict::Unreadable,
    }
}

/// Drops the blanks that C's `isspace` knows from both ends, as dpkg does. Blanks outside ASCII stay: they are
/// characters of the version, which rpm takes for separators.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_names_round_trip() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::parse(scheme.as_str()), Some(*scheme));
            let json = serde_json::to_string(scheme).unwrap();
            assert_eq!(json, format!("\"{scheme}\""));
            assert_eq!(serde_json::from_str::<Scheme>(&json).unwrap(), *scheme);
        }
        assert_eq!(Scheme::parse("RPM"), None);
        assert_eq!(Scheme::parse(""), None);
    }

    #[test]
    fn verdict_lines() {
        for (line, verdict) in [
            ("1\t2", "<"),
            ("2\t1\n", ">"),
            (" 1.0 \t\u{b}1.0\r\n", "="),
            ("1", "?"),
            ("", "?"),
            ("1\t", "?"),
            (" \t1", "?"),
            ("1\t2\t", "?"),
            ("1\t2\t3", "?"),
            ("not a version\tnot a versio", ">"),
        ] {
            assert_eq!(verdict_line(Scheme::Deb, line).as_str(), verdict, "{line:?}");
        }
    }

    #[test]
    fn digit_runs_beyond_any_integer_are_compared_in_linear_time() {
        let nines = "9".repeat(200_000);
        let (bigger, padded) = (format!("1{nines}"), format!("{}{nines}", "0".repeat(200_000)));
        for scheme in Scheme::ALL {
            assert_eq!(compare(*scheme, &nines, &bigger), Ordering::Less, "{scheme}");
            assert_eq!(compare(*scheme, &nines, &padded), Ordering::Equal, "{scheme}");
        }
    }
}
