//! Playing the unit tests of a policy repository: a small world is given, the repository's own policies judge it, and
//! what comes out is compared with what the test expects.

mod world;

pub use world::{Given, ReadNative, World, name_of, world};
