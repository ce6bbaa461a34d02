//! Under which name the program runs, and so how it behaves.

/// The two manners of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As `kvorum`: for people first. Nothing is abbreviated, a flag wins over its variable, a range
    /// is not deleted without a yes, and a terminal is sent no control characters.
    Kvorum,
    /// As `etcdctl`: strictly what etcdctl does.
    Etcdctl,
}
