//! The checker, checked: legal and illegal histories by hand, and generated ones.

mod generated;
mod generator;
mod illegal;
mod illegal_watches;
mod legal;
mod mutation;
mod script;
