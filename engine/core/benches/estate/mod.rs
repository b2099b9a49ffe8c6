//! An estate of any size, drawn from a fixed seed: services of twenty, three environments, a few dozen distinct package sets, as
//! real fleets have them.

use patchwave_core::history::History;
use patchwave_core::load::wire::Service;
use patchwave_core::name::Severity;

use crate::support::estate::{ESTATE, NOW};
use crate::support::{World, advisory, at, catalog, machine, observation};

/// A multiplicative congruential sequence (Lehmer, 1951, with Park and Miller's numbers): enough to spread things.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let next = |n: &u64| Some(n * 48_271 % 2_147_483_647);
    std::iter::successors(Some(seed), next).map(|n| n as usize)
}

/// The estate; its services have members of which one leads where `led` says so.
pub fn world(assets: usize, led: bool) -> World {
    let now = at(NOW);
    let mut catalog = catalog(ESTATE, now);
    let services = assets.div_ceil(20).max(1);
    let fleet = catalog.fleets.get_mut("f").unwrap();
    fleet.spec.services = (0..services)
        .map(|n| {
            let needs: Vec<String> = if n % 3 == 2 {
                vec![format!("s{}", n - 1)]
            } else {
                vec![]
            };
            let json = serde_json::json!({
                "name": format!("s{n}"), "members": {"matchLabels": {"service": format!("s{n}")}},
                "maxUnavailable": "25%", "dependsOn": needs, "ha": led.then(|| serde_json::json!({"type": "postgres-patroni"}))
            });
            serde_json::from_value::<Service>(json).unwrap()
        })
        .collect();
    let mut draw = numbers(7);
    let mut next = |n: usize| draw.next().unwrap_or_default() % n;
    let machines: Vec<_> = (0..assets)
        .map(|n| {
            let env = ["test", "staging", "prod", "prod", "prod", "prod", "prod", "prod"][next(8)];
            let service = format!("s{}", next(services));
            let mut machine = machine(&format!("m{n:07}"), &[("env", env), ("service", &service)]);
            let shape = next(40);
            machine.packages = (0..60)
                .map(|p| (format!("p{p}"), format!("{}-1", 1 + (p * shape) % 3), format!("p{p}")))
                .collect();
            machine
        })
        .collect();
    let advisories: Vec<_> = (0..30)
        .map(|n| {
            advisory(
                &format!("A-{n:02}"),
                Severity::High,
                "2026-11-18T00:00:00Z",
                &[(&format!("p{}", n * 2), "3-1")],
            )
        })
        .collect();
    World::new(
        catalog,
        observation("f", &[], &machines, &advisories, now),
        History::default(),
        now,
    )
}
