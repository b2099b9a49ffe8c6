//! The questions of decision tables that patchwave can answer.

use crate::load::wire::{Criticality, Exposure};
use crate::name::Severity;

/// A decision point that patchwave can answer, whatever its version. Keys are those of CERT/CC; the points of namespace
/// `patchwave` are our own, with the words of resources as keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// `cisa:KEV`: in the catalogue of known exploited vulnerabilities.
    Kev,
    /// `cisa:PE` or, as newer tables call it, `cisa:AE`: the asset can be reached from the internet (exposure `public`).
    PubliclyExposed,
    /// `ssvc:A`: automatable, by CISA.
    Automatable,
    /// `ssvc:TI`: technical impact, by CISA.
    TechnicalImpact,
    /// `ssvc:E`: exploitation, by CISA; active where it stands in the catalogue of exploited vulnerabilities.
    Exploitation,
    /// `ssvc:EXP`: system exposure; open = public, controlled = partner or internal, small = isolated.
    SystemExposure,
    /// `patchwave:SEVERITY`: severity after `unknownSeverity`.
    Severity,
    /// `patchwave:EXPOSURE`: exposure of the asset's class; missing = public.
    Exposure,
    /// `patchwave:CRITICALITY`: criticality of the asset's class.
    Criticality,
}

impl Input {
    /// Namespace and key of each.
    pub const ALL: &'static [(&'static str, &'static str, Self)] = &[
        ("cisa", "AE", Self::PubliclyExposed),
        ("cisa", "KEV", Self::Kev),
        ("cisa", "PE", Self::PubliclyExposed),
        ("patchwave", "CRITICALITY", Self::Criticality),
        ("patchwave", "EXPOSURE", Self::Exposure),
        ("patchwave", "SEVERITY", Self::Severity),
        ("ssvc", "A", Self::Automatable),
        ("ssvc", "E", Self::Exploitation),
        ("ssvc", "EXP", Self::SystemExposure),
        ("ssvc", "TI", Self::TechnicalImpact),
    ];

    /// The input with this namespace and key; case does not count.
    pub fn find(namespace: &str, key: &str) -> Option<Self> {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let found = Self::ALL.iter().find(|(n, k, _)| same(n, namespace) && same(k, key));
        found.map(|(_, _, input)| *input)
    }

    /// Its values, from mild to strict. A value is known by its place here.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Kev | Self::PubliclyExposed | Self::Automatable => &["N", "Y"],
            Self::TechnicalImpact => &["P", "T"],
            Self::Exploitation => &["N", "P", "A"],
            Self::SystemExposure => &["S", "C", "O"],
            Self::Severity => &["none", "low", "medium", "high", "critical"],
            Self::Exposure => &["isolated", "internal", "partner", "public"],
            Self::Criticality => &["low", "medium", "high", "critical"],
        }
    }

    /// The place of a severity. `unknown` counts as high, the default of `unknownSeverity`; callers give it by the policy.
    pub const fn severity(severity: Severity) -> usize {
        match severity {
            Severity::None => 0,
            Severity::Low => 1,
            Severity::Medium => 2,
            Severity::High | Severity::Unknown => 3,
            Severity::Critical => 4,
        }
    }

    /// The place of an exposure in the keys of `self`, one of the three inputs that read it.
    pub const fn exposure(self, exposure: Exposure) -> usize {
        match (self, exposure) {
            (Self::PubliclyExposed, Exposure::Public) => 1,
            (Self::PubliclyExposed, _) => 0,
            (Self::SystemExposure, Exposure::Public) => 2,
            (Self::SystemExposure, Exposure::Partner | Exposure::Internal) => 1,
            (Self::SystemExposure, Exposure::Isolated) => 0,
            (_, Exposure::Public) => 3,
            (_, Exposure::Partner) => 2,
            (_, Exposure::Internal) => 1,
            (_, Exposure::Isolated) => 0,
        }
    }

    /// The place of a criticality.
    pub const fn criticality(criticality: Criticality) -> usize {
        match criticality {
            Criticality::Low => 0,
            Criticality::Medium => 1,
            Criticality::High => 2,
            Criticality::Critical => 3,
        }
    }
}
