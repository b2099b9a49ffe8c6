//! Which assets a resource means: label selectors and conditions over the facts of an asset.

use crate::assess::facts;
use crate::load::expr::ExprError;
use crate::load::wire::AssetClassSpec;
use crate::load::{Catalog, Resource};
use crate::name::LabelSelector;
use crate::observe::Asset;

/// The class of an asset, if one wins.
pub(super) type Class<'a> = Option<&'a Resource<AssetClassSpec>>;

/// Whether `selector` and `when` (both where both are given) match the asset. Neither matches everything.
///
/// # Errors
/// A fact that the condition needs was not observed; the caller decides which way is safe.
pub(super) fn matches(
    catalog: &Catalog,
    asset: &Asset,
    class: Class<'_>,
    selector: Option<&LabelSelector>,
    when: Option<&str>,
) -> Result<bool, ExprError> {
    if selector.is_some_and(|s| !s.matches(|key| asset.label(key))) {
        return Ok(false);
    }
    match when {
        None => Ok(true),
        Some(text) => match catalog.expression(text) {
            Some(expression) => expression.eval(&|path| {
                if path.starts_with("asset.class.") {
                    facts::of_class(class, path)
                } else {
                    facts::of_asset(asset, path)
                }
            }),
            None => Err(ExprError::Evaluation(format!("`{text}` was not compiled"))),
        },
    }
}
