//! XML as small trees: what formats need of a document is a few kinds of elements, each of which fits in memory.
//!
//! Names are local names, because prefixes are the writer's choice. A document type declaration is passed over: nothing
//! it names is fetched, no entity it declares is known, and a document that uses one is refused there. Comments and
//! processing instructions say nothing.
//!
//! Invariant \[bounded\]: a tree has at most [`ELEMENTS_MAX`] elements, and elements nest at most [`DEPTH_MAX`] deep.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::cut::without_mark;

/// Elements of one tree: a vulnerability of Microsoft that touches everything has some ten thousand.
pub(crate) const ELEMENTS_MAX: usize = 500_000;
/// Elements inside elements: nothing real nests half as deep.
pub(crate) const DEPTH_MAX: usize = 64;

/// One element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Local name.
    pub(crate) name: String,
    /// Attributes by local name, in order of writing.
    pub(crate) attributes: Vec<(String, String)>,
    /// Its own text, that of children left out.
    pub(crate) text: String,
    /// What stands in it, in order.
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// An attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The children of a name.
    pub(crate) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub(crate) fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of a name, without the blanks around it; empty where there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.first(name).map_or("", |child| child.text.trim())
    }
}

/// Hands on every outermost element that `wanted` wants by its name and the names above it (the root first), as a tree.
/// Gives the name of the root, or none if there is no element.
///
/// # Errors
/// Why the document cannot be read further, with the byte; what stood before was handed on.
pub(crate) fn trees(
    bytes: &[u8],
    wanted: &dyn Fn(&str, &[String]) -> bool,
    each: &mut dyn FnMut(Element),
) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(without_mark(bytes))
        .map_err(|error| format!("byte {} is no UTF-8; save it in that encoding", error.valid_up_to()))?;
    let mut reader = Reader::from_str(text);
    let mut walk = Walk {
        above: Vec::new(),
        open: Vec::new(),
        elements: 0,
        root: None,
    };
    loop {
        let event = reader.read_event();
        let at = reader.buffer_position();
        let event = event.map_err(|error| format!("byte {at}: {error}"))?;
        if matches!(event, Event::Eof) {
            let left = walk.open.last().map(|element| &element.name).or(walk.above.last());
            return match left {
                Some(name) => Err(format!("it ends inside `{name}`")),
                None => Ok(walk.root),
            };
        }
        walk.take(&event, wanted, each)
            .map_err(|why| format!("byte {at}: {why}"))?;
    }
}

struct Walk {
    /// Names of the open elements that nobody wants.
    above: Vec<String>,
    /// The tree being read, from its top to where we are.
    open: Vec<Element>,
    elements: usize,
    root: Option<String>,
}

impl Walk {
    fn take(
        &mut self,
        event: &Event<'_>,
        wanted: &dyn Fn(&str, &[String]) -> bool,
        each: &mut dyn FnMut(Element),
    ) -> Result<(), String> {
        match event {
            Event::Start(start) => self.start(start, wanted),
            Event::Empty(start) => {
                self.start(start, wanted)?;
                self.end(each);
                Ok(())
            }
            Event::End(_) => {
                self.end(each);
                Ok(())
            }
            Event::Text(text) => {
                self.text(&text.xml10_content());
                Ok(())
            }
            Event::CData(text) => {
                self.text(&text.xml10_content());
                Ok(())
            }
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(c) => self.text(c.encode_utf8(&mut [0; 4])),
                    None => match resolve_predefined_entity(&name) {
                        Some(text) => self.text(text),
                        None => return Err(format!("entity `{name}` is declared elsewhere, and nothing is fetched")),
                    },
                }
                Ok(())
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, wanted: &dyn Fn(&str, &[String]) -> bool) -> Result<(), String> {
        if self.above.len() + self.open.len() >= DEPTH_MAX {
            return Err(format!("elements nest more than {DEPTH_MAX} deep"));
        }
        let name = start.local_name().as_ref().to_owned();
        if self.above.is_empty() && self.open.is_empty() && self.root.is_none() {
            self.root = Some(name.clone());
        }
        if self.open.is_empty() && !wanted(&name, &self.above) {
            self.above.push(name);
            return Ok(());
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(format!("one element holds more than {ELEMENTS_MAX} others"));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        self.open.push(Element {
            name,
            attributes,
            ..Element::default()
        });
        Ok(())
    }

    fn end(&mut self, each: &mut dyn FnMut(Element)) {
        let Some(element) = self.open.pop() else {
            self.above.pop();
            return;
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => {
                self.elements = 0;
                each(element);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: &str) -> (Vec<Element>, Result<Option<String>, String>) {
        let mut all = Vec::new();
        let outcome = trees(text.as_bytes(), &|n, above| n == name && above.len() < 2, &mut |e| {
            all.push(e)
        });
        (all, outcome)
    }

    #[test]
    fn trees_have_local_names_attributes_and_text() {
        let text = "\u{feff}<?xml version=\"1.0\"?><!DOCTYPE r SYSTEM \"file:///etc/passwd\"><v:r xmlns:v=\"x\"><!-- c --><v:a i=\"1 &lt; 2\"> t&amp;&#x41;<![CDATA[<x>]]><b/>u</v:a><a/></v:r>";
        let (all, root) = read(text, "a");
        assert_eq!(root, Ok(Some("r".to_owned())));
        let [first, second] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!((first.text.as_str(), first.attribute("i")), (" t&A<x>u", Some("1 < 2")));
        assert_eq!(
            (first.children.len(), first.text_of("b"), second.name.as_str()),
            (1, "", "a")
        );
    }

    #[test]
    fn hostile_documents_are_refused_and_what_stood_before_is_kept() {
        let laughs = "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><r><x/><x>&b;</x></r>";
        let (all, outcome) = read(laughs, "x");
        assert_eq!(all.len(), 1);
        assert!(outcome.unwrap_err().contains("entity `b`"));
        assert!(read("<r><x i='&b;'/></r>", "x").1.is_err());
        let deep = "<a>".repeat(100_000);
        assert!(read(&deep, "x").1.unwrap_err().contains("deep"));
        assert!(read(&format!("<x>{deep}"), "x").1.unwrap_err().contains("deep"));
        let wide = format!("<r><x>{}</x></r>", "<a/>".repeat(ELEMENTS_MAX));
        assert!(read(&wide, "x").1.unwrap_err().contains("more than"));
        let many = format!("<r>{}</r>", "<x><a/></x>".repeat(1000));
        assert_eq!(read(&many, "x").0.len(), 1000);
        for text in ["<r><x>", "<r></x></r>", "<r><x", "<r><x a=1/></r>"] {
            assert!(read(text, "x").1.is_err(), "{text}");
        }
        assert!(
            trees(b"<r>\xff</r>", &|_, _| true, &mut |_| {})
                .unwrap_err()
                .contains("byte 3")
        );
        assert_eq!(read("", "x").1, Ok(None));
    }
}
