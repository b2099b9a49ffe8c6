//! What sources say of assets.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::tables::{PackageSetId, Tables};
use crate::load::wire::Lifecycle;

/// Where a fact comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provenance {
    /// Name of the Source resource.
    pub source: Arc<str>,
    /// File, relative to the repository root, or address.
    pub file: Arc<str>,
    /// Record in the file, counted from 1 (a line of NDJSON, an element of an array).
    pub record: u32,
}

/// What one source said of one asset at one time. Every fact but name and time may be missing, and missing is unknown.
#[derive(Clone, Debug)]
pub struct AssetRecord {
    /// The asset's name as the source gives it.
    pub name: Arc<str>,
    /// When the facts were true.
    pub observed_at: Timestamp,
    /// Where the record stands.
    pub provenance: Provenance,
    /// The facts.
    pub facts: Facts,
}

/// The facts of one asset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Keys that tell the asset apart.
    pub identity: Identity,
    /// Labels the source gives.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Where it is in its life.
    pub lifecycle: Option<Lifecycle>,
    /// Operating system.
    pub os: Option<Os>,
    /// Running and default-boot kernel release, for example `5.14.0-427.13.1.el9_4.x86_64`.
    pub kernel: Option<Kernel>,
    /// When it booted.
    pub boot_time: Option<Timestamp>,
    /// Whether it waits for a reboot.
    pub pending_reboot: Option<bool>,
    /// Processes that still run replaced code.
    pub restart_needed: Option<Arc<[RestartNeeded]>>,
    /// Live patches applied.
    pub live_patch: Option<Arc<LivePatch>>,
    /// Installed packages.
    pub packages: Option<PackageSetId>,
    /// Packages the asset could install now.
    pub available: Option<PackageSetId>,
    /// Installed KBs.
    pub kbs: Option<Arc<[Arc<str>]>>,
    /// OS build, for example `10.0.20348.2700`.
    pub os_build: Option<Arc<str>>,
    /// Firmware, hypervisor, storage, … versions.
    pub components: Option<Arc<[Component]>>,
    /// Kubernetes node facts.
    pub kubernetes: Option<Arc<Kubernetes>>,
    /// GPU facts.
    pub gpu: Option<Arc<Gpu>>,
    /// Automatic updaters.
    pub updaters: Option<Arc<[Updater]>>,
    /// Support entitlements.
    pub entitlements: Option<Arc<[Arc<str>]>>,
}

impl Facts {
    /// Renames the package sets to what other tables call them, see [`Tables::take_in`].
    pub fn rename_sets(&mut self, sets: &[PackageSetId]) {
        let there = |set: PackageSetId| sets.get(set.0 as usize).copied();
        self.packages = self.packages.and_then(there);
        self.available = self.available.and_then(there);
    }
}

/// Keys that tell assets apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// systemd machine id.
    pub machine_id: Option<Arc<str>>,
    /// Fully qualified name.
    pub fqdn: Option<Arc<str>>,
    /// Serial number.
    pub serial: Option<Arc<str>>,
    /// BIOS UUID.
    pub bios_uuid: Option<Arc<str>>,
}

/// Operating system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Os {
    /// `rhel`, `debian`, `windows`, …
    pub family: Arc<str>,
    /// `ID` of os-release: `almalinux`, `ubuntu`, …
    pub id: Arc<str>,
    /// `VERSION_ID` of os-release: `9.4`, `22.04`, …
    pub version: Arc<str>,
    /// Machine architecture.
    pub arch: Arc<str>,
}

impl Os {
    /// The part of the version that names a release of the distribution: `9` of AlmaLinux 9.4, `22.04` of Ubuntu
    /// (which has no minor releases), `12` of Debian 12.5, `3.19` of Alpine 3.19.1, `15.5` of SLES 15 SP5.
    pub fn major(&self) -> &str {
        release_of(&self.id, &self.version)
    }
}

