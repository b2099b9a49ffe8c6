#![expect(clippy::disallowed_methods, reason = "a test damages the files of a store")]

use std::rc::Rc;

use patchwave_adapters::forge::{FakeForge, GuardedForge};
use patchwave_core::propose::ForgeOp;

use super::*;

/// Bytes, and how often they were written.
type Versioned = (Vec<u8>, u64);

/// A shared store whose answers can be lost.
#[derive(Clone, Default)]
struct Shared {
    content: Rc<RefCell<Option<Versioned>>>,
    /// Answers to lose: the write happens, the caller hears of an error.
    lose: Rc<Cell<u32>>,
    /// The store cannot be written at all.
    down: Rc<Cell<bool>>,
}

impl LeaseStore for Shared {
    fn read(&self) -> Result<Option<(Vec<u8>, String)>, String> {
        let content = self.content.borrow().clone();
        Ok(content.map(|(bytes, version)| (bytes, version.to_string())))
    }

    fn put(&self, bytes: &[u8], expected: Option<&str>) -> Result<Swapped, String> {
        if self.down.get() {
            return Err("connection refused".to_owned());
        }
        let there = self.content.borrow().as_ref().map(|(_, version)| *version);
        if there.map(|version| version.to_string()).as_deref() != expected {
            return Ok(Swapped::Conflict);
        }
        let version = there.unwrap_or(0) + 1;
        self.content.replace(Some((bytes.to_vec(), version)));
        if self.lose.get() > 0 {
            self.lose.set(self.lose.get() - 1);
            return Err("timed out".to_owned());
        }
        Ok(Swapped::Done(version.to_string()))
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A runner with a clock of its own.
#[derive(Clone)]
struct Runner {
    name: &'static str,
    clock: Rc<Cell<i64>>,
}

impl Runner {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            clock: Rc::new(Cell::new(0)),
        }
    }

    fn take(&self, store: &Shared) -> Result<Lease, NotTaken> {
        let clock = Rc::clone(&self.clock);
        Lease::take_shared(Box::new(store.clone()), self.name, Box::new(move || at(clock.get())))
    }
}

fn ledger(text: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("memory.ndjson".to_owned(), text.as_bytes().to_vec())])
}

fn forge() -> FakeForge {
    let forge = FakeForge::new("rollouts");
    forge.take_in(at(0)).unwrap();
    forge
}

#[test]
fn one_runner_at_a_time_and_the_numbers_rise() {
    let (store, a, b) = (Shared::default(), Runner::new("a"), Runner::new("b"));
    let first = a.take(&store).unwrap();
    assert_eq!(first.token(), 1);
    b.clock.set(60);
    let Err(NotTaken::Held(refused)) = b.take(&store) else {
        panic!("two hold it");
    };
    let words = format!("a holds the lease since {} and until {}", at(0), at(LEASE_SECONDS));
    assert!(refused.what.contains(&words), "{refused}");
    first.give_back();
    let second = b.take(&store).unwrap();
    assert_eq!((second.token(), second.takeover.get()), (2, false));
}

#[test]
fn a_record_that_ran_out_is_taken_over_only_after_the_allowance_for_clocks() {
    let (store, a, b) = (Shared::default(), Runner::new("a"), Runner::new("b"));
    let _crashed = a.take(&store).unwrap();
    b.clock.set(LEASE_SECONDS + SKEW_SECONDS - 1);
    assert!(b.take(&store).is_err());
    b.clock.set(LEASE_SECONDS + SKEW_SECONDS);
    let lease = b.take(&store).unwrap();
    assert_eq!((lease.token(), lease.takeover.get()), (2, true));
}

#[test]
fn a_pause_longer_than_the_lease_writes_nothing_to_the_ledger() {
    let (store, a, b) = (Shared::default(), Runner::new("a"), Runner::new("b"));
    let forge = forge();
    let paused = a.take(&store).unwrap();
    paused.begin(&forge, at(0)).unwrap();
    let decided_on = forge.view().unwrap().ledger_head;
    // `a` is stopped right here: it has asked its guard, and will write without asking again.
    let asked = paused.may_act().unwrap();
    b.clock.set(LEASE_SECONDS + SKEW_SECONDS);
    let taken = b.take(&store).unwrap();
    taken.begin(&forge, at(1000)).unwrap();
    let guard = || Ok(asked);
    let late = GuardedForge::new(&forge, &guard);
    let appended = late.append_ledger(decided_on.as_deref(), &ledger("late\n"), "late\n", at(1000));
    assert!(matches!(appended, Ok(Appended::Conflict { .. })), "{appended:?}");
    // Looking again does not help it either.
    let head = forge.view().unwrap().ledger_head;
    assert!(
        late.append_ledger(head.as_deref(), &ledger("late\n"), "late\n", at(1000))
            .is_err()
    );
    assert_eq!(forge.view().unwrap().ledger, BTreeMap::new());
    // And once it does ask, it hears that the lease is gone, whatever its clock says: the register decides.
    a.clock.set(LEASE_SECONDS);
    let error = paused.may_act().unwrap_err();
    assert!(error.what.contains("another runner has taken the lease"), "{error}");
    let guard = || paused.may_act();
    let late = GuardedForge::new(&forge, &guard);
    assert!(
        late.apply(&ForgeOp::PutDashboard { body: "x".into() }, at(1000))
            .is_err()
    );
    assert_eq!(forge.view().unwrap().dashboard, None);
}

