//! `service watch`: what is registered, and then what comes and goes.

use std::collections::BTreeMap;

use kvorum_client::explore::KeyValue;
use kvorum_client::follow::{Begin, Deletions, Follow, FollowItem};
use kvorum_client::naming::ServiceName;
use kvorum_client::{Failure, pb};

use super::list::{MOST_ADDRESSES, too_many};
use super::shown::Place;
use crate::command::{CommandError, Session};
use crate::output::{Format, Rich, Row, Style, Tone, Value, print_one};

pub(super) async fn execute(name: &ServiceName, session: &mut Session) -> Result<(), CommandError> {
    let follow = Follow { range: name.range(), begin: Begin::State, ..Follow::default() };
    let mut following = session.connection.follow(follow).await?;
    let mut known = Known::default();
    while let Some(item) = following.next().await {
        let changes = match item {
            FollowItem::State { kvs, .. } => known.list(&kvs),
            // What came and went in a gap is not known, and does not matter: who is there does.
            FollowItem::Changes(response) | FollowItem::Difference(response) => {
                known.follow(&response)
            }
            FollowItem::Gap(gap) => {
                if gap.deletions != Deletions::Told {
                    session.remark("warning: who went meanwhile may still be told as there");
                }
                continue;
            }
            FollowItem::Lost(failure) => {
                session.remark(&format!("{failure}; watching again as soon as possible"));
                continue;
            }
            FollowItem::Watching { .. } | FollowItem::Progress(_) => continue,
            FollowItem::Ended(end) => return Err(Failure::of_reason(&end.cancel_reason).into()),
            FollowItem::Failed(failure) => return Err(failure.into()),
        };
        tell(&changes, session)?;
        if known.places.len() > MOST_ADDRESSES {
            return Err(too_many("addresses", MOST_ADDRESSES));
        }
    }
    Ok(())
}

const HEADER: [&str; 4] = ["event", "address", "revision", "addresses"];

/// Each change is a whole document in the formats that have them: there is no last one.
fn tell(changes: &[Change], session: &mut Session) -> Result<(), CommandError> {
    let Session { style, out, .. } = session;
    for change in changes {
        if let Format::Rich(Rich::Yaml) = style.format {
            writeln!(out, "---")?;
        }
        print_one(change, &HEADER, style, out)?;
    }
    Ok(())
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
#[derive(Default)]
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

/// It was there when the watch began.
const THERE: &str = "there";
const ADDED: &str = "added";
const CHANGED: &str = "changed";
const REMOVED: &str = "removed";

impl Known {
    fn list(&mut self, kvs: &[pb::KeyValue]) -> Vec<Change> {
        let changes =
            kvs.iter().filter_map(|kv| self.set(&kv.key, Place::of(&as_read(kv)), kv.mod_revision));
        changes.map(|change| Change { event: THERE, ..change }).collect()
    }

    fn follow(&mut self, response: &pb::WatchResponse) -> Vec<Change> {
        let seen_at = response.header.as_ref().map_or(0, |header| header.revision);
        let events = response.events.iter().filter_map(|event| Some((event, event.kv.as_ref()?)));
        let changes = events.filter_map(|(event, kv)| {
            let place =
                (event.r#type != pb::EVENT_DELETE).then(|| Place::of(&as_read(kv))).flatten();
            // Of who went in a gap, nobody knows when: there the revision is 0.
            let revision = if kv.mod_revision > 0 { kv.mod_revision } else { seen_at };
            self.set(&kv.key, place, revision)
        });
        changes.collect()
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
            THERE => ("=", Tone::Key),
            _ => ("~", Tone::Note),
        };
        let address = self.place.address();
        let address = style.paint.of(tone, &format!("{sign} {address}"));
        let when = if self.event == THERE { "since" } else { "at" };
        format!("{address}  {} {when} revision {}", self.event, self.revision)
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
    use kvorum_client::pb;

    use super::{Change, Known};

    fn kv(name: &str, addr: &str, mod_revision: i64) -> pb::KeyValue {
        let value = format!(r#"{{"Op":0,"Addr":"{addr}","Metadata":null}}"#);
        let (key, value) = (format!("web/{name}").into(), value.into());
        pb::KeyValue { key, value, mod_revision, ..pb::KeyValue::default() }
    }

    fn response(revision: i64, events: Vec<pb::Event>) -> pb::WatchResponse {
        let header = Some(pb::ResponseHeader { revision, ..pb::ResponseHeader::default() });
        pb::WatchResponse { header, events, ..pb::WatchResponse::default() }
    }

    fn put(kv: pb::KeyValue) -> pb::Event {
        pb::Event { kv: Some(kv), ..pb::Event::default() }
    }

    fn deleted(name: &str, mod_revision: i64) -> pb::Event {
        let key = format!("web/{name}").into();
        let kv = Some(pb::KeyValue { key, mod_revision, ..pb::KeyValue::default() });
        pb::Event { r#type: pb::EVENT_DELETE, kv, ..pb::Event::default() }
    }

    fn told<'a>(changes: &'a [Change]) -> Vec<(&'a str, &'a str, i64, usize)> {
        let told = |it: &'a Change| {
            (it.event, it.place.instance.addr.as_str(), it.revision, it.addresses.len())
        };
        changes.iter().map(told).collect()
    }

    #[test]
    fn what_is_listed_and_what_happens_then_is_told_with_who_is_there_after_it() {
        let mut known = Known::default();
        let first = known.list(&[kv("a", "a:1", 2), kv("b", "b:1", 3)]);
        assert_eq!(told(&first), [("there", "a:1", 2, 1), ("there", "b:1", 3, 2)]);
        let then = [deleted("a", 4), put(kv("b", "b:2", 5)), put(kv("c", "c:1", 6))];
        let then = known.follow(&response(6, then.to_vec()));
        let want = [("removed", "a:1", 4, 1), ("changed", "b:2", 5, 1), ("added", "c:1", 6, 2)];
        assert_eq!(told(&then), want);
    }

    #[test]
    fn who_went_in_a_gap_went_before_the_revision_of_the_list() {
        let mut known = Known::default();
        known.list(&[kv("a", "a:1", 2)]);
        let gone = known.follow(&response(9, vec![deleted("a", 0)]));
        assert_eq!(told(&gone), [("removed", "a:1", 9, 0)]);
    }

    #[test]
    fn what_is_no_address_and_what_is_no_news_is_not_told() {
        let mut known = Known::default();
        assert_eq!(known.list(&[kv("a", "", 2)]), []);
        assert_eq!(known.follow(&response(3, vec![deleted("a", 3)])), []);
        known.list(&[kv("b", "b:1", 4)]);
        let emptied = known.follow(&response(5, vec![put(kv("b", "", 5))]));
        assert_eq!(told(&emptied), [("removed", "b:1", 5, 0)]);
    }
}
