//! Which wave an asset is in: by the environment of its class and the wave's own selector. None, or two, is a refusal.

use std::sync::Arc;

use super::context::Context;
use crate::load::wire::WaveSpec;

/// Where an asset stands in a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// In the wave at this index.
    Wave(usize),
    /// In no wave, because no class wins for it.
    Classless,
    /// In no wave; why.
    Nowhere(String),
    /// In several waves; their names.
    Several(Vec<Arc<str>>),
}

/// The wave of `asset` among `waves`.
pub(super) fn membership(ctx: &Context<'_>, waves: &[WaveSpec], asset: u32) -> Membership {
    let Some(class) = ctx.class(asset) else {
        return Membership::Classless;
    };
    let environment = &class.spec.environment;
    let takes = |wave: &WaveSpec| {
        let selected = wave.selector.is_none() || ctx.matches(asset, wave.selector.as_ref(), None, false);
        wave.environments.contains(environment) && selected
    };
    let mut taking = waves.iter().enumerate().filter(|(_, wave)| takes(wave));
    match (taking.next(), taking.next()) {
        (None, _) => Membership::Nowhere(format!(
            "no wave takes environment `{environment}` of class {}",
            class.name
        )),
        (Some((index, _)), None) => Membership::Wave(index),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(taking);
            Membership::Several(all.map(|(_, wave)| wave.name.as_str().into()).collect())
        }
    }
}
