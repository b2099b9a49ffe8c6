//! The lease: at most one runner acts at a time.
//!
//! [`claim`] and [`standing`] are pure: the record that was found and the instant go in, what to do comes out. [`Lease`]
//! does it on a [`LeaseStore`].
//!
//! Why two runners never both write:
//!
//! - The record changes by compare-and-swap, so of two takers one wins, and each taker's fencing number is higher than
//!   every one before.
//! - On one machine a lock of the operating system goes with it. It needs no clock: it ends with the process and holds
//!   for as long as the process lives, paused or not.
//! - In a shared store a record runs out. Clocks decide only *when* another runner tries, never who may write: the taker
//!   of a record that was not given back first puts its number on the ledger ([`Lease::begin`]). From then on whatever
//!   the old holder decided before is refused by the ledger's head, and whatever it decides later by the number. A clock
//!   that is wrong by an hour costs a run that is refused and repeated, no record.
//! - A write whose answer was lost is read again: the record names its holder, so the holder knows it as its own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use patchwave_adapters::forge::{Appended, Forge, ForgeError};
use patchwave_adapters::lease::{FolderLease, FolderLock, LEASE_LOCK, LeaseStore, Swapped};
use serde::{Deserialize, Serialize};

use crate::RunError;
use crate::forge::state_folder;
use crate::repository::Repository;

/// How long a record in a shared store holds after its last renewal. A holder renews before an effect once a third has
/// passed; an assessment of a million assets, during which nothing is renewed, takes a tenth of it.
pub const LEASE_SECONDS: i64 = 600;

/// How much later a taker waits after a record ran out, for clocks that differ. Machines with a time service differ by
/// milliseconds, those without by minutes; more only leads to a refused run (see above).
pub const SKEW_SECONDS: i64 = 120;

/// What the register holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRecord {
    /// Version of this format.
    pub format_version: String,
    /// Who: machine, process and the instant it started, so that no two processes have the same.
    pub holder: String,
    /// Fencing number: 1 more at each taking.
    pub token: u64,
    /// When the holder took it, by its clock. Renewing does not move it.
    pub taken_at: Timestamp,
    /// When it was last taken or renewed, by the holder's clock.
    pub renewed_at: Timestamp,
    /// When it runs out, by the holder's clock; absent = never, because the operating system gives it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the holder gave it back.
    #[serde(default)]
    pub released: bool,
}

/// What a runner may do about a record it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Write this record.
    Take {
        /// What to write.
        record: LeaseRecord,
        /// The holder before did not give it back: it may still believe to be the holder.
        takeover: bool,
    },
    /// It is somebody else's.
    Held {
        /// Whose.
        holder: String,
        /// Since when, by the holder's clock.
        since: Timestamp,
        /// Until when, by the holder's clock.
        until: Option<Timestamp>,
    },
}

/// What `me` may do at `now` about the record `found`. `lasts` = how long a taken record holds; none = until the
/// process ends, which only who holds the lock of the operating system may ask for: nobody else lives then.
#[must_use]
pub fn claim(found: Option<&LeaseRecord>, me: &str, lasts: Option<SignedDuration>, now: Timestamp) -> Claim {
    let next = |record: &LeaseRecord| record.token.saturating_add(1);
    let (token, taken_at, takeover) = match found {
        None => (1, now, false),
        Some(record) if record.holder == me && !record.released => (record.token, record.taken_at, false),
        Some(record) if record.released || lasts.is_none() => (next(record), now, false),
        Some(record) => match record.expires_at.map(|end| after(end, SKEW_SECONDS)) {
            Some(end) if now >= end => (next(record), now, true),
            _ => {
                return Claim::Held {
                    holder: record.holder.clone(),
                    since: record.taken_at,
                    until: record.expires_at,
                };
            }
        },
    };
    let record = LeaseRecord {
        format_version: "1.0".to_owned(),
        holder: me.to_owned(),
        token,
        taken_at,
        renewed_at: now,
        expires_at: lasts.map(|lasts| now.saturating_add(lasts).unwrap_or(Timestamp::MAX)),
        released: false,
    };
    Claim::Take { record, takeover }
}

