//! Names that are let in.

use std::collections::BTreeSet;

/// A list of names; `*`, or no name at all, stands for all there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(BTreeSet<String>);

impl AllowList {
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> AllowList {
        AllowList(names.into_iter().map(ToOwned::to_owned).collect())
    }

    /// From names between commas.
    pub fn parse(text: &str) -> AllowList {
        AllowList::of(text.split(',').map(str::trim).filter(|name| !name.is_empty()))
    }

    pub fn allows_all(&self) -> bool {
        self.0.is_empty() || self.0.contains("*")
    }

    pub fn allows(&self, name: &str) -> bool {
        self.allows_all() || self.0.contains(name)
    }
}
