//! Where each key and value of a document stands. A [`SpanTree`] mirrors the value it belongs to; a JSON Pointer walks
//! both. No map from pointer to span is built: errors are rare, so walking is cheaper than remembering.

use std::borrow::Cow;
use std::ops::Range;

/// The span of one value and of what is inside it. Byte offsets; 32 bits suffice because a file is at most 8 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanTree {
    /// The value itself.
    pub value: Range<u32>,
    /// What is inside it.
    pub children: Children,
}

/// The spans inside a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// A scalar.
    #[default]
    Leaf,
    /// One span an element.
    Sequence(Vec<SpanTree>),
    /// Key, span of the key, span of the value; in the order of writing.
    Mapping(Vec<(Box<str>, Range<u32>, SpanTree)>),
}

/// Where a pointer landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The value: that of the pointer, or of its deepest ancestor that exists.
    pub value: Range<usize>,
    /// The key in front of it, if it has one.
    pub key: Option<Range<usize>>,
    /// How many tokens of the pointer exist.
    pub resolved: usize,
}

/// What stands at a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The pointer of the value; of a key, that of its value.
    pub pointer: String,
    /// The byte lies in the key, not in the value.
    pub on_key: bool,
    /// The key, or the value.
    pub range: Range<usize>,
}

impl SpanTree {
    /// The innermost key or value that holds a byte (its end included, where a cursor stands behind a word).
    pub fn at(&self, byte: usize) -> Option<Spot> {
        let holds = |range: &Range<u32>| (range.start as usize..=range.end as usize).contains(&byte);
        let (mut node, mut pointer) = (self, String::new());
        holds(&node.value).then_some(())?;
        loop {
            let next = match &node.children {
                Children::Leaf => None,
                Children::Sequence(items) => {
                    let found = items.iter().enumerate().find(|(_, item)| holds(&item.value));
                    found.map(|(i, item)| (i.to_string(), item))
                }
                Children::Mapping(entries) => {
                    if let Some((key, at, _)) = entries.iter().find(|(_, at, _)| holds(at)) {
                        return Some(Spot {
                            pointer: format!("{pointer}/{}", escape_token(key)),
                            on_key: true,
                            range: bytes(at),
                        });
                    }
                    let found = entries.iter().find(|(_, _, value)| holds(&value.value));
                    found.map(|(key, _, value)| (escape_token(key).into_owned(), value))
                }
            };
            let Some((token, child)) = next else { break };
            pointer = format!("{pointer}/{token}");
            node = child;
        }
        Some(Spot {
            pointer,
            on_key: false,
            range: bytes(&node.value),
        })
    }

    /// Follows a JSON Pointer (RFC 6901) as far as it goes.
    pub fn locate(&self, pointer: &str) -> Hit {
        let (mut node, mut key, mut resolved) = (self, None, 0);
        for token in pointer.split('/').skip(1) {
            let token = unescape_token(token);
            let next = match &node.children {
                Children::Sequence(items) => token.parse().ok().and_then(|i: usize| items.get(i)).map(|c| (None, c)),
                Children::Mapping(entries) => entries
                    .iter()
                    .find(|(k, ..)| **k == *token)
                    .map(|(_, at, child)| (Some(at), child)),
                Children::Leaf => None,
            };
            let Some((at, child)) = next else { break };
            (node, key, resolved) = (child, at, resolved + 1);
        }
        Hit {
            value: bytes(&node.value),
            key: key.map(bytes),
            resolved,
        }
    }

    /// The byte behind the last thing inside this value: that of its last child, else its own end.
    pub(super) fn last_end(&self) -> u32 {
        match &self.children {
            Children::Leaf => self.value.end,
            Children::Sequence(items) => items.last().map_or(self.value.end, |t| t.value.end),
            Children::Mapping(entries) => entries
                .last()
                .map_or(self.value.end, |(_, key, t)| t.value.end.max(key.end)),
        }
    }
}

fn bytes(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// A key as a token of a JSON Pointer.
pub fn escape_token(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}

/// A token of a JSON Pointer as a key.
pub fn unescape_token(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}