fn after(instant: Timestamp, seconds: i64) -> Timestamp {
    instant
        .saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// How a held record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Fresh enough to act.
    Firm,
    /// To be renewed before the next effect. That it ran out is no loss by itself: if nobody took it, it is renewed.
    Renew,
}

/// How the holder's own record stands at `now`. A clock that went back says nothing, so it asks for a renewal too.
#[must_use]
pub fn standing(mine: &LeaseRecord, now: Timestamp) -> Standing {
    let Some(expires) = mine.expires_at else {
        return Standing::Firm;
    };
    let third = expires.duration_since(mine.renewed_at) / 3;
    let age = now.duration_since(mine.renewed_at);
    if age.is_negative() || age >= third {
        Standing::Renew
    } else {
        Standing::Firm
    }
}

/// The clock of this machine. A lease is about processes, so it never follows an instant given for deciding.
pub type Clock = fn() -> Timestamp;

/// Why a lease was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// Another runner holds it; the error says who, and since when. That is as it should be: this one stands by.
    Held(RunError),
    /// The store cannot be read or written.
    Failed(RunError),
}

impl From<NotTaken> for RunError {
    fn from(why: NotTaken) -> Self {
        let (NotTaken::Held(error) | NotTaken::Failed(error)) = why;
        error
    }
}

/// A lease that this process holds.
pub struct Lease {
    store: Box<dyn LeaseStore>,
    /// The folder of the store and its lock, which is held for the sake of being held.
    lock: Option<(PathBuf, FolderLock)>,
    clock: Box<dyn Fn() -> Timestamp>,
    held: RefCell<(LeaseRecord, String)>,
    /// The holder before did not give it back, and the ledger does not know of this one yet.
    takeover: Cell<bool>,
}

impl Lease {
    /// Takes the lease of a repository, kept where its Project keeps state.
    ///
    /// # Errors
    /// [`NotTaken`] if somebody else holds it, or the state store cannot be read or written.
    pub fn take(repository: &Repository, me: &str, clock: Clock) -> Result<Self, NotTaken> {
        match state_folder(&repository.root, &repository.catalog) {
            Some(folder) => Self::take_here(&folder, me, clock),
            None => Err(NotTaken::Failed(RunError::new(
                "the lease cannot be kept in `state.url`: object stores are not built yet, and without a lease two \
                 runners could act at once",
                "write `state: {path: .patchwave/state}` in patchwave.yaml, and let one machine reconcile",
            ))),
        }
    }

    /// Whether it may be kept until the next run of `repository`: it ends with this process however that ends, and it is
    /// the lease of the place where the Project keeps state now. One of a shared store runs out between two runs, so it is
    /// given back instead.
    #[must_use]
    pub fn may_be_kept(&self, repository: &Repository) -> bool {
        let folder = state_folder(&repository.root, &repository.catalog);
        self.lock
            .as_ref()
            .is_some_and(|(kept_in, _)| folder.as_ref() == Some(kept_in))
    }

    /// Takes the lease of one machine, kept in the state folder.
    ///
    /// # Errors
    /// [`NotTaken`] if another process holds it, or the folder cannot be written.
    pub fn take_here(folder: &Path, me: &str, clock: Clock) -> Result<Self, NotTaken> {
        let unwritable = |why: &dyn std::fmt::Display| {
            NotTaken::Failed(RunError::new(
                format!("the lease in {} cannot be taken: {why}", folder.display()),
                "without it two runs could act at once: make the folder writable, on a file system that has locks",
            ))
        };
        let store = FolderLease::new(folder);
        let Some(lock) = FolderLock::try_take(folder, LEASE_LOCK).map_err(|e| unwritable(&e))? else {
            let holder = read(&store).ok().and_then(|(record, _)| record);
            let (who, since) = holder.map_or(("another process".to_owned(), None), |r| (r.holder, Some(r.taken_at)));
            return Err(NotTaken::Held(held_by(&who, since, None)));
        };
        let lock = Some((folder.to_owned(), lock));
        Self::claimed(Box::new(store), lock, me, Box::new(clock)).map_err(|e| match e {
            Refused::Held(error) => NotTaken::Held(error),
            Refused::Store(why) => unwritable(&why),
        })
    }

