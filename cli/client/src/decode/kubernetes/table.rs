//! What is known of the messages of Kubernetes: `kinds.txt`, read when the first object is met.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A message and its fields, by number.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    /// On the wire even if it is zero: no pointer in Go.
    pub(super) always: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    /// Keys are text.
    Map,
    /// Its fields belong to its parent.
    Inline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    Integer,
    Truth,
    Double,
    Message { group: &'static str, name: &'static str },
    Special(Special),
}

/// Messages with a form of their own in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Time,
    MicroTime,
    IntOrString,
    Quantity,
    /// A list in a message.
    Items,
    /// JSON as bytes.
    Raw,
    /// A schema or a list of schemas.
    OrArray,
    /// A schema or whether anything is allowed.
    OrBool,
    /// A schema or a list of texts.
    OrStrings,
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(at)
    }

    /// Whether this name is one of the message's, its inlined messages included.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.fields.iter().any(|field| match field.shape {
            Shape::Inline => field.message().is_some_and(|message| message.owns(name)),
            _ => field.name == name,
        })
    }
}

impl Field {
    pub(super) fn message(&self) -> Option<&'static Message> {
        match self.kind {
            Kind::Message { group, name } => find(group, name),
            _ => None,
        }
    }
}

/// The message of this name in a group.
pub(super) fn find(group: &str, name: &str) -> Option<&'static Message> {
    TABLE.get(group)?.get(name)
}

/// Every object has its metadata as field 1, also those that are not in the table.
pub(super) const ANY_OBJECT: (&str, &str) = ("meta", "PartialObjectMetadata");

const TEXT: &str = include_str!("kinds.txt");

type Group = HashMap<&'static str, Message>;

type Table = HashMap<&'static str, Group>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::new();
    let mut group = "";
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            group = name;
            continue;
        }
        let mut words = line.split(' ');
        let Some(name) = words.next() else { continue };
        let fields = words.filter_map(|word| field(word, group)).collect();
        table.entry(group).or_default().insert(name, Message { fields });
    }
    table
});

/// `name=1:*Type`
fn field(word: &'static str, group: &'static str) -> Option<Field> {
    let (name, rest) = word.split_once('=')?;
    let (number, kind) = rest.split_once(':')?;
    let shape = match kind.as_bytes().first()? {
        b'*' => Shape::List,
        b'%' => Shape::Map,
        b'^' => Shape::Inline,
        _ => Shape::One,
    };
    let kind = kind.trim_start_matches(['*', '%', '^']);
    let (always, kind) = kind.strip_prefix('!').map_or((false, kind), |kind| (true, kind));
    let always = always || shape == Shape::Inline;
    let kind = match kind.strip_prefix('@') {
        Some(special) => Kind::Special(self::special(special)?),
        None => match kind {
            "s" => Kind::Text,
            "x" => Kind::Bytes,
            "i" => Kind::Integer,
            "t" => Kind::Truth,
            "d" => Kind::Double,
            path => {
                let (group, name) = path.rsplit_once('.').unwrap_or((group, path));
                Kind::Message { group, name }
            }
        },
    };
    Some(Field { name, number: number.parse().ok()?, shape, kind, always })
}

fn special(name: &str) -> Option<Special> {
    Some(match name {
        "Time" => Special::Time,
        "MicroTime" => Special::MicroTime,
        "IntOrString" => Special::IntOrString,
        "Quantity" => Special::Quantity,
        "Items" => Special::Items,
        "Raw" => Special::Raw,
        "OrArray" => Special::OrArray,
        "OrBool" => Special::OrBool,
        "OrStrings" => Special::OrStrings,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{ANY_OBJECT, Kind, Shape, TABLE, TEXT, find};

    #[test]
    fn every_word_of_the_table_is_understood_and_every_message_it_names_is_there() {
        let lines = TEXT.lines().filter(|line| !line.starts_with(['#', '[']));
        let words: usize = lines.map(|line| line.split(' ').count() - 1).sum();
        let messages = || TABLE.values().flatten();
        assert_eq!(messages().map(|(_, message)| message.fields.len()).sum::<usize>(), words);
        for (name, message) in messages() {
            assert!(message.fields.is_sorted_by_key(|field| field.number), "{name}");
            for field in &message.fields {
                let Kind::Message { group, name } = field.kind else { continue };
                assert!(find(group, name).is_some(), "{group} {name}");
                assert!(field.shape != Shape::Inline || !field.name.is_empty());
            }
        }
    }

    #[test]
    fn the_kinds_of_a_cluster_are_known() {
        for (group, kinds) in [
            (
                "v1",
                "Pod Service Endpoints ConfigMap Secret Namespace Node Event ServiceAccount \
                 PersistentVolume PersistentVolumeClaim",
            ),
            ("discovery.k8s.io/v1", "EndpointSlice"),
            ("coordination.k8s.io/v1", "Lease"),
            ("apps/v1", "Deployment ReplicaSet StatefulSet DaemonSet"),
            ("batch/v1", "Job CronJob"),
            ("rbac.authorization.k8s.io/v1", "Role RoleBinding ClusterRole ClusterRoleBinding"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ] {
            for kind in kinds.split_whitespace() {
                let message = find(group, kind).unwrap_or_else(|| panic!("{group} {kind}"));
                assert_eq!(message.field(1).unwrap().name, "metadata");
            }
        }
        assert!(find(ANY_OBJECT.0, ANY_OBJECT.1).is_some());
    }
}
