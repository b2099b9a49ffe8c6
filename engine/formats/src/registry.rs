//! The list of formats.

use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::load::wire::SourceKind;
use patchwave_core::observe::Batch;

use crate::container::{document_name, is_archive};
use crate::records::read_records;
use crate::{
    InputFile, ansible_facts, epss, katello, kev, kubernetes, msrc, native, nvidia_smi, osv, vulnrichment, wsus,
};

/// How a format reads the files of one source.
pub type Reader = fn(&FormatEntry, &Arc<str>, &[InputFile<'_>], Timestamp) -> Batch;

/// One format.
#[derive(Clone, Copy, Debug)]
pub struct FormatEntry {
    /// The `type` of Sources that give it.
    pub name: &'static str,
    /// The `kind` of those Sources.
    pub kind: SourceKind,
    /// Extensions of its documents, without compression, lowercase; [`ANY_NAME`] for documents called after what they
    /// speak of.
    pub extensions: &'static [&'static str],
    /// One line for people.
    pub summary: &'static str,
    /// How it is read; none = not built yet.
    pub read: Option<Reader>,
}

impl FormatEntry {
    /// Whether it can be read.
    pub const fn built(&self) -> bool {
        self.read.is_some()
    }

    /// The endings of the names of its documents, as a folder is searched for them: `.json`, or the empty one for any.
    pub fn endings(&self) -> Vec<String> {
        let ending = |extension: &&str| match *extension {
            ANY_NAME => String::new(),
            extension => format!(".{extension}"),
        };
        self.extensions.iter().map(ending).collect()
    }

    /// Whether a file of this name, found in a folder, is one of this format: by extension, under any compression,
    /// or an archive. A file that a Source names itself is read whatever it is called.
    pub fn accepts(&self, path: &str) -> bool {
        is_archive(path) || self.accepts_document(path)
    }

    pub(crate) fn accepts_document(&self, path: &str) -> bool {
        let Some(name) = document_name(path) else { return false };
        if self.extensions.contains(&ANY_NAME) {
            return !name.starts_with('.');
        }
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|e| self.extensions.iter().any(|known| known.eq_ignore_ascii_case(e)))
    }
}

/// Stands among the extensions of a format whose documents may have any name: those of a fact cache are called as their
/// hosts, and what stands behind the last dot of those says nothing.
pub const ANY_NAME: &str = "*";

const JSON: &[&str] = &["json", "ndjson", "jsonl"];

const fn planned(
    name: &'static str,
    kind: SourceKind,
    extensions: &'static [&'static str],
    summary: &'static str,
) -> FormatEntry {
    FormatEntry {
        name,
        kind,
        extensions,
        summary,
        read: None,
    }
}

use SourceKind::{Advisories, Inventory, PatchStatus, Scanner};

