//! Which wave an asset is in: by the environment of its class and the wave's own selector. None, or two, is a refusal.

use std::sync::Arc;

use super::context::Context;
use crate::load::wire::WaveSpec;

/// Why an asset has no wave in a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// No class wins for it.
    Classless,
    /// No wave takes it; why.
    Untaken(String),
    /// Several waves take it; their names.
    Several(Vec<Arc<str>>),
}

/// The index of the wave of `asset` among `waves`.
///
/// # Errors
/// Why it has none.
pub(super) fn membership(ctx: &Context<'_>, waves: &[WaveSpec], asset: u32) -> Result<usize, Nowhere> {
    let Some(class) = ctx.class(asset) else {
        return Err(Nowhere::Classless);
    };
    let environment = &class.spec.environment;
    let takes = |wave: &WaveSpec| {
        let selected = wave.selector.is_none() || ctx.matches(asset, wave.selector.as_ref(), None, false);
        wave.environments.contains(environment) && selected
    };
    let mut taking = waves.iter().enumerate().filter(|(_, wave)| takes(wave));
    match (taking.next(), taking.next()) {
        (None, _) => Err(Nowhere::Untaken(format!(
            "no wave takes environment `{environment}` of class {}",
            class.name
        ))),
        (Some((index, _)), None) => Ok(index),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(taking);
            Err(Nowhere::Several(
                all.map(|(_, wave)| wave.name.as_str().into()).collect(),
            ))
        }
    }
}
