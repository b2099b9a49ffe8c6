//! `kubernetes`: nodes of a cluster, as `kubectl get nodes -o json` prints them or the API answers.
//!
//! A `Node`, a `NodeList`, or a `List` of any kinds, of which other kinds are skipped
//! (<https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>). A node is as old as the newest
//! heartbeat of its conditions: an answer carries no time of its own.
//!
//! - All labels become labels of the asset. The role is what the labels `node-role.kubernetes.io/…` or
//!   `kubernetes.io/role` say; without any it is unknown, because managed and single-node clusters set none.
//! - The operating system is that of the labels of node feature discovery (`system-os_release.ID`), else what can be
//!   told from `osImage`. The kernel of a Windows node is its build.
//! - A node that kured has marked as about to be rebooted waits for a reboot. Without the mark nothing is known: kured
//!   marks only where it was asked to, and only inside its windows.

mod node;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use patchwave_core::observe::Provenance;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt};
use crate::records::RecordReader;
use crate::sheet::{Known, Sheet};

/// Reads nodes; one answer holds many, and a node is a record.
pub(crate) struct Nodes {
    /// Heartbeats later than this are reported.
    pub(crate) now: Timestamp,
}

impl RecordReader for Nodes {
    fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
        let fields = match Fields::parse(raw) {
            Ok(fields) => fields,
            Err(error) => return sheet.skip(at, format!("is no object of Kubernetes: {error}")),
        };
        let kind = fields.get::<Text<'_>>("kind").ok().flatten();
        let kind = kind.as_deref().unwrap_or_default();
        if !kind.ends_with("List") {
            return self.object(&fields, kind, at, sheet);
        }
        let items = match fields.get::<Vec<&RawValue>>("items") {
            Ok(items) => items.unwrap_or_default(),
            Err(why) => return sheet.skip(at, format!("is no list of nodes: {why}")),
        };
        if items.is_empty() {
            sheet.note(at, "holds no records");
        }
        let inside = kind.strip_suffix("List").unwrap_or_default();
        for (raw, record) in items.into_iter().zip(1..) {
            let at = Provenance { record, ..at.clone() };
            match Fields::parse(raw.get().as_bytes()) {
                Ok(fields) => {
                    // Elements of a typed list need not say their kind again.
                    let own = fields.get::<Text<'_>>("kind").ok().flatten();
                    self.object(&fields, own.as_deref().unwrap_or(inside), &at, sheet);
                }
                Err(error) => sheet.skip(&at, format!("is no object of Kubernetes: {error}")),
            }
        }
    }
}

impl Nodes {
    fn object(&self, fields: &Fields<'_>, kind: &str, at: &Provenance, sheet: &mut Sheet) {
        if kind != "Node" {
            let kind = if kind.is_empty() { "not said" } else { kind };
            return sheet.skip(at, format!("is no Node: its kind is `{}`", excerpt(kind)));
        }
        if let Err(why) = node::read(fields, at, self.now, sheet) {
            sheet.skip(at, why);
        }
    }
}
