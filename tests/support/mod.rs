//! What every black-box test needs: a sandbox with a repository, the binary run hermetically in it, and the machines of
//! the estate played by a simulator.

pub mod planted;
mod sandbox;
mod world;

pub use sandbox::{Run, Said, Sandbox, Saved, home, pw};
pub use world::batch_assets;
