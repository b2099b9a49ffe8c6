//! How rendering grows with the estate: `cargo bench -p patchwave-core --bench render`.
//!
//! `writing` is the floor: the same files copied and digested once, which whoever writes them down cannot do without.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up should fail"
)]

#[path = "../tests/plan/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its part of what the tests share")]
mod support;

mod estate;

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::Bencher;
use estate::world;
use patchwave_core::plan::{Rollout, plan};
use patchwave_core::render::{Bundle, Packs, RenderInput, render, sums};
use support::estate::NOW;
use support::{World, at};

fn main() {
    divan::main();
}

fn rollout(world: &World) -> Rollout {
    let plan = plan(
        &world.catalog,
        &world.observation,
        &world.assessment,
        &world.history,
        at(NOW),
    );
    plan.rollouts.into_iter().next().unwrap()
}

/// Every wave of the rollout.
fn rendered(world: &World, rollout: &Rollout, packs: &Packs) -> Bundle {
    let waves: Vec<Arc<str>> = rollout.waves.iter().map(|wave| Arc::clone(&wave.name)).collect();
    let input = RenderInput {
        rollout,
        waves: &waves,
        catalog: &world.catalog,
        observation: &world.observation,
        packs,
        openings: &BTreeMap::new(),
        frozen: None,
        carried: &BTreeMap::new(),
    };
    render(&input).unwrap()
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn rendering(bencher: Bencher<'_, '_>, assets: usize) {
    let world = world(assets, true);
    let (rollout, packs) = (rollout(&world), Packs::read(&BTreeMap::new()).unwrap());
    bencher.bench(|| rendered(&world, &rollout, &packs));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn writing(bencher: Bencher<'_, '_>, assets: usize) {
    let world = world(assets, true);
    let (rollout, packs) = (rollout(&world), Packs::read(&BTreeMap::new()).unwrap());
    let files = rendered(&world, &rollout, &packs).files;
    bencher.bench(|| {
        let copied: BTreeMap<String, Vec<u8>> = files
            .iter()
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect();
        (sums(copied.iter()), copied)
    });
}
