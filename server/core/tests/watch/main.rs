//! The watch hub: what it says, by golden scripts, and that nothing is lost, by random histories.

mod oracle;
mod properties;
mod resume;
mod room;
mod scripts;
