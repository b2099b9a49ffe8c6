//! The table of facts that expressions may read: name, type, whether it may be missing, the words it can be.
//!
//! A fact that is never optional is known for every asset, advisory or finding that is judged at all, so it needs no
//! guard; if it was not observed after all, that is an error at run time which makes the asset `unknown` for the rule.
//! Everything else may be read only where `has(…)` holds.

/// The type of an expression or fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not known before run time.
    Any,
    /// `true` or `false`.
    Bool,
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Float,
    /// A point in time.
    Time,
    /// A length of time.
    Duration,
    /// Nothing.
    Null,
    /// A list.
    List(Box<Type>),
    /// A map from texts.
    Map(Box<Type>),
}

impl Type {
    /// As people call it.
    pub fn name(&self) -> String {
        match self {
            Self::Any => "any value".into(),
            Self::Bool => "a boolean".into(),
            Self::Text => "a text".into(),
            Self::Int => "a whole number".into(),
            Self::Float => "a number".into(),
            Self::Time => "a time".into(),
            Self::Duration => "a duration".into(),
            Self::Null => "null".into(),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a map".into(),
        }
    }
}

/// The type of a fact, as it can stand in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactType {
    /// `true` or `false`.
    Bool,
    /// A text.
    Text,
    /// A version: a text whose letters say nothing about its order.
    Version,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Float,
    /// A point in time.
    Time,
    /// A list of texts.
    Texts,
    /// A map from text to text.
    Labels,
}

impl FactType {
    /// The type in expressions.
    pub fn as_type(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Text | Self::Version => Type::Text,
            Self::Int => Type::Int,
            Self::Float => Type::Float,
            Self::Time => Type::Time,
            Self::Texts => Type::List(Box::new(Type::Text)),
            Self::Labels => Type::Map(Box::new(Type::Text)),
        }
    }
}

/// One fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The path as written: `asset.os.family`.
    pub path: &'static str,
    /// What it is.
    pub kind: FactType,
    /// Whether it may be missing.
    pub optional: bool,
    /// The only words it (or, of a list, each element) can be; empty = any.
    pub words: &'static [&'static str],
}

const fn always(path: &'static str, kind: FactType) -> Fact {
    Fact {
        path,
        kind,
        optional: false,
        words: &[],
    }
}

const fn word(path: &'static str, words: &'static [&'static str]) -> Fact {
    Fact {
        path,
        kind: FactType::Text,
        optional: false,
        words,
    }
}

const fn maybe(path: &'static str, kind: FactType) -> Fact {
    Fact {
        path,
        kind,
        optional: true,
        words: &[],
    }
}

const LIFECYCLE: &[&str] = &["active", "ephemeral", "maintenance", "retired", "standby"];
const CRITICALITY: &[&str] = &["critical", "high", "low", "medium"];
const SEVERITY: &[&str] = &["critical", "high", "low", "medium", "none", "unknown"];
const TYPES: &[&str] = &["bugfix", "driver", "enhancement", "firmware", "platform", "security"];
const LANE: &[&str] = &["emergency", "routine"];

/// Every fact, in order of its path.
pub const FACTS: &[Fact] = &[
    maybe("advisory.aliases", FactType::Texts),
    maybe("advisory.epss", FactType::Float),
    always("advisory.exploited", FactType::Bool),
    maybe("advisory.exploitedSince", FactType::Time),
    always("advisory.id", FactType::Text),
    maybe("advisory.modified", FactType::Time),
    always("advisory.published", FactType::Time),
    maybe("advisory.ransomware", FactType::Bool),
    word("advisory.severity", SEVERITY),
    maybe("advisory.source", FactType::Text),
    Fact {
        path: "advisory.types",
        kind: FactType::Texts,
        optional: false,
        words: TYPES,
    },
    maybe("asset.address", FactType::Text),
    maybe("asset.bootTime", FactType::Time),
    word("asset.class.criticality", CRITICALITY),
    always("asset.class.dataSensitivity", FactType::Text),
    always("asset.class.environment", FactType::Text),
    always("asset.class.exposure", FactType::Text),
    always("asset.class.name", FactType::Text),
    always("asset.class.priority", FactType::Int),
    maybe("asset.fleet", FactType::Text),
    maybe("asset.fqdn", FactType::Text),
    maybe("asset.gpu.cuda", FactType::Version),
    maybe("asset.gpu.driver", FactType::Version),
    maybe("asset.gpu.loaded", FactType::Version),
    maybe("asset.identity.biosUuid", FactType::Text),
    maybe("asset.identity.fqdn", FactType::Text),
    maybe("asset.identity.machineId", FactType::Text),
    maybe("asset.identity.serial", FactType::Text),
    maybe("asset.kernel.defaultBoot", FactType::Version),
    maybe("asset.kernel.running", FactType::Version),
    maybe("asset.kubernetes.kubelet", FactType::Version),
    maybe("asset.kubernetes.role", FactType::Text),
    maybe("asset.kubernetes.runtime", FactType::Version),
    always("asset.labels", FactType::Labels),
    word("asset.lifecycle", LIFECYCLE),
    always("asset.name", FactType::Text),
    always("asset.os.arch", FactType::Text),
    always("asset.os.family", FactType::Text),
    always("asset.os.id", FactType::Text),
    always("asset.os.version", FactType::Version),
    maybe("asset.osBuild", FactType::Version),
    maybe("asset.pendingReboot", FactType::Bool),
    maybe("finding.arch", FactType::Text),
    always("finding.fixed", FactType::Version),
    always("finding.installed", FactType::Version),
    word("finding.lane", LANE),
    maybe("finding.module", FactType::Text),
    always("finding.package", FactType::Text),
    maybe("finding.running", FactType::Version),
];

/// The three things facts belong to.
pub const ROOTS: &[&str] = &["advisory", "asset", "finding"];

/// The fact with this path.
pub fn find(path: &str) -> Option<&'static Fact> {
    FACTS
        .binary_search_by(|fact| fact.path.cmp(path))
        .ok()
        .and_then(|i| FACTS.get(i))
}

/// The facts below a group such as `asset.os`.
pub fn group(prefix: &str) -> Vec<&'static str> {
    let inside = |path: &&str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    FACTS.iter().map(|f| f.path).filter(inside).collect()
}

/// Where an expression stands, which decides what it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What chooses an asset's class: the asset without its class.
    Class,
    /// What chooses assets.
    Asset,
    /// What chooses findings: asset, advisory and finding.
    Finding,
}

impl Scope {
    /// Whether the fact is known here.
    pub fn has(self, path: &str) -> bool {
        match self {
            Self::Class => path.starts_with("asset.") && !path.starts_with("asset.class."),
            Self::Asset => path.starts_with("asset."),
            Self::Finding => true,
        }
    }

    /// What may be read here, in words.
    pub fn allows(self) -> &'static str {
        match self {
            Self::Class => "facts of the asset may be read here, but not of the class that is being chosen",
            Self::Asset => "only facts of the asset may be read here: no advisory is looked at yet",
            Self::Finding => "facts of asset, advisory and finding may be read here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(FACTS.windows(2).all(|pair| pair[0].path < pair[1].path));
        assert!(
            FACTS
                .iter()
                .all(|f| ROOTS.iter().any(|root| f.path.starts_with(&format!("{root}."))))
        );
        assert!(find("asset.os.family").is_some_and(|f| !f.optional));
        assert_eq!(
            group("asset.gpu"),
            ["asset.gpu.cuda", "asset.gpu.driver", "asset.gpu.loaded"]
        );
    }
}
