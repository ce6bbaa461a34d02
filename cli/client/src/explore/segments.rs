//! How a key falls into the names of a path.

/// The segments of a key behind a prefix. Each but the last ends with the separator.
///
/// A separator with nothing before it ends no segment: `/a/b` is `/a/`, `b`, so that a keyspace
/// whose keys all begin with the separator has no level without a name.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    rest: &'a [u8],
    separator: u8,
}

impl<'a> Segments<'a> {
    /// `key` begins with a prefix of `skip` bytes.
    pub fn new(key: &'a [u8], skip: usize, separator: u8) -> Self {
        Self { rest: &key[skip.min(key.len())..], separator }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        // The first byte belongs to the name, whatever it is.
        let end = self.rest[1..].iter().position(|byte| *byte == self.separator);
        let (segment, rest) = self.rest.split_at(end.map_or(self.rest.len(), |at| at + 2));
        self.rest = rest;
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::Segments;

    fn segments(key: &str, skip: usize) -> Vec<&str> {
        Segments::new(key.as_bytes(), skip, b'/')
            .map(|part| str::from_utf8(part).unwrap())
            .collect()
    }

    #[test]
    fn a_key_falls_into_names_and_no_name_is_empty() {
        assert_eq!(segments("/a/b/c", 0), ["/a/", "b/", "c"]);
        assert_eq!(segments("a/b", 0), ["a/", "b"]);
        assert_eq!(segments("/a/b/c", 3), ["b/", "c"]);
        assert_eq!(segments("/a/b/c", 2), ["/b/", "c"]);
        assert_eq!(segments("a//b/", 0), ["a/", "/b/"]);
        assert_eq!(segments("/", 0), ["/"]);
        assert!(segments("ab", 2).is_empty() && segments("a", 9).is_empty());
    }
}
