//! Which source is believed for each fact: one that is authoritative for its group before all others, then the newest
//! fact. Age is that of the fact, so a newer record that does not know a fact hides no older one that does.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::asset::{AssetRecord, Facts, Gpu, Identity, Kubernetes, Provenance};
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
        facts: facts(records, origins, now),
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

fn facts(mut records: Vec<(usize, AssetRecord)>, origins: &[Origin<'_>], now: Timestamp) -> Facts {
    if let [(_, only)] = records.as_mut_slice() {
        return std::mem::take(&mut only.facts);
    }
    let mut belief = Belief { records, origins, now };
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
        kubernetes: belief.join("kubernetes", |f| f.kubernetes.take(), add_node),
        gpu: belief.join("gpu", |f| f.gpu.take(), add_gpu),
        updaters: belief.take("updaters", |f| f.updaters.take()),
        entitlements: belief.take("entitlements", |f| f.entitlements.take()),
        updates: belief.take("updates", |f| f.updates.take()),
        content: belief.take("content", |f| f.content.take()),
    }
}

struct Belief<'o, 'a> {
    records: Vec<(usize, AssetRecord)>,
    origins: &'o [Origin<'a>],
    now: Timestamp,
}

/// Takes over what `node` does not say of a node that was said elsewhere. What only the cluster says (its boot, whether it is
/// ready and takes pods) is of one moment and stays together.
fn add_node(node: &mut Kubernetes, older: Kubernetes) {
    if node.boot_id.is_none() && node.unschedulable.is_none() && node.ready.is_none() {
        (node.boot_id, node.unschedulable, node.ready) = (older.boot_id, older.unschedulable, older.ready);
    }
    let texts = [
        (&mut node.kubelet, older.kubelet),
        (&mut node.runtime, older.runtime),
        (&mut node.role, older.role),
        (&mut node.cluster, older.cluster),
    ];
    texts.into_iter().for_each(|(mine, theirs)| fill(mine, theirs));
}

/// Takes over what `gpu` does not say of GPUs that was said elsewhere. CUDA is part of the loaded driver: that of another
/// driver is not taken over.
fn add_gpu(gpu: &mut Gpu, older: Gpu) {
    if gpu.loaded.is_none() || older.loaded.is_none() || gpu.loaded == older.loaded {
        fill(&mut gpu.cuda, older.cuda);
    }
    fill(&mut gpu.loaded, older.loaded);
    fill(&mut gpu.driver, older.driver);
    fill(&mut gpu.secure_boot, older.secure_boot);
    fill(&mut gpu.fabric_manager, older.fabric_manager);
    fill(&mut gpu.mig, older.mig);
    if gpu.devices.is_empty() {
        gpu.devices = older.devices;
    }
    if gpu.kmods.is_empty() {
        gpu.kmods = older.kmods;
    }
}

fn fill<T>(mine: &mut Option<T>, theirs: Option<T>) {
    if mine.is_none() {
        *mine = theirs;
    }
}

impl Belief<'_, '_> {
    /// The first that is known, in the order in which the records are believed for the group.
    fn take<T>(&mut self, group: &str, take: impl Fn(&mut Facts) -> Option<T>) -> Option<T> {
        let order = order(&self.records, self.origins, group);
        order
            .into_iter()
            .find_map(|at| take(&mut self.records.get_mut(at)?.1.facts))
    }

