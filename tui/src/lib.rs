//! The dashboard: a cluster on one screen.
//!
//! It is built as the server is: what happens is a [`msg::Msg`], [`update::update`] makes of it a
//! changed [`model::Model`] and a list of [`cmd::Cmd`], and a shell performs those. So everything
//! but the shell is pure, and is tested with real keys on a buffer in place of a screen.
//!
//! - [`run`] is the loop, [`exec`] performs requests and alone talks to a cluster,
//!   `terminal` owns the terminal. There is no I/O, no clock and no `await` anywhere else.
//! - [`keymap`] is the only place that knows keys; help is generated from it.
//! - [`text`] is the only way of bytes from outside onto the screen.
//! - Nothing expensive starts because something was looked at: levels are read when they are
//!   opened, values for what is selected, folders are counted when they are in sight. Reads are
//!   serializable unless asked otherwise.

pub mod cmd;
pub mod exec;
mod figures;
pub mod keymap;
mod layout;
pub mod model;
pub mod msg;
mod run;
mod terminal;
pub mod text;
pub mod update;
pub mod view;

pub use run::{Options, UiError, run};
