//! The patchwave command line.
fn main() {}
