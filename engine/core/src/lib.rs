//! Every decision patchwave makes, and every noun those decisions speak of.
//!
//! This crate is pure: no file, network, clock, environment, randomness or printing. Text and time come in as
//! arguments, values go out. Reading the table from top to bottom is reading the architecture.
//!
//! | stage | from | to |
//! | --- | --- | --- |
//! | [`load`] | file texts | [`load::Catalog`] and diagnostics |
//! | [`observe`] | asset and advisory records of the sources | [`observe::Observation`] |
//! | [`history`] | forge view, ledger | [`history::History`]: memory and open rollouts |
//! | [`assess`] | catalog, observation, memory, now | [`assess::Assessment`]: findings with deadlines |
//! | [`plan`] | catalog, observation, assessment, ledger, now | [`plan::Plan`]: rollouts, waves, batches, schedule |
//! | [`rehearse`] | catalog, the world of a PolicyTest | [`rehearse::World`] and [`rehearse::Report`]: what its tests say |
//! | [`render`] | one rollout of a plan, target packs | [`render::Bundle`]: path → bytes |
//! | [`propose`] | plan, bundles, forge view | [`propose::ForgeOp`]s, maybe none |
//! | [`verify`] | rollout, ledger, fresh observation | [`verify::WaveVerdict`] and state moves |
//! | [`decide`] | the world, now | [`decide::Action`]s of one reconcile step |
//!
//! Foundations below all stages: [`lookup`] (hash tables that show no order), [`canonical`] (canonical JSON, digests),
//! [`source`] (texts, spans), [`diag`] (diagnostics), [`name`] (names, globs, selectors), [`time`] (durations, dates,
//! windows, freezes), [`version`] (version order of each ecosystem).
//! A stage may use foundations and earlier stages only; `tests/direction.rs` checks it.

pub mod assess;
pub mod canonical;
pub mod decide;
pub mod diag;
pub mod history;
pub mod load;
pub mod lookup;
pub mod name;
pub mod observe;
pub mod plan;
pub mod propose;
pub mod rehearse;
pub mod render;
pub mod source;
pub mod time;
pub mod verify;
pub mod version;
