//! Which names a filter lets through.

/// Matches part of a whole name, however it is spread over levels. Lower case matches both cases.
pub(super) struct Filter<'a> {
    wanted: &'a [u8],
    fold: bool,
    /// The end of the level's prefix that a match may start in.
    tail: &'a [u8],
    /// The prefix matches by itself, and so does everything below it.
    everything: bool,
}

impl<'a> Filter<'a> {
    pub(super) fn new(wanted: &'a [u8], prefix: &'a [u8]) -> Self {
        let fold = !wanted.iter().any(u8::is_ascii_uppercase);
        let tail = &prefix[prefix.len().saturating_sub(wanted.len().saturating_sub(1))..];
        let everything = wanted.is_empty() || contains(prefix, wanted, fold);
        Self { wanted, fold, tail, everything }
    }

    pub(super) fn matches(&self, name: &[u8], separator: Option<u8>) -> bool {
        if self.everything {
            return true;
        }
        if self.tail.is_empty() && separator.is_none() {
            return contains(name, self.wanted, self.fold);
        }
        let whole: Vec<u8> = self.tail.iter().chain(name).copied().chain(separator).collect();
        contains(&whole, self.wanted, self.fold)
    }
}

fn contains(name: &[u8], wanted: &[u8], fold: bool) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    let same = |a: u8, b: u8| if fold { a.eq_ignore_ascii_case(&b) } else { a == b };
    let Some(last_start) = name.len().checked_sub(wanted.len()) else { return false };
    (0..=last_start).any(|at| {
        same(name[at], *first)
            && name[at + 1..=at + rest.len()].iter().zip(rest).all(|(a, b)| same(*a, *b))
    })
}
