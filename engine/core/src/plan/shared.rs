//! Values that alike assets share, told apart by where they are.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::lookup::Seen;

/// A shared value, compared by its place in memory: as good as by value where equal values are shared, and it costs the
/// same however large the value is. It keeps the value alive, so its place is nobody else's.
#[derive(Debug)]
pub(super) struct Same<T: ?Sized>(pub(super) Arc<T>);

impl<T: ?Sized> Same<T> {
    pub(super) fn of(value: &Arc<T>) -> Self {
        Self(Arc::clone(value))
    }

    fn place(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>() as usize
    }
}

impl<T: ?Sized> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<T: ?Sized> Eq for Same<T> {}

impl<T: ?Sized> Hash for Same<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// Each shared value once, in the order in which it first comes.
pub(super) fn distinct<'v, T: ?Sized>(values: impl Iterator<Item = &'v Arc<T>>) -> Vec<&'v T> {
    let mut seen = Seen::default();
    let first = values.filter(|value| seen.insert(Same::of(value)));
    first.map(AsRef::as_ref).collect()
}
