//! How planning grows with the estate: `cargo bench -p patchwave-core --bench plan`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up should fail"
)]

#[path = "../tests/plan/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its part of what the tests share")]
mod support;

mod estate;

use divan::Bencher;
use estate::world;
use patchwave_core::plan::{lint, plan};
use support::at;
use support::estate::NOW;

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5, sample_size = 1)]
fn planning(bencher: Bencher<'_, '_>, assets: usize) {
    let world = world(assets, false);
    bencher.bench(|| {
        plan(
            &world.catalog,
            &world.observation,
            &world.assessment,
            &world.history,
            at(NOW),
        )
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5, sample_size = 1)]
fn checking(bencher: Bencher<'_, '_>, assets: usize) {
    let world = world(assets, false);
    let plan = plan(
        &world.catalog,
        &world.observation,
        &world.assessment,
        &world.history,
        at(NOW),
    );
    bencher.bench(|| {
        lint(
            &plan,
            &world.catalog,
            &world.observation,
            &world.assessment,
            &world.history,
        )
    });
}
