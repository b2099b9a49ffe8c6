//! What people record while somebody else appends to the ledger.

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_adapters::forge::{Appended, Applied, FakeForge, Forge, ForgeError, TakenIn};
use patchwave_core::history::Event;
use patchwave_core::propose::{ForgeOp, ForgeView};
use patchwave_runner::people;
use patchwave_runner::reconcile::record;

use crate::play::{Estate, ROLLOUTS, at};

/// A forge on which somebody is faster a few times.
struct Raced<'a> {
    forge: &'a FakeForge,
    faster: Cell<usize>,
}

impl Forge for Raced<'_> {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.forge.take_in(now)
    }
    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.forge.view()
    }
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.forge.apply(op, now)
    }
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        if let Some(left) = self.faster.get().checked_sub(1) {
            self.faster.set(left);
            let event = Event::Halt {
                reason: "somebody else".into(),
            };
            let other = [("another-rollout.ndjson".to_owned(), event)];
            record(self.forge, &self.forge.view()?, &other, "person-9", now).unwrap();
        }
        self.forge.append_ledger(expected_head, files, message, now)
    }
    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.forge.fence()
    }
    fn writes(&self) -> u64 {
        self.forge.writes()
    }
}

/// The estate with a released batch, and its rollout.
fn released() -> (Estate, String) {
    let estate = Estate::new();
    estate.reconcile(at("2026-11-20T12:00:00Z")).unwrap();
    estate.merge_all(1, at("2026-11-20T12:05:00Z")).unwrap();
    estate.reconcile(at("2026-11-20T12:10:00Z")).unwrap();
    let plan = estate.plan().unwrap();
    let name = plan["rollout"]["name"].as_str().or(plan["name"].as_str()).unwrap();
    let name = name.to_owned();
    (estate, name)
}

fn events(estate: &Estate, rollout: &str, event: &str) -> usize {
    let ledger = &estate.view().ledger[&format!("{rollout}.ndjson")];
    let named = format!("\"event\":\"{event}\"");
    String::from_utf8_lossy(ledger).matches(&named).count()
}

#[test]
fn a_halt_and_a_waiver_outlast_others_who_append() {
    let (estate, rollout) = released();
    let now = at("2026-11-20T12:20:00Z");
    let raced = |faster| Raced {
        forge: &estate.forge,
        faster: Cell::new(faster),
    };
    people::halt(&raced(4), ROLLOUTS, &rollout, "a test", "person-7", now).unwrap();
    assert_eq!(events(&estate, &rollout, "halt"), 1, "once, however often it was tried");
    let why = ("it is replaced next week", at("2026-11-27T12:00:00Z"), "person-8");
    people::waive(&raced(4), ROLLOUTS, (&rollout, "test", "t1"), why, now).unwrap();
    assert_eq!(events(&estate, &rollout, "waived"), 1);
    // Against somebody who never ends it gives up in words.
    let error = people::halt(&raced(usize::MAX), ROLLOUTS, &rollout, "a test", "person-7", now).unwrap_err();
    assert!(error.what.contains("the ledger was moved"), "{error:?}");
    assert_eq!(events(&estate, &rollout, "halt"), 1);
}
