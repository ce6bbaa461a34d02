//! `service watch`: what is registered, and then what comes and goes.

use std::collections::BTreeMap;

use kvorum_client::explore::KeyValue;
use kvorum_client::naming::ServiceName;
use kvorum_client::{Failure, Watch, WatchItem, pb};

use super::list::places;
use super::shown::Place;
use crate::command::{CommandError, Session};
use crate::output::{Row, Rows, Style, Tone, Value};

pub(super) async fn execute(name: &ServiceName, session: &mut Session) -> Result<(), CommandError> {
    let (found, mut revision) = places(&session.connection, name).await?;
    let mut known = Known { places: BTreeMap::new() };
    let changes = known.become_these(found, revision);
    tell(&changes, session)?;
    loop {
        let watch = Watch { range: name.range(), start_revision: revision + 1, ..Watch::default() };
        let mut stream = session.connection.watch(watch).await?;
        loop {
            match stream.next().await {
                Some(WatchItem::Events(response)) => {
                    let changes = known.follow(&response);
                    tell(&changes, session)?;
                }
                Some(WatchItem::Lost(failure)) => {
                    session.remark(&format!("{failure}; watching again as soon as possible"));
                }
                Some(WatchItem::Ended(end)) if end.compact_revision != 0 => break,
                Some(WatchItem::Ended(end)) => {
                    return Err(Failure::of_reason(&end.cancel_reason).into());
                }
                Some(WatchItem::Failed(failure)) => return Err(failure.into()),
                Some(WatchItem::Watching { .. } | WatchItem::Progress(_)) => {}
                None => return Err(Failure::of_reason("the watch ended").into()),
            }
        }
        // What came and went in between is not known, and does not matter: who is there does.
        let (found, at) = places(&session.connection, name).await?;
        revision = at;
        let changes = known.become_these(found, revision);
        tell(&changes, session)?;
    }
}

fn tell(changes: &[Change], session: &mut Session) -> Result<(), CommandError> {
    let Session { style, out, .. } = session;
    let mut rows = Rows::new(style, &["event", "address", "revision", "addresses"], out);
    for change in changes {
        rows.row(change)?;
    }
    Ok(rows.end()?)
}

/// As a scan has it.
fn as_read(kv: &pb::KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key.clone().into(),
        value: kv.value.clone().into(),
        lease: kv.lease,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
    }
}

/// Who is registered, by key.
struct Known {
    places: BTreeMap<Vec<u8>, Place>,
}

/// What happened to one address, and who was there after it.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    event: &'static str,
    place: Place,
    revision: i64,
    /// All addresses, in the order of their keys.
    addresses: Vec<String>,
}

const ADDED: &str = "added";
const CHANGED: &str = "changed";
const REMOVED: &str = "removed";

impl Known {
    fn follow(&mut self, response: &pb::WatchResponse) -> Vec<Change> {
        let events = response.events.iter().filter_map(|event| Some((event, event.kv.as_ref()?)));
        let changes = events.filter_map(|(event, kv)| {
            let place =
                (event.r#type != pb::EVENT_DELETE).then(|| Place::of(&as_read(kv))).flatten();
            self.set(&kv.key, place, kv.mod_revision)
        });
        changes.collect()
    }

    fn become_these(&mut self, places: Vec<Place>, revision: i64) -> Vec<Change> {
        let gone: Vec<_> = self.places.keys().cloned().collect();
        let gone = gone.into_iter().filter(|key| places.iter().all(|place| place.key != *key));
        let gone: Vec<_> = gone.filter_map(|key| self.set(&key, None, revision)).collect();
        let there = places.into_iter().filter_map(|place| {
            let (key, revision) = (place.key.clone(), place.mod_revision);
            self.set(&key, Some(place), revision)
        });
        gone.into_iter().chain(there.collect::<Vec<_>>()).collect()
    }

    /// What it means that this is at the key; nothing, if that is no news. Where there is no address,
    /// there is nobody.
    fn set(&mut self, key: &[u8], place: Option<Place>, revision: i64) -> Option<Change> {
        let before = match &place {
            Some(place) => self.places.insert(key.to_vec(), place.clone()),
            None => self.places.remove(key),
        };
        let (event, place) = match (before, place) {
            (None, Some(place)) => (ADDED, place),
            (Some(before), Some(place)) if before != place => (CHANGED, place),
            (Some(before), None) => (REMOVED, before),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let addresses = self.places.values().map(|place| place.instance.addr.clone()).collect();
        Some(Change { event, place, revision, addresses })
    }
}

impl Row for Change {
    fn simple(&self, style: &Style) -> String {
        let (sign, tone) = match self.event {
            ADDED => ("+", Tone::Key),
            REMOVED => ("-", Tone::Fault),
            _ => ("~", Tone::Note),
        };
        let address = self.place.address();
        let address = style.paint.of(tone, &format!("{sign} {address}"));
        format!("{address}  {} at revision {}", self.event, self.revision)
    }

    fn value(&self) -> Value {
        Value::map([("event", Value::text(self.event)), ("revision", Value::Int(self.revision))])
            .and(self.place.value())
            .with("addresses", Value::list(self.addresses.iter().map(Value::text)))
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.event.to_owned(),
            self.place.address(),
            self.revision.to_string(),
            self.addresses.len().to_string(),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.place.key)
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::explore::KeyValue;

    use super::{Change, Known};
    use crate::command::own::service::shown::Place;

    fn place(name: &str, addr: &str, mod_revision: i64) -> Place {
        let value = format!(r#"{{"Op":0,"Addr":"{addr}","Metadata":null}}"#);
        let (key, value) = (format!("web/{name}").into(), value.into());
        Place::of(&KeyValue { key, value, mod_revision, ..KeyValue::default() }).unwrap()
    }

    fn told(changes: &[Change]) -> Vec<(&str, &str, usize)> {
        let told = |change: &Change| change.addresses.len();
        changes.iter().map(|it| (it.event, it.place.instance.addr.as_str(), told(it))).collect()
    }

    #[test]
    fn what_is_listed_again_is_told_as_what_has_changed() {
        let mut known = Known { places: std::collections::BTreeMap::new() };
        let first = known.become_these(vec![place("a", "a:1", 2), place("b", "b:1", 3)], 3);
        assert_eq!(told(&first), [("added", "a:1", 1), ("added", "b:1", 2)]);
        let then = known.become_these(vec![place("b", "b:2", 5), place("c", "c:1", 6)], 7);
        assert_eq!(
            told(&then),
            [("removed", "a:1", 1), ("changed", "b:2", 1), ("added", "c:1", 2)]
        );
        assert_eq!(known.become_these(vec![place("b", "b:2", 5), place("c", "c:1", 6)], 8), []);
        assert_eq!(known.set(b"web/other", None, 9), None);
    }
}
