//! The words that name parts of the engine: render targets, source types, decision tables, backups, rollbacks, hooks.
//!
//! Every word the documentation names is known from the first version. One whose implementation is not in this version
//! has `built: false`: naming it is a warning, and work that needs it is refused. Set it to `true` together with the
//! implementation.

use super::wire::SourceKind;

/// A known word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// As written in resources.
    pub name: &'static str,
    /// Whether this version has it.
    pub built: bool,
}

const fn built(name: &'static str) -> Known {
    Known { name, built: true }
}

const fn planned(name: &'static str) -> Known {
    Known { name, built: false }
}

/// Render targets that come with the engine. A folder `templates/<name>/` adds one.
pub const TARGETS: &[Known] = &[
    built("ansible"),
    built("firmware"),
    built("helm"),
    built("image"),
    built("intune"),
    built("ivanti"),
    built("kubeadm"),
    built("kubernetes"),
    built("kured"),
    built("landscape"),
    built("manageengine"),
    built("nvidia"),
    built("satellite"),
    built("sccm"),
    built("solarwinds"),
    built("uyuni"),
    built("vcenter"),
    built("wsus"),
];

/// Decision tables that come with the engine (`table.pack`).
pub const TABLE_PACKS: &[Known] = &[built("cisa-bod-26-04"), built("critical-24h"), built("pci-dss-4.0.1")];

/// Kinds of `protection.backup`.
pub const BACKUPS: &[Known] = &[
    planned("appliance-snapshot"),
    built("database-dump"),
    built("etcd-snapshot"),
    built("filesystem-snapshot"),
    built("lvm-snapshot"),
    built("none"),
    built("vm-snapshot"),
];

/// Kinds of `protection.rollback`.
pub const ROLLBACKS: &[Known] = &[
    planned("image-revert"),
    built("kb-uninstall"),
    built("none"),
    built("package-downgrade"),
    built("snapshot-revert"),
];

/// Hooks that come with the engine. A file `templates/hooks/<name>.yml` adds one.
pub const HOOKS: &[&str] = &[
    "alertmanager-silence",
    "alertmanager-unsilence",
    "handover",
    "lb-drain",
    "lb-undrain",
    "service-start",
    "service-stop",
];

/// A source type and what it can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceType {
    /// As written in `type:`.
    pub name: &'static str,
    /// The kinds of source it can be.
    pub kinds: &'static [SourceKind],
    /// Whether this version reads it as a format.
    pub built: bool,
    /// Whether this version asks it for gates: as a monitor, or for change records.
    pub asked: bool,
}

impl SourceType {
    /// Whether this version has it as a source of a kind.
    pub const fn has(&self, kind: SourceKind) -> bool {
        match kind {
            Monitor | Change => self.asked,
            _ => self.built,
        }
    }
}

const fn source(name: &'static str, kinds: &'static [SourceKind], built: bool) -> SourceType {
    SourceType {
        name,
        kinds,
        built,
        asked: false,
    }
}

const fn asked(name: &'static str, kinds: &'static [SourceKind]) -> SourceType {
    SourceType {
        name,
        kinds,
        built: false,
        asked: true,
    }
}

use SourceKind::{Advisories, Change, Inventory, Monitor, PatchStatus, Scanner};

/// Every source type, in order of name.
pub const SOURCE_TYPES: &[SourceType] = &[
    source("ansible-facts", &[Inventory], true),
    source("csaf", &[Advisories], false),
    source("csv", &[Inventory], false),
    source("cyclonedx", &[Inventory], false),
    source("epss", &[Advisories], true),
    source("grype", &[Scanner], false),
    asked("http", &[Monitor]),
    asked("icinga2", &[Monitor]),
    source("intune", &[Inventory], false),
    source("ivanti", &[PatchStatus], false),
    source("katello", &[Inventory], true),
    source("kev", &[Advisories], true),
    source("kubernetes", &[Inventory], true),
    source("landscape", &[Inventory], false),
    source("lifecycle", &[Advisories], false),
    source("manageengine", &[PatchStatus], false),
    source("msrc", &[Advisories], true),
    asked("nagios", &[Monitor]),
    source("native", &[Inventory], true),
    source("nessus", &[Scanner], false),
    source("netbox", &[Inventory], false),
    source("nvidia-smi", &[Inventory], true),
    source("openvas", &[Scanner], false),
    source("osquery", &[Inventory], false),
    source("osv", &[Advisories], true),
    source("oval", &[Advisories], false),
    asked("prometheus", &[Monitor]),
    source("qualys", &[Scanner], false),
    source("sccm", &[Inventory], false),
    asked("servicenow", &[Inventory, Change]),
    asked("solarwinds", &[Monitor, PatchStatus]),
    source("trivy", &[Scanner], false),
    source("ubuntu-pro", &[Advisories], false),
    source("updateinfo", &[Advisories], false),
    source("uyuni", &[Inventory], false),
    source("vcenter", &[Inventory], false),
    source("vulnrichment", &[Advisories], true),
    source("wsus", &[Inventory], true),
];

