//! Which source is believed for each fact: one that is authoritative for its group before all others, then the newest
//! fact. Age is that of the fact, so a newer record that does not know a fact hides no older one that does.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::asset::{AssetRecord, Facts, Identity, Provenance};
use super::merge::{Origin, is_stale};

pub use crate::load::known::FACT_GROUPS;

/// The facts of one asset, and how far they can be trusted.
#[derive(Debug, Default)]
pub(super) struct Believed {
    pub(super) facts: Facts,
    /// When what is installed was observed; see [`believe`].
    pub(super) observed_at: Option<Timestamp>,
    pub(super) stale: bool,
    /// Records that were looked at, newest first.
    pub(super) provenance: Vec<Provenance>,
}

/// Merges the records of one asset, each with its origin.
///
/// The asset is as old as the facts of what is installed on it (packages, else KBs, build, components, …), and only
/// where there are none as old as its newest record: a heartbeat does not make an old package list fresh.
pub(super) fn believe(mut records: Vec<(usize, AssetRecord)>, origins: &[Origin<'_>], now: Timestamp) -> Believed {
    let name = |origin: usize| origins.get(origin).map(|o| &o.name);
    records.sort_by(|(origin_a, a), (origin_b, b)| {
        b.observed_at
            .cmp(&a.observed_at)
            .then_with(|| name(*origin_a).cmp(&name(*origin_b)))
    });
    let provenance = records.iter().map(|(_, record)| record.provenance.clone()).collect();
    let telling = INSTALLED.iter().find_map(|(group, told)| {
        let knows = |at: &usize| records.get(*at).is_some_and(|(_, record)| told(&record.facts));
        order(&records, origins, group).into_iter().find(knows)
    });
    let telling = telling.or_else(|| (!records.is_empty()).then_some(0));
    let age = telling
        .and_then(|at| records.get(at))
        .and_then(|(origin, r)| Some((origins.get(*origin)?, r.observed_at)));
    Believed {
        observed_at: age.map(|(_, at)| at),
        stale: age.is_some_and(|(origin, at)| is_stale(at, origin.stale_after(), now)),
        facts: facts(records, origins),
        provenance,
    }
}

type Told = fn(&Facts) -> bool;

/// Facts of what is installed, the most telling first.
const INSTALLED: &[(&str, Told)] = &[
    ("packages", |facts| facts.packages.is_some()),
    ("osBuild", |facts| facts.os_build.is_some()),
    ("kbs", |facts| facts.kbs.is_some()),
    ("components", |facts| facts.components.is_some()),
    ("kubernetes", |facts| facts.kubernetes.is_some()),
    ("gpu", |facts| facts.gpu.is_some()),
];

/// The records in the order in which they are believed for a group.
fn order(records: &[(usize, AssetRecord)], origins: &[Origin<'_>], group: &str) -> Vec<usize> {
    let authoritative = |at: &usize| {
        let origin = records.get(*at).and_then(|(origin, _)| origins.get(*origin));
        origin.is_some_and(|origin| origin.is_authoritative_for(group))
    };
    let (mut first, then): (Vec<usize>, Vec<usize>) = (0..records.len()).partition(authoritative);
    first.extend(then);
    first
}

fn facts(mut records: Vec<(usize, AssetRecord)>, origins: &[Origin<'_>]) -> Facts {
    if let [(_, only)] = records.as_mut_slice() {
        return std::mem::take(&mut only.facts);
    }
    let mut belief = Belief { records, origins };
    Facts {
        identity: belief.identity(),
        labels: belief.labels(),
        lifecycle: belief.take("lifecycle", |f| f.lifecycle.take()),
        os: belief.take("os", |f| f.os.take()),
        kernel: belief.take("kernel", |f| f.kernel.take()),
        boot_time: belief.take("bootTime", |f| f.boot_time.take()),
        pending_reboot: belief.take("pendingReboot", |f| f.pending_reboot.take()),
        restart_needed: belief.take("restartNeeded", |f| f.restart_needed.take()),
        live_patch: belief.take("livePatch", |f| f.live_patch.take()),
        packages: belief.take("packages", |f| f.packages.take()),
        available: belief.take("available", |f| f.available.take()),
        kbs: belief.take("kbs", |f| f.kbs.take()),
        os_build: belief.take("osBuild", |f| f.os_build.take()),
        components: belief.take("components", |f| f.components.take()),
        kubernetes: belief.take("kubernetes", |f| f.kubernetes.take()),
        gpu: belief.take("gpu", |f| f.gpu.take()),
        updaters: belief.take("updaters", |f| f.updaters.take()),
        entitlements: belief.take("entitlements", |f| f.entitlements.take()),
        updates: belief.take("updates", |f| f.updates.take()),
        content: belief.take("content", |f| f.content.take()),
    }
}

struct Belief<'o, 'a> {
    records: Vec<(usize, AssetRecord)>,
    origins: &'o [Origin<'a>],
}

impl Belief<'_, '_> {
    /// The first that is known, in the order in which the records are believed for the group.
    fn take<T>(&mut self, group: &str, take: impl Fn(&mut Facts) -> Option<T>) -> Option<T> {
        let order = order(&self.records, self.origins, group);
        order
            .into_iter()
            .find_map(|at| take(&mut self.records.get_mut(at)?.1.facts))
    }

    /// Each key on its own.
    fn identity(&mut self) -> Identity {
        Identity {
            machine_id: self.take("identity", |f| f.identity.machine_id.take()),
            fqdn: self.take("identity", |f| f.identity.fqdn.take()),
            serial: self.take("identity", |f| f.identity.serial.take()),
            bios_uuid: self.take("identity", |f| f.identity.bios_uuid.take()),
        }
    }

    /// Each label on its own.
    fn labels(&mut self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut labels = BTreeMap::new();
        for at in order(&self.records, self.origins, "labels") {
            let Some((_, record)) = self.records.get_mut(at) else {
                continue;
            };
            for (key, value) in std::mem::take(&mut record.facts.labels) {
                labels.entry(key).or_insert(value);
            }
        }
        labels
    }
}
