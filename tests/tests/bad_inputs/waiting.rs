//! Rows that ours does not answer yet. A row that is right may not stay here.

pub(crate) const WAITING: &[&str] = &[];
