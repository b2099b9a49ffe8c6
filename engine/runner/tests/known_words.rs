//! What `validate` says of the words of other stages is what those stages do.

use patchwave_adapters::monitors::CONNECTORS;
use patchwave_core::assess::{Status, Timeliness};
use patchwave_core::load::known::{SOURCE_TYPES, STATUSES, TIMELINESS};
use patchwave_core::load::wire::SourceKind;
use patchwave_formats::find;

#[test]
fn a_source_type_is_called_built_if_and_only_if_it_can_be_read() {
    for known in SOURCE_TYPES {
        // Monitors and change records are asked, not read; only the other kinds are formats.
        let is_format = known
            .kinds
            .iter()
            .any(|k| !matches!(k, SourceKind::Monitor | SourceKind::Change));
        if is_format {
            let readable = find(known.name).is_some_and(|format| format.built());
            assert_eq!(known.built, readable, "{}", known.name);
        }
        let is_asked = CONNECTORS
            .iter()
            .any(|c| c.name == known.name && known.kinds.contains(&c.kind));
        assert_eq!(known.asked, is_asked, "{}", known.name);
    }
    let names: Vec<&str> = CONNECTORS.iter().map(|c| c.name).collect();
    assert!(
        names
            .iter()
            .all(|name| SOURCE_TYPES.iter().any(|known| known.name == *name)),
        "{names:?}"
    );
}

#[test]
fn a_policy_test_may_expect_every_status_there_is() {
    let mut words = Status::ALL.map(Status::as_str);
    words.sort_unstable();
    assert_eq!(words, STATUSES);
    let mut words = [Timeliness::OnTime, Timeliness::AtRisk, Timeliness::Breached].map(Timeliness::as_str);
    words.sort_unstable();
    assert_eq!(words, TIMELINESS);
}
