//! What every black-box test needs: a sandbox with a repository, the binary run hermetically in it, and the machines of
//! the estate played by a simulator.

mod exports;
pub mod planted;
mod said;
mod sandbox;
mod world;

pub use said::{Run, Said, pw};
pub use sandbox::{Sandbox, Saved, home};
pub use world::batch_assets;