/// The part of a version that names a release of the distribution `os_id`: two numbers where every minor release is
/// a release of its own with its own repositories (Ubuntu, Alpine, SUSE's service packs, openSUSE Leap), else one.
pub(super) fn release_of<'v>(os_id: &str, version: &'v str) -> &'v str {
    let dots = match os_id {
        "ubuntu" | "alpine" | "sles" | "sled" | "opensuse-leap" => 1,
        _ => 0,
    };
    let end = version.match_indices('.').nth(dots).map_or(version.len(), |(at, _)| at);
    version.get(..end).unwrap_or(version)
}

/// Kernel releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// The running one (`uname -r`).
    pub running: Option<Arc<str>>,
    /// The one the next boot takes.
    pub default_boot: Option<Arc<str>>,
}

/// A process that still runs replaced code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartNeeded {
    /// The process.
    pub process: Arc<str>,
    /// Packages whose old code it runs.
    pub packages: Vec<Arc<str>>,
}

/// Live patches applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePatch {
    /// `kpatch`, `livepatch`, …
    pub engine: Arc<str>,
    /// CVEs or advisories covered.
    pub fixes: Vec<Arc<str>>,
}

/// A component with a version of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// `firmware`, `hypervisor`, `storage`, `backup`, `database`, `runtime`, `application`, `image`.
    pub kind: Arc<str>,
    /// Vendor.
    pub vendor: Arc<str>,
    /// Product.
    pub product: Arc<str>,
    /// Version.
    pub version: Arc<str>,
    /// Which of several.
    pub instance: Option<Arc<str>>,
}

/// Kubernetes node facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubernetes {
    /// kubelet version.
    pub kubelet: Option<Arc<str>>,
    /// Container runtime and version.
    pub runtime: Option<Arc<str>>,
    /// `control-plane` or `worker`.
    pub role: Option<Arc<str>>,
}

/// GPU facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// Installed driver.
    pub driver: Option<Arc<str>>,
    /// Loaded driver.
    pub loaded: Option<Arc<str>>,
    /// CUDA version.
    pub cuda: Option<Arc<str>>,
    /// Devices.
    pub devices: Vec<Arc<str>>,
}

/// An automatic updater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updater {
    /// `unattended-upgrades`, `dnf-automatic`, …
    pub name: Arc<str>,
    /// Whether it runs.
    pub enabled: bool,
    /// What it takes: `security`, `all`.
    pub scope: Option<Arc<str>>,
}

/// What one reading of one source gave: its tables, records and the account of what was skipped.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Texts, packages and sets the records speak of.
    pub tables: Tables,
    /// Asset records, in order of reading.
    pub assets: Vec<AssetRecord>,
    /// Advisory records, in order of reading.
    pub advisories: Vec<super::AdvisoryRecord>,
    /// KEV entries, in order of reading.
    pub exploited: Vec<super::ExploitedRecord>,
    /// EPSS scores and SSVC answers, in order of reading.
    pub cves: Vec<super::CveRecord>,
    /// What was read and skipped.
    pub account: Account,
}

/// read + skipped = total, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records there were.
    pub total: u64,
    /// Records that became facts.
    pub read: u64,
    /// Records that did not, each with its reason.
    pub skipped: Vec<Skipped>,
    /// Fields that were dropped from a record that was otherwise read.
    pub dropped_fields: Vec<Skipped>,
    /// Things worth a word that lost nothing (a record without severity, a time in the future).
    pub notes: Vec<Skipped>,
}

impl Account {
    /// Adds the account of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.total += other.total;
        self.read += other.read;
        self.skipped.append(&mut other.skipped);
        self.dropped_fields.append(&mut other.dropped_fields);
        self.notes.append(&mut other.notes);
    }
}

/// Something that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The file.
    pub file: Arc<str>,
    /// Record in the file, from 1; 0 = the file as a whole.
    pub record: u32,
    /// What was wrong, and what to do.
    pub reason: String,
}

/// Whether `text` can be the name of an asset: 1 to 253 of `[A-Za-z0-9._-]`.
pub fn is_asset_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=253).contains(&text.len()) && text.bytes().all(allowed)
}
