//! Black-box tests of the binary: played scenarios and the command line. `tests/scenarios/README.md` says how to add one.
#![expect(
    clippy::disallowed_methods,
    reason = "a sandbox is made of files, and the binary is a program"
)]

#[cfg(feature = "github")]
#[cfg(test)]
#[path = "../engine/adapters/tests/forge/double/mod.rs"]
#[expect(dead_code, reason = "the double can misbehave, and the tests of the adapter make it")]
mod double;
#[cfg(test)]
mod support;

#[cfg(test)]
mod e2e {
    mod back;
    mod brake;
    mod cli;
    #[cfg(all(unix, feature = "daemon"))]
    mod daemon;
    mod edited;
    mod edits;
    mod facts;
    #[cfg(all(feature = "github", unix))]
    mod from_zero;
    mod gates;
    #[cfg(feature = "github")]
    mod github;
    mod help;
    mod killed;
    mod people;
    mod play;
    mod policy_tests;
    mod progress;
    #[cfg(unix)]
    mod readme;
    mod stops;
    mod times;
    mod tools;
    #[cfg(feature = "otel")]
    mod traces;
    mod windows;
}
