//! Who may what: every method by everybody, waits that end with a permission, and that no
//! password and no token is found anywhere.

#![allow(clippy::print_stdout, reason = "how many decisions were checked is worth reading")]

mod callers;
mod canary;
mod contract;
mod form;
mod keys;
mod matrix;
mod paths;
mod services;
mod signed;
mod waits;
