//! Half-open ranges of keys, in the notation of the wire.

/// `[key, end)`. An empty `end` means the key alone; `end` = `\0` means no upper bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct KeyRange {
    pub key: Vec<u8>,
    pub end: Vec<u8>,
}

impl KeyRange {
    pub fn single(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), end: Vec::new() }
    }

    pub fn between(key: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), end: end.into() }
    }

    /// Every key that begins with `prefix`; every key at all if it is empty.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        if prefix.is_empty() {
            return Self::from_key(prefix);
        }
        let end = prefix_end(&prefix);
        Self { key: prefix, end }
    }

    /// Every key from `key` on.
    pub fn from_key(key: impl Into<Vec<u8>>) -> Self {
        let mut key = key.into();
        if key.is_empty() {
            key.push(0);
        }
        Self { key, end: vec![0] }
    }

    pub fn is_single(&self) -> bool {
        self.end.is_empty()
    }

    /// The keys that both have, if there can be any.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (later, earlier) = if self.key >= other.key { (self, other) } else { (other, self) };
        if later.is_single() || earlier.is_single() {
            return (earlier.holds(&later.key)).then(|| Self::single(later.key.clone()));
        }
        let end = if later.reaches(&earlier.end) { &earlier.end } else { &later.end };
        let range = Self::between(later.key.clone(), end.clone());
        (range.end == [0] || range.key < range.end).then_some(range)
    }

    /// Whether a range that begins no earlier leaves no key between the two.
    pub(crate) fn touches(&self, later: &Self) -> bool {
        self.holds(&later.key) || self.end == later.key
    }

    /// Takes in a range that [touches](Self::touches).
    pub(crate) fn extend_to(&mut self, later: &Self) {
        if later.is_single() {
            if !self.holds(&later.key) {
                self.end = [later.key.as_slice(), &[0]].concat();
            }
        } else if self.is_single() || !self.reaches(&later.end) {
            self.end.clone_from(&later.end);
        }
    }

    pub fn holds(&self, key: &[u8]) -> bool {
        match self.end.as_slice() {
            [] => key == self.key,
            [0] => key >= self.key.as_slice(),
            end => key >= self.key.as_slice() && key < end,
        }
    }

    /// Whether a range, not of a single key, goes at least as far as one that ends at `end`.
    fn reaches(&self, end: &[u8]) -> bool {
        self.end == [0] || (end != [0] && self.end.as_slice() >= end)
    }
}

/// The first key after every key that begins with `prefix`; `\0` if there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xff);
    match kept {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        None => vec![0],
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRange;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_lacks_it() {
        assert_eq!(KeyRange::prefix("foo").end, b"fop");
        assert_eq!(KeyRange::prefix(b"foo\xff".to_vec()).end, b"fop");
        assert_eq!(KeyRange::prefix(b"\xff\xff".to_vec()).end, b"\0");
        assert_eq!(KeyRange::prefix(""), KeyRange { key: vec![0], end: vec![0] });
    }
}
