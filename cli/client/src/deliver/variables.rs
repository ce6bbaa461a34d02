//! Keys as variables of a process. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use thiserror::Error;

use super::quoted;

/// Why keys cannot be the variables of a process.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadVariables {
    #[error("{} and {} would both be the variable {name}", quoted(&.keys.0), quoted(&.keys.1))]
    Collision { name: String, keys: (Vec<u8>, Vec<u8>) },
    #[error("{} is the prefix itself: no name is left for a variable", quoted(.0))]
    NoName(Vec<u8>),
    #[error("{} would be the variable {name}, and no name begins with a digit", quoted(.key))]
    Digit { name: String, key: Vec<u8> },
    #[error("the value of {} has a NUL byte, which ends a variable", quoted(.0))]
    Nul(Vec<u8>),
    #[error(
        "the value of {} has {bytes} bytes, and a variable at most {MOST_BYTES_EACH}",
        quoted(.key)
    )]
    TooLong { key: Vec<u8>, bytes: usize },
    #[error("the variables have more than {MOST_BYTES} bytes, which no process is given")]
    TooMany,
}

/// Linux takes no string of 32 pages or more (`MAX_ARG_STRLEN`); the name has some of it.
const MOST_BYTES_EACH: usize = 128 * 1024 - 1024;

/// Linux gives a process at least a quarter of its stack, 2 MiB by default, for words and variables;
/// those that are inherited need room, too.
const MOST_BYTES: usize = 1 << 20;

/// The variables for the keys below a prefix: what is behind the prefix is the name, with `_` for
/// every byte that is no letter of ASCII, digit or `_`. In the order of names.
pub fn variables(
    prefix: &[u8],
    values: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, BadVariables> {
    let mut variables = BTreeMap::new();
    let mut keys: BTreeMap<String, &[u8]> = BTreeMap::new();
    let mut bytes = 0;
    for (key, value) in values {
        let name = name(key.strip_prefix(prefix).unwrap_or(key));
        match name.bytes().next() {
            None => return Err(BadVariables::NoName(key.clone())),
            Some(b'0'..=b'9') => return Err(BadVariables::Digit { name, key: key.clone() }),
            Some(_) => {}
        }
        if value.contains(&0) {
            return Err(BadVariables::Nul(key.clone()));
        }
        if name.len() + value.len() > MOST_BYTES_EACH {
            return Err(BadVariables::TooLong { key: key.clone(), bytes: value.len() });
        }
        bytes += name.len() + value.len();
        match keys.entry(name.clone()) {
            Entry::Occupied(other) => {
                let keys = (other.get().to_vec(), key.clone());
                return Err(BadVariables::Collision { name, keys });
            }
            Entry::Vacant(entry) => _ = entry.insert(key),
        }
        variables.insert(name, value.clone());
    }
    if bytes > MOST_BYTES { Err(BadVariables::TooMany) } else { Ok(variables) }
}

fn name(rest: &[u8]) -> String {
    let letter = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(*byte),
        _ => '_',
    };
    rest.iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BadVariables, MOST_BYTES, MOST_BYTES_EACH, variables};

    fn of(keys: &[(&str, &[u8])]) -> Result<BTreeMap<String, Vec<u8>>, BadVariables> {
        let values = keys.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec()));
        variables(b"/app/", &values.collect())
    }

    #[test]
    fn a_name_is_what_is_behind_the_prefix_with_its_case_kept() {
        let made = of(&[("/app/db/Host-name", b"a=\xff b"), ("/app/_x.y", b""), ("/app/é", b"1")]);
        let made: Vec<_> = made.unwrap().into_iter().collect();
        let expected: [(&str, &[u8]); 3] =
            [("__", b"1"), ("_x_y", b""), ("db_Host_name", b"a=\xff b")];
        assert_eq!(made, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    }

    #[test]
    fn what_cannot_be_a_variable_is_an_error_that_names_the_keys() {
        let long = vec![b'x'; MOST_BYTES_EACH];
        for (keys, expected) in [
            (
                &[("/app/a-b", &b"1"[..]), ("/app/a.b", b"2")][..],
                "\"/app/a-b\" and \"/app/a.b\" would both be the variable a_b",
            ),
            (&[("/app/", b"1")], "\"/app/\" is the prefix itself: no name is left for a variable"),
            (
                &[("/app/1st", b"1")],
                "\"/app/1st\" would be the variable 1st, and no name begins with a digit",
            ),
            (
                &[("/app/a", b"x\0y")],
                "the value of \"/app/a\" has a NUL byte, which ends a variable",
            ),
            (
                &[("/app/a", &long)],
                "the value of \"/app/a\" has 130048 bytes, and a variable at most 130048",
            ),
        ] {
            assert_eq!(of(keys).unwrap_err().to_string(), expected);
        }
        let names: Vec<_> = (0..20).map(|i| format!("/app/a{i}")).collect();
        let many: Vec<_> =
            names.iter().map(|name| (name.as_str(), &long[..MOST_BYTES / 16])).collect();
        assert_eq!(of(&many), Err(BadVariables::TooMany));
    }
}
