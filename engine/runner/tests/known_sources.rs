//! What `validate` says of a source type is what reading it does.

use patchwave_core::load::known::SOURCE_TYPES;
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
    }
}