    /// Takes the lease of a shared store.
    ///
    /// # Errors
    /// [`NotTaken`] if another runner holds it, or the store cannot be read or written.
    pub fn take_shared(
        store: Box<dyn LeaseStore>,
        me: &str,
        clock: Box<dyn Fn() -> Timestamp>,
    ) -> Result<Self, NotTaken> {
        Self::claimed(store, None, me, clock).map_err(|e| match e {
            Refused::Held(error) => NotTaken::Held(error),
            Refused::Store(why) => NotTaken::Failed(RunError::new(
                format!("the lease cannot be taken from the state store: {why}"),
                "without it two runners could act at once: check `state` of patchwave.yaml, the network and the credentials",
            )),
        })
    }

    fn claimed(
        store: Box<dyn LeaseStore>,
        lock: Option<(PathBuf, FolderLock)>,
        me: &str,
        clock: Box<dyn Fn() -> Timestamp>,
    ) -> Result<Self, Refused> {
        let lasts = lock.is_none().then(|| SignedDuration::from_secs(LEASE_SECONDS));
        let mut lost_answer = None;
        // Twice: a write whose answer was lost is found by the second look as our own, or is not there.
        for _ in 0..2 {
            let (found, version) = read(store.as_ref()).map_err(Refused::Store)?;
            match claim(found.as_ref(), me, lasts, clock()) {
                Claim::Held { holder, since, until } => {
                    return Err(Refused::Held(held_by(&holder, Some(since), until)));
                }
                Claim::Take { record, takeover } => match store.put(&bytes(&record), version.as_deref()) {
                    Ok(Swapped::Done(version)) => {
                        // Our own lost write may itself have been a takeover: then the mark is put once too often.
                        let takeover = takeover || lost_answer.is_some();
                        return Ok(Self {
                            store,
                            lock,
                            clock,
                            held: RefCell::new((record, version)),
                            takeover: Cell::new(takeover),
                        });
                    }
                    Ok(Swapped::Conflict) => {}
                    Err(why) => lost_answer = Some(why),
                },
            }
        }
        match lost_answer {
            Some(why) => Err(Refused::Store(why)),
            None => Err(Refused::Held(held_by("another runner, which was faster", None, None))),
        }
    }

