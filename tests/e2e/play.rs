//! The stations that scenarios start from. Every one is reached by playing, never by writing state; it is played once and
//! then copied.

use std::sync::OnceLock;

use crate::support::{Sandbox, Saved};

/// The rollout of the small estate.
pub const ROLLOUT: &str = "linux-2026-11-20";

/// Friday noon: the pull request of the first wave is open.
pub fn proposed() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| proposed_anew().save()).restore()
}

fn proposed_anew() -> Sandbox {
    let mut estate = Sandbox::estate();
    estate
        .at("2026-11-20T12:00:00Z")
        .reconcile()
        .did("opened or updated pull request #1");
    estate
}

/// A little later: it is merged, and its batch is released.
pub fn test_released() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| test_released_anew().save()).restore()
}

/// The same, played from the beginning.
pub fn test_released_anew() -> Sandbox {
    let mut estate = proposed_anew();
    estate.merge("test");
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave test batch 01");
    estate
}

/// Both test machines are patched and soak.
pub fn test_soaking() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| test_soaking_anew().save()).restore()
}

fn test_soaking_anew() -> Sandbox {
    let mut estate = test_released();
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    estate.at("2026-11-20T13:05:00Z").reconcile().did("wave test verified");
    estate
}

/// Saturday, just after the soak: the pull request of the staging wave is open.
pub fn staging_proposed() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| staging_proposed_anew().save()).restore()
}

fn staging_proposed_anew() -> Sandbox {
    let mut estate = test_soaking();
    estate.world().observe("2026-11-21T01:00:00Z");
    estate
        .at("2026-11-21T01:05:00Z")
        .reconcile()
        .did("wave test promoted")
        .did("wave staging proposed");
    estate
}

/// The first of the two staging machines may be patched.
pub fn staging_released() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| staging_released_anew().save()).restore()
}

fn staging_released_anew() -> Sandbox {
    let mut estate = staging_proposed();
    estate.merge("staging");
    estate
        .at("2026-11-21T01:10:00Z")
        .reconcile()
        .did("released wave staging batch 01");
    estate
}

/// Sunday night, just after the staging soak: the pull request of the last wave is open.
pub fn critical_proposed() -> Sandbox {
    static SAVED: OnceLock<Saved> = OnceLock::new();
    SAVED.get_or_init(|| critical_proposed_anew().save()).restore()
}

fn critical_proposed_anew() -> Sandbox {
    let mut estate = staging_released();
    patched(&estate, &["s1"], "2026-11-21T01:30:00Z");
    estate
        .at("2026-11-21T01:35:00Z")
        .reconcile()
        .did("released wave staging batch 02");
    patched(&estate, &["s2"], "2026-11-21T02:00:00Z");
    estate
        .at("2026-11-21T02:05:00Z")
        .reconcile()
        .did("wave staging verified");
    estate.world().observe("2026-11-22T02:00:00Z");
    estate
        .at("2026-11-22T02:05:00Z")
        .reconcile()
        .did("wave staging promoted")
        .did("wave critical proposed");
    estate
}

/// These machines get their targets, and everything is observed again.
pub fn patched(estate: &Sandbox, assets: &[&str], at: &str) {
    let world = estate.world();
    world.patch(&estate.frozen(&estate.rollout()), assets);
    world.observe(at);
}
