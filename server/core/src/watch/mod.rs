//! Who is owed which event.
