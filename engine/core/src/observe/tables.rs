//! Interned names and shared package sets: a package row of an asset costs four bytes, an identical set costs none.

use std::sync::Arc;

use crate::lookup::Lookup;

/// An interned text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u32);

/// A distinct installed package (name, version, arch, source, module, state).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub u32);

/// A distinct set of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageSetId(pub u32);

/// One distinct package as installed somewhere. Symbols are 0 (the empty text) where a fact is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    /// Binary package name.
    pub name: Symbol,
    /// Version in full, epoch included.
    pub version: Symbol,
    /// Architecture, if known.
    pub arch: Symbol,
    /// Source package, if known.
    pub source: Symbol,
    /// Version of the source package where it is known not to be that of the binary package (`libgcc-s1` 12.2.0-14 is
    /// built from gcc-12, `login` 1:4.13 from shadow 4.13, a rebuilt `1.0-1+b1` from 1.0-1).
    pub source_version: Symbol,
    /// `name:stream[:version[:context]]`, if the package is modular and the label is known.
    pub module: Symbol,
    /// Held back by the package manager.
    pub held: bool,
    /// Whether it is really installed.
    pub state: PackageState,
}

/// Whether a package is really installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageState {
    /// Installed, or not said.
    #[default]
    Installed,
    /// Unpacked or half-configured: there, but broken.
    HalfConfigured,
    /// Removed; only its configuration files are left. Not installed.
    ConfigFiles,
}

/// The interned texts, distinct packages and distinct sets of one observation.
#[derive(Clone, Debug)]
pub struct Tables {
    texts: Vec<Arc<str>>,
    by_text: Lookup<Arc<str>, Symbol>,
    packages: Vec<Package>,
    by_package: Lookup<Package, PackageId>,
    sets: Vec<Arc<[PackageId]>>,
    by_set: Lookup<Arc<[PackageId]>, PackageSetId>,
}

impl Default for Tables {
    fn default() -> Self {
        let mut tables = Self {
            texts: Vec::new(),
            by_text: Lookup::default(),
            packages: Vec::new(),
            by_package: Lookup::default(),
            sets: Vec::new(),
            by_set: Lookup::default(),
        };
        tables.intern("");
        tables
    }
}

impl Tables {
    /// The symbol of `text`; the empty text is `Symbol(0)`.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.by_text.get(text) {
            return *symbol;
        }
        let symbol = Symbol(self.texts.len() as u32);
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.by_text.insert(text, symbol);
        symbol
    }

    /// The symbol of `text`, if it was interned.
    pub fn symbol(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The text of a symbol of these tables; empty for a symbol of other tables.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol.0 as usize).map_or("", |t| t)
    }

    /// The text of a symbol of these tables, shared.
    pub fn shared(&self, symbol: Symbol) -> Arc<str> {
        self.texts
            .get(symbol.0 as usize)
            .map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// The text of a symbol, or none for the empty text.
    pub fn known(&self, symbol: Symbol) -> Option<&str> {
        Some(self.text(symbol)).filter(|t| !t.is_empty())
    }

    /// The id of a distinct package.
    pub fn package_id(&mut self, package: Package) -> PackageId {
        let packages = &mut self.packages;
        *self.by_package.entry(package).or_insert_with(|| {
            packages.push(package);
            PackageId(packages.len() as u32 - 1)
        })
    }

    /// A distinct package; the default package for an id of other tables.
    pub fn package(&self, id: PackageId) -> Package {
        self.packages.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Every distinct package, in order of id.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The id of a set; order and repetition do not count.
    pub fn set_id(&mut self, mut ids: Vec<PackageId>) -> PackageSetId {
        ids.sort_unstable();
        ids.dedup();
        if let Some(id) = self.by_set.get(ids.as_slice()) {
            return *id;
        }
        let id = PackageSetId(self.sets.len() as u32);
        let set: Arc<[PackageId]> = ids.into();
        self.sets.push(Arc::clone(&set));
        self.by_set.insert(set, id);
        id
    }

    /// The packages of a set, ascending by id; empty for an id of other tables.
    pub fn set(&self, id: PackageSetId) -> &[PackageId] {
        self.sets.get(id.0 as usize).map_or(&[], |s| s)
    }

    /// Whether nothing but the empty text was ever interned.
    pub fn is_unused(&self) -> bool {
        self.texts.len() <= 1 && self.packages.is_empty() && self.sets.is_empty()
    }

    /// How many distinct sets there are.
    pub fn set_count(&self) -> usize {
        self.sets.len()
    }

    /// Like [`Tables::absorb`], but by moving if there is nothing here yet.
    pub fn take_in(&mut self, other: Self) -> Vec<PackageSetId> {
        if self.is_unused() {
            *self = other;
            (0..self.sets.len() as u32).map(PackageSetId).collect()
        } else {
            self.absorb(&other)
        }
    }

    /// Takes in the packages of `other`, without its sets, and returns how they are called here.
    pub fn absorb_packages(&mut self, other: &Self) -> Vec<PackageId> {
        let symbols: Vec<Symbol> = other.texts.iter().map(|t| self.intern(t)).collect();
        let here = |s: Symbol| symbols.get(s.0 as usize).copied().unwrap_or_default();
        other
            .packages
            .iter()
            .map(|p| {
                let package = Package {
                    name: here(p.name),
                    version: here(p.version),
                    arch: here(p.arch),
                    source: here(p.source),
                    source_version: here(p.source_version),
                    module: here(p.module),
                    ..*p
                };
                self.package_id(package)
            })
            .collect()
    }

    /// Takes in everything of `other` and returns how its sets are called here.
    pub fn absorb(&mut self, other: &Self) -> Vec<PackageSetId> {
        let packages = self.absorb_packages(other);
        let sets = other.sets.iter();
        sets.map(|set| {
            let ids = set
                .iter()
                .filter_map(|id| packages.get(id.0 as usize).copied())
                .collect();
            self.set_id(ids)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(tables: &mut Tables, name: &str, version: &str) -> PackageId {
        let package = Package {
            name: tables.intern(name),
            version: tables.intern(version),
            ..Package::default()
        };
        tables.package_id(package)
    }

    #[test]
    fn equal_sets_are_one_set_wherever_they_were_read() {
        let (mut a, mut b) = (Tables::default(), Tables::default());
        let set_a = vec![package(&mut a, "bash", "1"), package(&mut a, "zlib", "2")];
        let id_a = a.set_id(set_a);
        let set_b = vec![
            package(&mut b, "zlib", "2"),
            package(&mut b, "bash", "1"),
            package(&mut b, "bash", "1"),
        ];
        let id_b = b.set_id(set_b);
        let renamed = a.absorb(&b);
        assert_eq!(renamed.get(id_b.0 as usize), Some(&id_a));
        assert_eq!((a.set_count(), a.packages().len()), (1, 2));
    }
}