/// The word of a source kind.
pub const fn kind_word(kind: SourceKind) -> &'static str {
    match kind {
        Inventory => "inventory",
        Advisories => "advisories",
        Scanner => "scanner",
        Monitor => "monitor",
        Change => "change",
        PatchStatus => "patch-status",
    }
}

/// A distribution whose packages inventories report, as the OSV schema calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcosystemName {
    /// What stands before the colon.
    pub name: &'static str,
    /// Whether it may stand without a release, and then means every one.
    pub alone: bool,
    /// Whether what follows the colon starts with a number.
    pub numbered: bool,
    /// One that matches.
    pub example: &'static str,
}

const fn distribution(name: &'static str, alone: bool, numbered: bool, example: &'static str) -> EcosystemName {
    EcosystemName {
        name,
        alone,
        numbered,
        example,
    }
}

/// Ecosystems of the OSV schema (<https://ossf.github.io/osv-schema/#defined-ecosystems>) that assets are matched with.
pub const ECOSYSTEMS: &[EcosystemName] = &[
    distribution("AlmaLinux", true, true, "AlmaLinux:9"),
    distribution("Alpine", true, true, "Alpine:v3.20"),
    distribution("Debian", true, true, "Debian:12"),
    distribution("Red Hat", false, false, "Red Hat:enterprise_linux:9::baseos"),
    distribution("Rocky Linux", true, true, "Rocky Linux:9"),
    distribution("SUSE", false, false, "SUSE:Linux Enterprise Server 15 SP5"),
    distribution("Ubuntu", true, false, "Ubuntu:22.04:LTS"),
    distribution("openSUSE", false, false, "openSUSE:Leap 15.6"),
];

/// The other ecosystems of the OSV schema: no inventory reports their packages.
pub const OTHER_ECOSYSTEMS: &[&str] = &[
    "Android",
    "Azure Linux",
    "Bioconductor",
    "Bitnami",
    "CRAN",
    "Chainguard",
    "ConanCenter",
    "GHC",
    "GIT",
    "GitHub Actions",
    "Go",
    "Hackage",
    "Hex",
    "Kubernetes",
    "Linux",
    "Mageia",
    "Maven",
    "MinimOS",
    "NuGet",
    "OSS-Fuzz",
    "Packagist",
    "Photon OS",
    "Pub",
    "PyPI",
    "RubyGems",
    "SwiftURL",
    "Wolfi",
    "crates.io",
    "npm",
    "openEuler",
];

/// Kinds of high availability (`ha.type`) whose members and roles can be asked for.
pub const HA_TYPES: &[&str] = &[
    "active-directory",
    "ceph",
    "consul",
    "corosync",
    "elasticsearch",
    "etcd",
    "galera",
    "kafka",
    "keepalived",
    "kubernetes",
    "mongodb-replicaset",
    "mssql-alwayson",
    "mysql-innodb-cluster",
    "opensearch",
    "oracle-dataguard",
    "oracle-rac",
    "pacemaker",
    "postgres-patroni",
    "postgres-repmgr",
    "rabbitmq",
    "redis-sentinel",
    "vault",
    "windows-failover-cluster",
    "zookeeper",
];

/// The fields of a `native` observation. Those of a PolicyTest's assets are the same, but for `name` in the place of `asset`,
/// and `fleet`.
pub const OBSERVATION_FIELDS: &[&str] = &[
    "asset",
    "observedAt",
    "identity",
    "labels",
    "lifecycle",
    "os",
    "kernel",
    "bootTime",
    "pendingReboot",
    "restartNeeded",
    "livePatch",
    "packages",
    "available",
    "kbs",
    "osBuild",
    "components",
    "kubernetes",
    "gpu",
    "updaters",
    "entitlements",
    "updates",
    "content",
];

/// The groups of facts that `authoritativeFor` can name, as `native` observations spell them: every field of an observation
/// but its name and its instant, which stand first.
pub const FACT_GROUPS: &[&str] = match OBSERVATION_FIELDS {
    [_asset, _observed_at, groups @ ..] => groups,
    [] | [_] => &[],
};

/// The statuses of findings that a PolicyTest can expect.
pub const STATUSES: &[&str] = &[
    "at-risk",
    "awaiting-approval",
    "breached",
    "compliant",
    "due",
    "excepted",
    "held",
    "mitigated",
    "not-affected",
    "pending-reboot",
    "unknown",
    "unpatchable",
];

/// The timeliness of findings that a PolicyTest can expect.
pub const TIMELINESS: &[&str] = &["at-risk", "breached", "on-time"];

/// The risk decisions that a PolicyTest can expect.
pub const DECISIONS: &[&str] = &["act", "attend", "track", "track*"];

/// What a `status` gate can ask for, with what it accepts: every word accepts what stands before it as well.
pub const GATE_STATUSES: &[&str] = &["ok", "warning"];

/// The constraints that a PolicyTest can expect to bind.
pub const BINDINGS: &[&str] = &["budget", "freeze", "predecessor", "size", "soak", "window"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order() {
        assert!(SOURCE_TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
        for list in [TARGETS, TABLE_PACKS, BACKUPS, ROLLBACKS] {
            assert!(list.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
        assert!(ECOSYSTEMS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for words in [OTHER_ECOSYSTEMS, HA_TYPES] {
            assert!(words.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert!(HOOKS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