    /// A group of members that sources know in parts: the first that knows the group, and of the later ones what it does not
    /// say, unless they are stale.
    fn join<T: Clone>(
        &mut self,
        group: &str,
        take: impl Fn(&mut Facts) -> Option<Arc<T>>,
        add: impl Fn(&mut T, T),
    ) -> Option<Arc<T>> {
        let mut joined: Option<T> = None;
        for at in order(&self.records, self.origins, group) {
            let Some((origin, record)) = self.records.get_mut(at) else {
                continue;
            };
            let Some(told) = take(&mut record.facts).map(Arc::unwrap_or_clone) else {
                continue;
            };
            let origin = self.origins.get(*origin);
            let is_stale = origin.is_some_and(|o| is_stale(record.observed_at, o.stale_after(), self.now));
            match &mut joined {
                None => joined = Some(told),
                Some(joined) if !is_stale => add(joined, told),
                Some(_) => {}
            }
        }
        joined.map(Arc::new)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Facts of sources that nobody describes, each with its time.
    fn believed(said: Vec<(&str, Facts)>) -> Facts {
        let origins: Vec<Origin<'_>> = ["a", "b", "c"]
            .map(|name| Origin {
                name: name.into(),
                spec: None,
                stale: false,
            })
            .into();
        let record = |(origin, (time, facts)): (usize, (&str, Facts))| {
            let provenance = Provenance {
                source: "s".into(),
                file: "f".into(),
                record: 1,
            };
            let record = AssetRecord {
                name: "n".into(),
                observed_at: at(time),
                provenance,
                facts,
            };
            (origin, record)
        };
        let records = said.into_iter().enumerate().map(record).collect();
        believe(records, &origins, at("2026-11-20T12:00:00Z")).facts
    }

    fn gpu(gpu: Gpu) -> Facts {
        Facts {
            gpu: Some(Arc::new(gpu)),
            ..Facts::default()
        }
    }

    fn node(node: Kubernetes) -> Facts {
        Facts {
            kubernetes: Some(Arc::new(node)),
            ..Facts::default()
        }
    }

    fn smi() -> Gpu {
        Gpu {
            loaded: Some("550.54.15".into()),
            cuda: Some("12.4".into()),
            devices: vec!["H100".into()],
            mig: Some(true),
            ..Gpu::default()
        }
    }

    #[test]
    fn a_newer_record_that_knows_less_of_a_gpu_hides_nothing() {
        let installed = Gpu {
            driver: Some("550.90.07".into()),
            ..Gpu::default()
        };
        let facts = believed(vec![
            ("2026-11-20T10:00:00Z", gpu(smi())),
            ("2026-11-20T11:00:00Z", gpu(installed.clone())),
        ]);
        let whole = Gpu {
            driver: installed.driver.clone(),
            ..smi()
        };
        assert_eq!(facts.gpu.as_deref(), Some(&whole));
        // What is stale adds nothing; it still stands where nothing else is known.
        let facts = believed(vec![
            ("2026-11-18T10:00:00Z", gpu(smi())),
            ("2026-11-20T11:00:00Z", gpu(installed.clone())),
        ]);
        assert_eq!(facts.gpu.as_deref(), Some(&installed));
        let facts = believed(vec![
            ("2026-11-18T10:00:00Z", gpu(smi())),
            ("2026-11-20T11:00:00Z", Facts::default()),
        ]);
        assert_eq!(facts.gpu.as_deref(), Some(&smi()));
    }

    #[test]
    fn the_cuda_of_another_driver_is_not_that_of_the_loaded_one() {
        let newer = Gpu {
            loaded: Some("560.28.03".into()),
            ..Gpu::default()
        };
        let facts = believed(vec![
            ("2026-11-20T10:00:00Z", gpu(smi())),
            ("2026-11-20T11:00:00Z", gpu(newer)),
        ]);
        let merged = facts.gpu.unwrap();
        assert_eq!(
            (merged.loaded.as_deref(), merged.cuda.as_deref()),
            (Some("560.28.03"), None)
        );
        assert_eq!(merged.mig, Some(true));
    }

    #[test]
    fn what_a_cluster_says_of_a_node_at_one_moment_stays_together() {
        let cluster = |ready| Kubernetes {
            role: Some("worker".into()),
            boot_id: Some("b1".into()),
            unschedulable: Some(false),
            ready,
            ..Kubernetes::default()
        };
        let kubelet = Kubernetes {
            kubelet: Some("v1.31.2".into()),
            ..Kubernetes::default()
        };
        let facts = believed(vec![
            ("2026-11-20T11:30:00Z", node(kubelet.clone())),
            // The cluster does not know whether it is ready; that it was once says nothing.
            ("2026-11-20T11:00:00Z", node(cluster(None))),
            ("2026-11-20T10:00:00Z", node(cluster(Some(true)))),
        ]);
        let whole = Kubernetes {
            kubelet: kubelet.kubelet,
            ..cluster(None)
        };
        assert_eq!(facts.kubernetes.as_deref(), Some(&whole));
    }
}