#[test]
fn a_clock_that_is_wrong_costs_a_refused_run_and_no_record() {
    let (store, a, b) = (Shared::default(), Runner::new("a"), Runner::new("b"));
    let forge = forge();
    let slow = a.take(&store).unwrap();
    slow.begin(&forge, at(0)).unwrap();
    // The clock of `b` is a day ahead: it takes a lease that is alive.
    b.clock.set(86_400);
    let fast = b.take(&store).unwrap();
    fast.begin(&forge, at(1)).unwrap();
    // `a` believes in its lease, for by its clock it is fresh; the ledger refuses it all the same.
    let guard = || slow.may_act();
    let believing = GuardedForge::new(&forge, &guard);
    assert_eq!(slow.may_act().unwrap(), 1);
    let head = forge.view().unwrap().ledger_head;
    assert!(
        believing
            .append_ledger(head.as_deref(), &ledger("a\n"), "a\n", at(1))
            .is_err()
    );
    let guard = || fast.may_act();
    let head = forge.view().unwrap().ledger_head;
    GuardedForge::new(&forge, &guard)
        .append_ledger(head.as_deref(), &ledger("b\n"), "b\n", at(1))
        .unwrap();
    assert_eq!(forge.view().unwrap().ledger, ledger("b\n"));
}

#[test]
fn a_lost_answer_is_read_again() {
    let (store, a) = (Shared::default(), Runner::new("a"));
    store.lose.set(1);
    let lease = a.take(&store).unwrap();
    assert_eq!(lease.token(), 1);
    // The renewal's answer is lost too, and the lease is still ours.
    a.clock.set(LEASE_SECONDS);
    store.lose.set(1);
    assert_eq!(lease.may_act().unwrap(), 1);
    // Ours, but the store is gone: not certain, so nothing is done.
    a.clock.set(2 * LEASE_SECONDS);
    store.down.set(true);
    assert!(lease.may_act().unwrap_err().what.contains("could not be renewed"));
}

#[test]
fn a_lease_that_ran_out_and_that_nobody_took_is_renewed() {
    let (store, a, b) = (Shared::default(), Runner::new("a"), Runner::new("b"));
    let lease = a.take(&store).unwrap();
    a.clock.set(10 * LEASE_SECONDS);
    assert_eq!(lease.may_act().unwrap(), 1);
    b.clock.set(10 * LEASE_SECONDS + 1);
    assert!(b.take(&store).is_err());
}

#[test]
fn a_deleted_store_starts_above_the_ledger() {
    let forge = forge();
    let (a, b) = (Runner::new("a"), Runner::new("b"));
    let guard = || Ok(7);
    GuardedForge::new(&forge, &guard)
        .append_ledger(None, &ledger("x\n"), "x\n", at(0))
        .unwrap();
    let store = Shared::default();
    let lease = a.take(&store).unwrap();
    assert_eq!(lease.token(), 1);
    lease.begin(&forge, at(0)).unwrap();
    assert_eq!(lease.token(), 8);
    lease.give_back();
    assert_eq!(b.take(&store).unwrap().token(), 9);
}

#[test]
fn a_takeover_that_the_ledger_never_heard_of_is_left_to_the_next() {
    let (store, a, b, c) = (Shared::default(), Runner::new("a"), Runner::new("b"), Runner::new("c"));
    let _crashed = a.take(&store).unwrap();
    b.clock.set(LEASE_SECONDS + SKEW_SECONDS);
    b.take(&store).unwrap().give_back();
    c.clock.set(2 * (LEASE_SECONDS + SKEW_SECONDS));
    let lease = c.take(&store).unwrap();
    assert_eq!((lease.token(), lease.takeover.get()), (3, true));
}

#[test]
fn a_lease_that_was_kept_is_lost_when_the_ledger_says_so() {
    let forge = forge();
    let store = Shared::default();
    let kept = Runner::new("a").take(&store).unwrap();
    kept.begin(&forge, at(0)).unwrap();
    kept.go_on(&forge).unwrap();
    // Somebody deleted the store, and another runner began and wrote.
    let other = Runner::new("b").take(&Shared::default()).unwrap();
    for (fence, head) in [
        (kept.token(), None),
        (other.token() + 1, forge.view().unwrap().ledger_head),
    ] {
        let guard = || Ok(fence);
        let head = head.or_else(|| forge.view().unwrap().ledger_head);
        GuardedForge::new(&forge, &guard)
            .append_ledger(
                head.as_deref(),
                &ledger(&"x\n".repeat(usize::try_from(fence).unwrap())),
                "x\n",
                at(1),
            )
            .unwrap();
    }
    assert!(
        kept.go_on(&forge)
            .unwrap_err()
            .what
            .contains("another runner has taken")
    );
}

fn now() -> Timestamp {
    at(0)
}

#[test]
fn on_one_machine_the_lease_ends_with_its_holder_and_never_by_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let held = Lease::take_here(folder.path(), "a", now).unwrap();
    assert_eq!(held.token(), 1);
    let Err(NotTaken::Held(refused)) = Lease::take_here(folder.path(), "b", now) else {
        panic!("two hold it");
    };
    assert!(
        refused.what.ends_with(&format!("a holds the lease since {}", at(0))),
        "{refused}"
    );
    drop(held);
    let next = Lease::take_here(folder.path(), "b", now).unwrap();
    assert_eq!((next.token(), next.takeover.get()), (2, false));
    // A lock whose file is deleted keeps nobody away.
    assert!(next.may_act().is_ok());
    std::fs::remove_dir_all(folder.path()).unwrap();
    let other = Lease::take_here(folder.path(), "c", now).unwrap();
    assert!(next.may_act().is_err() && other.may_act().is_ok());
    drop((next, other));
    // Half a record is none.
    std::fs::write(folder.path().join("lease.json"), "{\"format").unwrap();
    assert_eq!(Lease::take_here(folder.path(), "c", now).unwrap().token(), 1);
}
