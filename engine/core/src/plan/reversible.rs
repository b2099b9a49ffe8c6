//! How good the way back of a class is.

use crate::load::wire::{AssetClassSpec, Reversibility};

/// The way back of a class's assets. A downgrade goes back to exactly the versions that were observed before; whether
/// they can still be fetched is proved on the asset before it is touched. Uninstalling the newest cumulative update of Windows
/// goes back to the build before it; one that cannot be uninstalled is refused. A snapshot loses what came after it.
pub(super) fn reversibility(class: &AssetClassSpec) -> Reversibility {
    match class.protection.rollback.as_str() {
        "package-downgrade" | "kb-uninstall" => Reversibility::Exact,
        "snapshot-revert" => Reversibility::Snapshot,
        _ => Reversibility::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_rollback_has_its_rank() {
        let class = |rollback: &str| -> AssetClassSpec {
            let json = serde_json::json!({"environment": "prod", "window": "w", "protection": {"rollback": rollback}});
            serde_json::from_value(json).unwrap()
        };
        assert_eq!(reversibility(&class("none")), Reversibility::None);
        assert_eq!(reversibility(&class("snapshot-revert")), Reversibility::Snapshot);
        assert_eq!(reversibility(&class("package-downgrade")), Reversibility::Exact);
        assert_eq!(reversibility(&class("kb-uninstall")), Reversibility::Exact);
    }
}
