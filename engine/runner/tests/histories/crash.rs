//! A crash between any two effects is repaired by the next run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use patchwave_adapters::forge::{Appended, Applied, FakeForge, Forge, ForgeError, TakenIn};
use patchwave_core::propose::{ForgeOp, ForgeView};
use rayon::prelude::*;

use crate::play::{Estate, at, audited};

/// A forge whose process ends just before its effect number `last`.
struct Crashing<'a> {
    forge: &'a FakeForge,
    effects: &'a AtomicU64,
    last: u64,
}

impl Crashing<'_> {
    fn effect(&self) -> Result<(), ForgeError> {
        if self.effects.fetch_add(1, Ordering::Relaxed) + 1 == self.last {
            return Err(ForgeError::terminal("the process ended", "start it again"));
        }
        Ok(())
    }
}

impl Forge for Crashing<'_> {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.forge.take_in(now)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.forge.view()
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.effect()?;
        self.forge.apply(op, now)
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.effect()?;
        self.forge.append_ledger(expected_head, files, message, now)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.forge.fence()
    }

    fn writes(&self) -> u64 {
        self.forge.writes()
    }
}

/// Plays from the first cut to the first machines of the second wave; the run that meets effect `last` ends there and
/// is started again. Returns what the forge shows at the end, and how many effects there were.
pub fn play(last: u64) -> (ForgeView, u64) {
    let estate = Estate::new();
    let effects = AtomicU64::new(0);
    let run = |now: &str| {
        let forge = Crashing {
            forge: &estate.forge,
            effects: &effects,
            last,
        };
        if estate.reconcile_on(&forge, at(now)).is_err() {
            estate.reconcile_on(&forge, at(now)).unwrap();
        }
    };
    let patched = |assets: &[&str], when: &str| {
        let world = estate.world();
        world.patch(&estate.plan().unwrap(), assets);
        world.observe(when);
    };
    run("2026-11-20T12:00:00Z");
    estate.merge_all(1, at("2026-11-20T12:05:00Z")).unwrap();
    run("2026-11-20T12:10:00Z");
    patched(&["t1", "t2"], "2026-11-20T13:00:00Z");
    run("2026-11-20T13:05:00Z");
    estate.world().observe("2026-11-21T01:00:00Z");
    run("2026-11-21T01:05:00Z");
    estate.merge_all(1, at("2026-11-21T01:06:00Z")).unwrap();
    run("2026-11-21T01:10:00Z");
    patched(&["s1"], "2026-11-21T01:30:00Z");
    run("2026-11-21T01:35:00Z");
    (estate.view(), effects.into_inner())
}

#[test]
fn a_crash_before_any_effect_changes_nothing_in_the_end() {
    let (undisturbed, effects) = play(0);
    assert!(
        effects > 15,
        "the play has too few effects to prove anything: {effects}"
    );
    assert_eq!(audited(&undisturbed).faults, []);
    (1..=effects).into_par_iter().for_each(|last| {
        let (found, _) = play(last);
        assert_eq!(
            found.ledger, undisturbed.ledger,
            "the ledger after a crash before effect {last}"
        );
        assert_eq!(found, undisturbed, "the forge after a crash before effect {last}");
    });
}