    /// The fencing number.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.held.borrow().0.token
    }

    /// Readies the forge for a holder: raises the number above what the ledger has seen (a state store may be deleted at
    /// any time), and after a takeover puts the number on the ledger, so that the holder before cannot append any more.
    ///
    /// # Errors
    /// [`RunError`] if the forge or the store cannot be read or written, or somebody else took the lease meanwhile.
    pub fn begin(&self, forge: &dyn Forge, now: Timestamp) -> Result<(), RunError> {
        let seen = forge.fence()?.unwrap_or(0);
        if seen >= self.token() {
            let mut raised = self.held.borrow().0.clone();
            raised.token = seen.saturating_add(1);
            self.write(raised)?;
        }
        if !self.takeover.get() {
            return Ok(());
        }
        // A person's halt may come between; it holds no lease, and is no reason to give up.
        for _ in 0..TAKEOVER_TRIES {
            let head = forge.view()?.ledger_head;
            let mark = format!("Take over the lease\n\nPatchwave-Fence: {}\n", self.token());
            if let Appended::Head { .. } = forge.append_ledger(head.as_deref(), &BTreeMap::new(), &mark, now)? {
                self.takeover.set(false);
                return Ok(());
            }
        }
        Err(RunError::new(
            "the ledger was moved by others again and again while the lease was taken over",
            "nothing was lost: run the command again",
        ))
    }

    /// Readies a lease that was kept since the run before. Whoever deleted the state store meanwhile may have let another
    /// runner take a lease of its own; the ledger tells.
    ///
    /// # Errors
    /// [`RunError`] if the forge cannot be read, or a runner with a higher number has written.
    pub fn go_on(&self, forge: &dyn Forge) -> Result<(), RunError> {
        self.may_act()?;
        if forge.fence()?.is_some_and(|seen| seen > self.token()) {
            return Err(lost().into());
        }
        Ok(())
    }

    /// Whether this process may act now, and under which fencing number; renews the record when it is due. A lock whose
    /// file was deleted keeps nobody away any more, so the record beside it must still be there too.
    ///
    /// # Errors
    /// [`ForgeError`] if the lease is lost, or cannot be renewed.
    pub fn may_act(&self) -> Result<u64, ForgeError> {
        let (record, version) = self.held.borrow().clone();
        if self.lock.is_some() && self.written(&record).is_none() {
            return Err(lost());
        }
        let now = (self.clock)();
        if standing(&record, now) == Standing::Renew {
            let mut renewed = record;
            renewed.expires_at = Some(after(now, LEASE_SECONDS));
            renewed.renewed_at = now;
            self.swap(renewed, &version)?;
        }
        Ok(self.token())
    }

    fn write(&self, record: LeaseRecord) -> Result<(), ForgeError> {
        let version = self.held.borrow().1.clone();
        self.swap(record, &version)
    }

    fn swap(&self, record: LeaseRecord, version: &str) -> Result<(), ForgeError> {
        let new = bytes(&record);
        let version = match self.store.put(&new, Some(version)) {
            Ok(Swapped::Done(version)) => version,
            Ok(Swapped::Conflict) => self.written(&record).ok_or_else(lost)?,
            // The answer was lost: what is there decides.
            Err(why) => self.written(&record).ok_or_else(|| {
                ForgeError::retryable(
                    format!("the lease could not be renewed: {why}"),
                    "nothing was lost: the run stops before its next effect and is repeated",
                )
            })?,
        };
        self.held.replace((record, version));
        Ok(())
    }

    /// The version of the register if it holds just this record.
    fn written(&self, record: &LeaseRecord) -> Option<String> {
        let (found, version) = read(self.store.as_ref()).ok()?;
        (found.as_ref() == Some(record)).then_some(version).flatten()
    }

    /// Gives the lease back. If that fails, the record runs out by itself; and so it does after a takeover that the
    /// ledger was never told of, so that the next taker tells it.
    pub fn give_back(self) {
        if self.lock.is_some() || self.takeover.get() {
            return;
        }
        let mut record = self.held.borrow().0.clone();
        record.released = true;
        if let Err(error) = self.write(record) {
            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
        }
    }
}

/// How often a takeover tries to put its mark.
const TAKEOVER_TRIES: usize = 5;

enum Refused {
    Held(RunError),
    Store(String),
}

fn lost() -> ForgeError {
    ForgeError::retryable(
        "another runner has taken the lease, or the state store was deleted: this one was paused or cut off for too long",
        "nothing was lost: the other runner goes on, or the next run of this one takes it again",
    )
}

fn held_by(holder: &str, since: Option<Timestamp>, until: Option<Timestamp>) -> RunError {
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    let until = until.map_or_else(String::new, |until| format!(" and until {until}, unless it renews it"));
    RunError::new(
        format!("another run is going on: {holder} holds the lease{since}{until}"),
        "two runs at once would decide on the same facts twice: wait for it, or stop it; nothing was written",
    )
}

fn bytes(record: &LeaseRecord) -> Vec<u8> {
    // A record of plain fields always has a JSON form.
    serde_json::to_vec(record).unwrap_or_default()
}

/// The record, and the version of the register. What is no record (a half-deleted store) counts as none: the number is
/// raised above the ledger's before anything is written.
fn read(store: &dyn LeaseStore) -> Result<(Option<LeaseRecord>, Option<String>), String> {
    let Some((bytes, version)) = store.read()? else {
        return Ok((None, None));
    };
    Ok((serde_json::from_slice(&bytes).ok(), Some(version)))
}

/// Name of this process in a lease: no two are the same, and a person can find it.
#[must_use]
pub fn holder_name(machine: &str, process: u32, now: Timestamp) -> String {
    format!("{machine}/{process}/{}", now.as_nanosecond())
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
