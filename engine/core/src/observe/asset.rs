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
    /// What a Windows update server offers this computer, and what it knows to be installed.
    pub updates: Option<Arc<[OfferedUpdate]>>,
    /// Where the asset gets its packages from, of a content server: one view for most, several for hosts that have
    /// several content view environments.
    pub content: Option<Arc<[ContentView]>>,
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
    /// The cluster, as the source calls it.
    pub cluster: Option<Arc<str>>,
    /// Id of this boot (`status.nodeInfo.bootID`); another one proves a reboot.
    pub boot_id: Option<Arc<str>>,
    /// Whether new pods are kept away from it (`spec.unschedulable`).
    pub unschedulable: Option<bool>,
    /// Whether its condition `Ready` is true; none where the cluster does not know.
    pub ready: Option<bool>,
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
    /// Kernel modules of the driver that are built, one a kernel.
    pub kmods: Vec<GpuKmod>,
    /// Whether UEFI Secure Boot is on, which refuses unsigned modules.
    pub secure_boot: Option<bool>,
    /// Version of the fabric manager, which must be that of the driver.
    pub fabric_manager: Option<Arc<str>>,
    /// Whether Multi-Instance GPU is on for any device.
    pub mig: Option<bool>,
}

/// A kernel module of a GPU driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GpuKmod {
    /// Kernel release it is built for, for example `5.14.0-427.13.1.el9_4.x86_64`.
    pub kernel: Arc<str>,
    /// Driver version it is of.
    pub driver: Arc<str>,
}

/// One update of a Windows update server, as it stands for one computer. The words of `state` and `approval` are those
/// of the server (`UpdateInstallationState`, `UpdateApprovalAction` of Microsoft.UpdateServices.Administration).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferedUpdate {
    /// GUID of the update, in lower case.
    pub update_id: Arc<str>,
    /// Revision of the update; id and revision together name what can be approved.
    pub revision: u32,
    /// Articles it belongs to, digits only (`5034439`).
    pub kbs: Vec<Arc<str>>,
    /// Title.
    pub title: Arc<str>,
    /// `NotInstalled`, `Downloaded`, `Installed`, `InstalledPendingReboot`, `Failed`, `NotApplicable` or `Unknown`.
    pub state: Arc<str>,
    /// `Install`, `Uninstall`, `NotApproved`, ….
    pub approval: Arc<str>,
    /// Whether a license agreement must be accepted before it can be approved.
    pub eula: bool,
    /// Whether it can be uninstalled.
    pub uninstallable: bool,
    /// Whether another update supersedes it.
    pub superseded: bool,
}

/// A content view in a lifecycle environment, which is what a host of Katello sees of the repositories.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentView {
    /// Id of the host in Foreman.
    pub host_id: Option<u64>,
    /// Organization.
    pub organization: Arc<str>,
    /// Name of the content view.
    pub view: Arc<str>,
    /// Its id.
    pub view_id: u64,
    /// Version of it that the environment has, for example `12.0`; empty if the server does not say.
    pub version: Arc<str>,
    /// Id of the version; 0 if the server does not say.
    pub version_id: u64,
    /// Name of the lifecycle environment.
    pub environment: Arc<str>,
    /// Its id.
    pub environment_id: u64,
    /// Whether it follows the library without being published; such a view cannot be promoted.
    pub rolling: bool,
    /// Whether it is made of other views.
    pub composite: bool,
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

/// The digits of an article's name: `5034439` of `KB5034439`, `kb5034439` or `5034439`; none if it is no such name.
/// Microsoft's own articles have six or seven digits; up to ten are let in.
pub fn kb_digits(text: &str) -> Option<&str> {
    let text = text.trim();
    let named = text.get(..2).filter(|kb| kb.eq_ignore_ascii_case("kb"));
    let digits = named.and_then(|_| text.get(2..)).unwrap_or(text).trim_start();
    let sound = (5..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then_some(digits)
}