/// Every format, grouped by kind. Monitors and change records are asked, not read: they are no formats.
pub const FORMATS: &[FormatEntry] = &[
    FormatEntry {
        name: "native",
        kind: Inventory,
        extensions: JSON,
        summary: "observations of patchwave itself, one asset a line",
        read: Some(|entry, source, files, now| read_records(&native::Native { now }, entry, source, files)),
    },
    FormatEntry {
        name: "ansible-facts",
        kind: Inventory,
        extensions: &[ANY_NAME],
        summary: "fact cache or `--tree` of `setup` and `package_facts`, one file a host",
        read: Some(ansible_facts::read),
    },
    FormatEntry {
        name: "katello",
        kind: Inventory,
        extensions: JSON,
        summary: "Foreman and Katello hosts, live or saved answers",
        read: Some(|entry, source, files, now| read_records(&katello::Hosts { now }, entry, source, files)),
    },
    FormatEntry {
        name: "wsus",
        kind: Inventory,
        extensions: &["json"],
        summary: "the export that the shipped script writes",
        read: Some(wsus::read),
    },
    FormatEntry {
        name: "kubernetes",
        kind: Inventory,
        extensions: JSON,
        summary: "nodes as `kubectl get nodes -o json` prints them",
        read: Some(|entry, source, files, now| read_records(&kubernetes::Nodes { now }, entry, source, files)),
    },
    planned("csv", Inventory, &["csv", "tsv"], "any table, with `mapping`"),
    planned("netbox", Inventory, JSON, "NetBox devices and virtual machines"),
    planned("servicenow", Inventory, JSON, "ServiceNow CMDB records"),
    planned("landscape", Inventory, JSON, "Landscape computers"),
    planned("uyuni", Inventory, JSON, "Uyuni and SUSE Manager systems"),
    planned("intune", Inventory, JSON, "Intune managed devices"),
    planned("sccm", Inventory, &["json", "csv"], "Configuration Manager devices"),
    planned("vcenter", Inventory, JSON, "vCenter hosts and guests"),
    FormatEntry {
        name: "nvidia-smi",
        kind: Inventory,
        extensions: &["xml"],
        summary: "what `nvidia-smi -q -x` prints, one file a machine",
        read: Some(nvidia_smi::read),
    },
    planned("cyclonedx", Inventory, &["json", "xml"], "CycloneDX bills of materials"),
    planned("osquery", Inventory, JSON, "osquery results"),
    FormatEntry {
        name: "osv",
        kind: Advisories,
        extensions: JSON,
        summary: "OSV records: folder, file, zip, tar.zst or NDJSON",
        read: Some(|entry, source, files, _| read_records(&osv::Osv, entry, source, files)),
    },
    planned("csaf", Advisories, &["json"], "CSAF 2.0 advisories and VEX"),
    planned("updateinfo", Advisories, &["xml"], "updateinfo.xml of rpm repositories"),
    planned("oval", Advisories, &["xml"], "OVAL definitions"),
    FormatEntry {
        name: "msrc",
        kind: Advisories,
        extensions: &["json", "xml"],
        summary: "monthly documents of Microsoft, CVRF as JSON or XML",
        read: Some(|entry, source, files, _| msrc::read(entry, source, files)),
    },
    FormatEntry {
        name: "kev",
        kind: Advisories,
        extensions: &["json"],
        summary: "CISA catalogue of known exploited vulnerabilities",
        read: Some(|entry, source, files, _| read_records(&kev::Kev, entry, source, files)),
    },
    FormatEntry {
        name: "epss",
        kind: Advisories,
        extensions: &["csv"],
        summary: "EPSS scores",
        read: Some(|entry, source, files, _| epss::read(entry, source, files)),
    },
    FormatEntry {
        name: "vulnrichment",
        kind: Advisories,
        extensions: JSON,
        summary: "SSVC options of CISA",
        read: Some(|entry, source, files, _| read_records(&vulnrichment::Vulnrichment, entry, source, files)),
    },
    planned("ubuntu-pro", Advisories, &["json"], "Ubuntu Pro vulnerability data"),
    planned("lifecycle", Advisories, &["json"], "end of support"),
    planned("nessus", Scanner, &["nessus", "xml"], "Nessus v2 reports"),
    planned("qualys", Scanner, &["xml"], "Qualys reports"),
    planned("openvas", Scanner, &["xml"], "OpenVAS reports"),
    planned("trivy", Scanner, &["json"], "Trivy reports"),
    planned("grype", Scanner, &["json"], "Grype reports"),
    planned("manageengine", PatchStatus, JSON, "ManageEngine patch status"),
    planned("ivanti", PatchStatus, JSON, "Ivanti patch status"),
    planned("solarwinds", PatchStatus, JSON, "SolarWinds patch status"),
];

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static FormatEntry> {
    FORMATS.iter().find(|entry| entry.name == name)
}

pub(crate) fn names() -> String {
    FORMATS.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_extensions_are_judged_under_compression() {
        for (at, entry) in FORMATS.iter().enumerate() {
            assert!(
                FORMATS.iter().skip(at + 1).all(|other| other.name != entry.name),
                "{} twice",
                entry.name
            );
        }
        let native = find("native").unwrap();
        for path in [
            "a.json",
            "x/facts.ndjson.zst",
            "A.JSON.GZ",
            "all.tar.zst",
            "all.zip",
            "y.tgz",
        ] {
            assert!(native.accepts(path), "{path}");
        }
        let cache = find("ansible-facts").unwrap();
        assert_eq!((cache.endings(), native.endings().len()), (vec![String::new()], 3));
        assert!(cache.accepts("cache/web1.example.com") && cache.accepts("web1.json.gz") && !cache.accepts(".gitkeep"));
        for path in ["README.md", "facts", "x.json/readme", "a.json.bz2", ".gz", "a.parquet"] {
            assert!(!native.accepts(path), "{path}");
        }
    }
}
