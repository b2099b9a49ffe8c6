//! Which sightings are the same asset.
//!
//! Across sources a key merges only where it is unique on both sides. Invariant \[one-name\]: sightings of one source
//! are never merged with each other, directly or through others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::estate::Note;
use super::merge::{Origin, note};
use super::sighting::{LISTED, Sighting};
use crate::load::wire::IdentityKey;
use crate::lookup::Lookup;

/// Puts sightings that are the same asset together: for each sighting the number of its group, which is the index of
/// one of its members. `keys` are tried best first; the name always counts, last if it is not among them, because
/// names are unique in a fleet.
pub(super) fn groups(
    sightings: &[Sighting],
    keys: &[IdentityKey],
    origins: &[Origin<'_>],
    notes: &mut Vec<Note>,
) -> Vec<usize> {
    let mut groups = Groups::new(sightings);
    let last = [IdentityKey::Name];
    let named = keys.contains(&IdentityKey::Name);
    for key in keys.iter().chain(last.iter().filter(|_| !named)) {
        for (value, holders) in shared_values(sightings, *key) {
            if *key == IdentityKey::MachineId && is_clone(sightings, &holders) {
                tell_clone(&value, sightings, &holders, notes);
                groups.part(&holders);
            } else {
                merge_holders(*key, &value, &holders, &mut groups, origins, notes);
            }
        }
    }
    (0..sightings.len()).map(|at| groups.of(at)).collect()
}

/// The value of a key, in the spelling in which it is compared.
fn value(sighting: &Sighting, key: IdentityKey) -> Option<Cow<'_, str>> {
    let text: &str = match key {
        IdentityKey::MachineId => sighting.identity.machine_id.as_deref()?,
        IdentityKey::Fqdn => sighting.identity.fqdn.as_deref()?.trim_end_matches('.'),
        IdentityKey::Serial => sighting.identity.serial.as_deref()?,
        IdentityKey::BiosUuid => sighting.identity.bios_uuid.as_deref()?,
        IdentityKey::Name => &sighting.name,
    };
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Some(Cow::Owned(text.to_ascii_lowercase())),
        false => Some(Cow::Borrowed(text)),
    }
}

/// The values that more than one sighting has, in order, with those sightings.
fn shared_values(sightings: &[Sighting], key: IdentityKey) -> BTreeMap<Cow<'_, str>, Vec<usize>> {
    let mut first: Lookup<Cow<'_, str>, usize> = Lookup::default();
    let mut shared: BTreeMap<Cow<'_, str>, Vec<usize>> = BTreeMap::new();
    for (at, sighting) in sightings.iter().enumerate() {
        let Some(value) = value(sighting, key) else { continue };
        match first.get(&value) {
            Some(before) => shared.entry(value).or_insert_with(|| vec![*before]).push(at),
            None => {
                first.insert(value, at);
            }
        }
    }
    shared
}

/// Whether holders of one machine id are different machines: an image was copied together with its machine id.
fn is_clone(sightings: &[Sighting], holders: &[usize]) -> bool {
    [IdentityKey::Fqdn, IdentityKey::Serial, IdentityKey::BiosUuid]
        .into_iter()
        .any(|key| {
            let mut values: Vec<_> = holders
                .iter()
                .filter_map(|at| value(sightings.get(*at)?, key))
                .collect();
            values.sort_unstable();
            values.dedup();
            values.len() > 1
        })
}

