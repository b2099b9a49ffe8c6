//! Hash tables that can be asked and cannot be walked.
//!
//! A hash table answers fast, and lists what it holds in an order that says something of the hash and nothing of the
//! estate. One chain that walks such a table puts that order into a plan, a message or a digest, and a reader of the
//! code sees only `.values()`. The tables here therefore leave out every operation that could show their order: no
//! iterator, no keys, no values, no `Deref`, no `Serialize`; `Debug` tells the length alone. What is left gives the same
//! answer in whatever order the entries lie.
//!
//! Whoever needs the entries has three ways, each of which says its order: a `BTreeMap` where entries are few; a `Vec`
//! in the order of discovery beside a [`Lookup`] from key to index where they are many; [`Lookup::into_sorted`] at the
//! end where a table only gathers. This module is the only place of core and formats that names a hash table
//! (`disallowed-types` in `clippy.toml`).
#![expect(
    clippy::disallowed_types,
    reason = "the one module that hides the order of hash tables has to hold them"
)]

use std::borrow::Borrow;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

/// Values by key, for looking up only.
///
/// The hash is that of the compiler: several times faster on the short keys of the hot paths (numbers, names) than the
/// hash of the standard library, and without a random seed. It does not resist keys chosen to collide, which is a
/// matter of speed and never of answers.
///
/// ```compile_fail,E0599
/// let ports = patchwave_core::lookup::Lookup::from_iter([("ssh", 22), ("https", 443)]);
/// let in_no_order: Vec<_> = ports.values().collect();
/// ```
#[derive(Clone)]
pub struct Lookup<K, V>(FxHashMap<K, V>);

impl<K, V> Lookup<K, V> {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    /// An empty table with room for so many keys.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(FxHashMap::with_capacity_and_hasher(capacity, FxBuildHasher))
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key)
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Gives a key its value, and returns the value it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Takes a key out, and returns the value it had.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// The place of one key, taken or free; it shows no other key.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        self.0.entry(key)
    }

    /// Every entry, by key. `Ord` of the key must tell apart what `Eq` tells apart, as derived ones do.
    #[must_use]
    pub fn into_sorted(self) -> Vec<(K, V)>
    where
        K: Ord,
    {
        let mut entries: Vec<(K, V)> = self.0.into_iter().collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    /// Every entry, by value, and by key where values are equal.
    #[must_use]
    pub fn into_sorted_by_value(self) -> Vec<(K, V)>
    where
        K: Ord,
        V: Ord,
    {
        let mut entries: Vec<(K, V)> = self.0.into_iter().collect();
        entries.sort_unstable_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| a.cmp(b)));
        entries
    }
}

impl<K, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

/// The length alone: the entries would come in the order of the hash.
impl<K, V> fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({} keys)", self.len())
    }
}

/// Of values with one key the last in the order given stays.
impl<K: Eq + Hash, V> FromIterator<(K, V)> for Lookup<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// Of values with one key the last in the order given stays.
impl<K: Eq + Hash, V> Extend<(K, V)> for Lookup<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.0.extend(entries);
    }
}

/// Keys met before, for asking only: a [`Lookup`] without values.
///
/// ```compile_fail,E0599
/// let met = patchwave_core::lookup::Seen::from_iter(["ssh", "https"]);
/// let in_no_order: Vec<_> = met.iter().collect();
/// ```
#[derive(Clone)]
pub struct Seen<K>(FxHashSet<K>);

impl<K> Seen<K> {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Eq + Hash> Seen<K> {
    /// Whether a key was met.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains(key)
    }

    /// The key that equals this one, as it was first given: what shares equal values shares that one.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// Remembers a key; whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key)
    }

    /// Forgets a key; whether it was there.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// Every key, in its order. `Ord` must tell apart what `Eq` tells apart, as derived ones do.
    #[must_use]
    pub fn into_sorted(self) -> Vec<K>
    where
        K: Ord,
    {
        let mut keys: Vec<K> = self.0.into_iter().collect();
        keys.sort_unstable();
        keys
    }
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self(FxHashSet::default())
    }
}

/// The length alone: the keys would come in the order of the hash.
impl<K> fmt::Debug for Seen<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({} keys)", self.len())
    }
}

impl<K: Eq + Hash> FromIterator<K> for Seen<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl<K: Eq + Hash> Extend<K> for Seen<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        self.0.extend(keys);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_tells_the_length_and_nothing_in_the_order_of_the_hash() {
        assert_eq!(
            format!("{:?}", Lookup::from_iter([("b", 1), ("a", 2)])),
            "Lookup(2 keys)"
        );
        assert_eq!(format!("{:?}", Seen::from_iter(["b", "a"])), "Seen(2 keys)");
    }

    #[test]
    fn the_first_of_equal_keys_is_the_one_that_is_shared() {
        let first = std::sync::Arc::<str>::from("libc6");
        let mut seen = Seen::default();
        assert!(seen.insert(std::sync::Arc::clone(&first)));
        assert!(!seen.insert(std::sync::Arc::from("libc6")));
        assert!(
            seen.get("libc6")
                .is_some_and(|kept| std::sync::Arc::ptr_eq(kept, &first))
        );
    }

    proptest! {
        /// Neither the order of insertion nor the room of the table can be seen in what comes out.
        #[test]
        fn what_comes_out_is_what_an_ordered_map_holds(entries: Vec<(u16, u8)>, capacity in 0_usize..10_000) {
            let ordered: std::collections::BTreeMap<u16, u8> = entries.iter().copied().collect();
            let mut lookup = Lookup::with_capacity(capacity);
            lookup.extend(entries.iter().copied());
            prop_assert_eq!(lookup.len(), ordered.len());
            prop_assert!(ordered.iter().all(|(key, value)| lookup.get(key) == Some(value)));
            let mut by_value: Vec<(u16, u8)> = ordered.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(lookup.clone().into_sorted(), by_value.clone());
            by_value.sort_by_key(|(key, value)| (*value, *key));
            prop_assert_eq!(lookup.into_sorted_by_value(), by_value);
            let keys = Seen::from_iter(entries.iter().rev().map(|(key, _)| *key));
            prop_assert_eq!(keys.into_sorted(), ordered.into_keys().collect::<Vec<_>>());
        }
    }
}
