//! What sources say of advisories.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::asset::Provenance;
use crate::load::wire::AdvisoryType;
use crate::name::Severity;
use crate::version::{Scheme, compare};

/// One vendor statement, as one source gives it. Advisories are never merged away: aliases link, ids stay.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisoryRecord {
    /// The vendor's id.
    pub id: Arc<str>,
    /// CVEs and other names, sorted, without the id itself.
    pub aliases: Vec<Arc<str>>,
    /// Severity as the vendor says it.
    pub severity: Severity,
    /// What it is about.
    pub types: Vec<AdvisoryType>,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// Withdrawn from then on.
    pub withdrawn: Option<Timestamp>,
    /// What fixes it.
    pub fixes: Vec<Fix>,
    /// Whether the vendor suggests a reboot.
    pub reboot: Option<bool>,
    /// Exploitation as the record itself states it (own bulletins and tests); KEV is joined when merging.
    pub exploited: Option<Exploited>,
    /// What catalogues say of its CVEs; joined when merging, empty before.
    pub cves: Vec<super::CveFacts>,
    /// Where the record stands.
    pub provenance: Provenance,
}

/// One affected package: everything from `introduced` up to, not including, `fixed`, or up to and including
/// `last_affected`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fix {
    /// Which release of which distribution.
    pub ecosystem: Ecosystem,
    /// Package name; a source package where `by_source`.
    pub package: Arc<str>,
    /// Whether `package` names a source package (Debian, Ubuntu and Alpine records do).
    pub by_source: bool,
    /// Only this architecture, if said.
    pub arch: Option<Arc<str>>,
    /// Module stream `name:stream`, if said.
    pub module: Option<Arc<str>>,
    /// First affected version; none = from the beginning.
    pub introduced: Option<Arc<str>>,
    /// First fixed version; none = no fix exists.
    pub fixed: Option<Arc<str>>,
    /// Last affected version, where the vendor names that instead of a fix; versions above it are not affected.
    pub last_affected: Option<Arc<str>>,
    /// What an asset must be entitled to for the fix to be within its reach, for example `ubuntu-pro`.
    pub entitlement: Option<Arc<str>>,
    /// Article that brings the fixed build, digits only (`5034439`), where the vendor names one (Windows).
    pub kb: Option<Arc<str>>,
    /// Only Windows of this edition, where client and server share the branch of the build and do not share the fix.
    pub edition: Option<super::WindowsEdition>,
}

impl Fix {
    /// Whether `version` lies in the affected range, by the version order of the ecosystem. Says nothing of the
    /// package, architecture or module stream.
    pub fn affects(&self, version: &str) -> bool {
        let order = |bound: &Option<Arc<str>>| bound.as_deref().map(|b| compare(self.ecosystem.scheme, version, b));
        order(&self.introduced) != Some(Ordering::Less)
            && matches!(order(&self.fixed), None | Some(Ordering::Less))
            && order(&self.last_affected) != Some(Ordering::Greater)
    }
}

/// A release of a distribution, with the order of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ecosystem {
    /// Version order.
    pub scheme: Scheme,
    /// `ID` of os-release: `almalinux`, `debian`, …; or a language ecosystem such as `go`.
    pub os_id: Arc<str>,
    /// Release as [`super::Os::major`] gives it; none = every release.
    pub release: Option<Arc<str>>,
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "{} {release}", self.os_id),
            None => f.write_str(&self.os_id),
        }
    }
}

/// Exploitation in the wild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exploited {
    /// Since when it is known (KEV: `dateAdded`).
    pub since: Option<Timestamp>,
    /// Known to be used by ransomware, if said.
    pub ransomware: Option<bool>,
    /// Where it stands.
    pub provenance: Option<Provenance>,
}

/// One entry of a catalogue of exploited vulnerabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExploitedRecord {
    /// The CVE.
    pub cve: Arc<str>,
    /// What is known.
    pub exploited: Exploited,
}
