//! Which names a filter lets through.

use memchr::memmem::Finder;

/// Matches part of a whole name, however it is spread over levels. Lower case matches both cases.
pub(super) struct Filter<'a> {
    finder: Finder<'a>,
    fold: bool,
    /// The end of the level's prefix that a match may start in.
    tail: &'a [u8],
    /// The prefix matches by itself, and so does everything below it.
    everything: bool,
    /// The name that is looked at, kept because a level may have a hundred thousand.
    whole: Vec<u8>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(wanted: &'a [u8], prefix: &'a [u8]) -> Self {
        let tail = &prefix[prefix.len().saturating_sub(wanted.len().saturating_sub(1))..];
        let mut filter = Self {
            finder: Finder::new(wanted),
            fold: !wanted.iter().any(u8::is_ascii_uppercase),
            tail: b"",
            everything: wanted.is_empty(),
            whole: Vec::new(),
        };
        filter.everything = filter.matches(prefix, None);
        Self { tail, ..filter }
    }

    pub(super) fn matches(&mut self, name: &[u8], separator: Option<u8>) -> bool {
        if self.everything {
            return true;
        }
        self.whole.clear();
        self.whole.extend_from_slice(self.tail);
        self.whole.extend_from_slice(name);
        self.whole.extend(separator);
        if self.fold {
            self.whole.make_ascii_lowercase();
        }
        self.finder.find(&self.whole).is_some()
    }
}
