//! Ways between resources: to what a name means, to everything that uses it, and what a file holds.

use lsp_types::{DocumentSymbol, Location, SymbolKind};
use patchwave_core::load::{references, schema, target_of};
use patchwave_core::source::DocId;

use super::hover::{Place, place};
use super::position::Lines;
use super::workspace::Workspace;

/// The resource that the word at a byte names, or that is named there.
fn meant(workspace: &Workspace, path: &str, text: &str, byte: usize) -> Option<(&'static str, String)> {
    let Place { kind, path, word, .. } = place(workspace, path, text, byte)?;
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let target = match steps.as_slice() {
        ["metadata", "name"] => schema::kind(&kind)?.name,
        steps => target_of(&kind, steps)?,
    };
    Some((target, word))
}

fn named_at(workspace: &Workspace, doc: DocId) -> Option<Location> {
    workspace.place(&workspace.loaded().documents.locate(doc, "/metadata/name"))
}

/// Where the resource is that a name means.
pub fn definition(workspace: &Workspace, path: &str, text: &str, byte: usize) -> Option<Location> {
    let (kind, name) = meant(workspace, path, text, byte)?;
    named_at(workspace, workspace.resource(kind, &name)?)
}

/// Every place that names the resource, in order of files; with `declaration` the resource itself first.
pub fn uses(workspace: &Workspace, path: &str, text: &str, byte: usize, declaration: bool) -> Vec<Location> {
    let Some((kind, name)) = meant(workspace, path, text, byte) else {
        return Vec::new();
    };
    let documents = &workspace.loaded().documents;
    let itself = workspace.resource(kind, &name).filter(|_| declaration);
    let itself = itself.and_then(|doc| named_at(workspace, doc));
    let found = references(documents)
        .into_iter()
        .filter(|r| r.target == kind && r.name == name);
    let places = found.filter_map(|r| workspace.place(&documents.locate(r.doc, &r.pointer)));
    itself.into_iter().chain(places).collect()
}

/// The resources of a file.
pub fn symbols(workspace: &Workspace, path: &str) -> Vec<DocumentSymbol> {
    let documents = &workspace.loaded().documents;
    let text = workspace.set().text(path).unwrap_or_default();
    let lines = Lines::new(text, workspace.encoding);
    let symbol = |(id, doc): (DocId, &patchwave_core::load::Doc)| {
        let range = lines.range(documents.range(id));
        let name = doc.name()?;
        #[expect(deprecated, reason = "the type has no constructor, and the field is required")]
        Some(DocumentSymbol {
            name: name.to_owned(),
            detail: Some(doc.kind().to_owned()),
            kind: SymbolKind::OBJECT,
            tags: None,
            deprecated: None,
            range,
            selection_range: lines.range_of(&documents.locate(id, "/metadata/name")),
            children: None,
        })
    };
    documents.of_file(path).filter_map(symbol).collect()
}