fn names(sightings: &[Sighting], holders: &[usize]) -> Vec<String> {
    let mut names: Vec<String> = holders
        .iter()
        .filter_map(|at| sightings.get(*at))
        .map(|sighting| sighting.name.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn tell_clone(machine_id: &str, sightings: &[Sighting], holders: &[usize], notes: &mut Vec<Note>) {
    let names = names(sightings, holders);
    let message = format!(
        "machine id `{machine_id}` belongs to clones ({}): fqdn, serial or BIOS UUID differ, so it tells nothing apart \
         and was ignored; give each machine its own with systemd-machine-id-setup",
        names.join(", ")
    );
    note(notes, false, names.first().map_or("", String::as_str), message);
}

/// Merges the holders of one value, each of which must be the only one of its source.
fn merge_holders(
    key: IdentityKey,
    value: &str,
    holders: &[usize],
    groups: &mut Groups<'_>,
    origins: &[Origin<'_>],
    notes: &mut Vec<Note>,
) {
    let origin = |at: &usize| groups.sightings.get(*at).map(|sighting| sighting.origin);
    let count = |of: &usize| holders.iter().filter(|at| origin(at) == origin(of)).count();
    let (unique, ambiguous): (Vec<usize>, Vec<usize>) = holders.iter().partition(|at| count(at) == 1);
    if !ambiguous.is_empty() && key != IdentityKey::Name {
        let names = names(groups.sightings, &ambiguous);
        let source = ambiguous
            .first()
            .and_then(origin)
            .and_then(|o| origins.get(o))
            .map_or("", |o| &*o.name);
        let message = format!(
            "source `{source}` gives the {} `{value}` to {}; a key that is not unique merges nothing",
            word(key),
            names.join(", ")
        );
        note(notes, false, names.first().map_or("", String::as_str), message);
    }
    let Some((first, others)) = unique.split_first() else {
        return;
    };
    for other in others {
        if let Err(why) = groups.join(*first, *other) {
            let names = names(groups.sightings, &[*first, *other]);
            let message = format!(
                "{} share the {} `{value}`, but {why}; they were not merged",
                names.join(" and "),
                word(key)
            );
            note(notes, false, names.first().map_or("", String::as_str), message);
        }
    }
}

const fn word(key: IdentityKey) -> &'static str {
    match key {
        IdentityKey::MachineId => "machine id",
        IdentityKey::Fqdn => "fqdn",
        IdentityKey::Serial => "serial",
        IdentityKey::BiosUuid => "BIOS UUID",
        IdentityKey::Name => "name",
    }
}

/// Groups of sightings; a group has at most one member of each source, which upholds \[one-name\].
struct Groups<'a> {
    sightings: &'a [Sighting],
    /// The group of each sighting.
    group: Vec<usize>,
    /// Members of each group that has more than one.
    members: Lookup<usize, Vec<usize>>,
    /// Sightings that were told to be clones of each other share a number here.
    clones: Lookup<usize, usize>,
}

impl<'a> Groups<'a> {
    fn new(sightings: &'a [Sighting]) -> Self {
        let group = (0..sightings.len()).collect();
        Self {
            sightings,
            group,
            members: Lookup::default(),
            clones: Lookup::default(),
        }
    }

    fn of(&self, at: usize) -> usize {
        self.group.get(at).copied().unwrap_or(at)
    }

    /// Remembers that these are different machines.
    fn part(&mut self, holders: &[usize]) {
        if let Some(first) = holders.first() {
            self.clones.extend(holders.iter().map(|at| (*at, *first)));
        }
    }

    fn members(&self, group: usize) -> Vec<usize> {
        self.members.get(&group).cloned().unwrap_or_else(|| vec![group])
    }

    fn join(&mut self, a: usize, b: usize) -> Result<(), &'static str> {
        let (into, from) = (self.of(a).min(self.of(b)), self.of(a).max(self.of(b)));
        if into == from {
            return Ok(());
        }
        let (mut members, joining) = (self.members(into), self.members(from));
        for a in &members {
            for b in &joining {
                self.may_join(*a, *b)?;
            }
        }
        for at in &joining {
            if let Some(group) = self.group.get_mut(*at) {
                *group = into;
            }
        }
        members.extend(joining);
        self.members.remove(&from);
        self.members.insert(into, members);
        Ok(())
    }

    fn may_join(&self, a: usize, b: usize) -> Result<(), &'static str> {
        let (Some(one), Some(other)) = (self.sightings.get(a), self.sightings.get(b)) else {
            return Ok(());
        };
        if one.origin == other.origin {
            return Err(match one.origin {
                LISTED => "the fleet lists both",
                _ => "one source knows them under different names",
            });
        }
        // A name is the key of an asset, so what has one name is one asset even if its machine id says nothing.
        let parted = self
            .clones
            .get(&a)
            .is_some_and(|clones| self.clones.get(&b) == Some(clones));
        match parted && !one.name.eq_ignore_ascii_case(&other.name) {
            true => Err("they are clones"),
            false => Ok(()),
        }
    }
}
