//! The values of a range as they are, and when they have changed.

use std::collections::BTreeMap;

use kvorum_client::follow::{Begin, Follow, FollowItem, Following};
use kvorum_client::{Connection, Failure, KeyRange, pb};

/// Every value of a range, kept up to date.
pub(super) struct Values {
    /// `None` once it is over.
    following: Option<Following>,
    pub(super) held: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// What has happened to a range.
#[derive(Debug)]
pub(super) enum News {
    /// Some values are others now, or may be.
    Changed,
    /// Nothing that anybody needs to know.
    Nothing,
    /// The cluster cannot be asked; it is tried again.
    Lost(Failure),
    /// The cluster is there again.
    Found,
    /// The range cannot be followed any more. That is the last that is heard of it.
    Over(String),
}

/// More is no configuration.
pub(super) const MOST_BYTES: usize = 16 << 20;

impl Values {
    /// Reads a range, and goes on to follow it.
    pub(super) async fn of(connection: &Connection, range: KeyRange) -> Result<Self, Failure> {
        let follow = Follow { range, begin: Begin::State, ..Follow::default() };
        let following = connection.follow(follow).await?;
        let mut values = Self { following: Some(following), held: BTreeMap::new(), bytes: 0 };
        loop {
            match values.next().await {
                // The first time, it says that everything was told.
                News::Found => return Ok(values),
                News::Over(message) => {
                    return Err(Failure::Config(message));
                }
                News::Changed | News::Nothing | News::Lost(_) => {}
            }
        }
    }

    /// Of keys and values together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What happens next. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> News {
        let Some(following) = &mut self.following else { return std::future::pending().await };
        let Some(item) = following.next().await else {
            // It was said before that it is over, and nothing more comes.
            return std::future::pending().await;
        };
        let news = self.taken(item);
        if let News::Over(_) = news {
            self.following = None;
        }
        news
    }

    fn taken(&mut self, item: FollowItem) -> News {
        match item {
            FollowItem::State { kvs, .. } => {
                for kv in kvs {
                    self.put(kv);
                }
                self.told(News::Nothing)
            }
            FollowItem::Changes(response) | FollowItem::Difference(response) => {
                for event in response.events {
                    self.apply(event);
                }
                self.told(News::Changed)
            }
            FollowItem::Watching { .. } => News::Found,
            FollowItem::Gap(_) | FollowItem::Progress(_) => News::Nothing,
            FollowItem::Lost(failure) => News::Lost(failure),
            FollowItem::Ended(response) => {
                News::Over(format!("the server ended the watch: {}", response.cancel_reason))
            }
            FollowItem::Failed(failure) => News::Over(failure.to_string()),
        }
    }

    fn told(&self, news: News) -> News {
        if self.bytes > MOST_BYTES {
            return News::Over(format!("the keys have more than {MOST_BYTES} bytes together"));
        }
        news
    }

    fn apply(&mut self, event: pb::Event) {
        let Some(kv) = event.kv else { return };
        if event.r#type == pb::EVENT_DELETE {
            if let Some(value) = self.held.remove(&kv.key) {
                self.bytes -= kv.key.len() + value.len();
            }
        } else {
            self.put(kv);
        }
    }

    fn put(&mut self, kv: pb::KeyValue) {
        let key_bytes = kv.key.len();
        self.bytes += key_bytes + kv.value.len();
        if let Some(old) = self.held.insert(kv.key, kv.value) {
            self.bytes -= key_bytes + old.len();
        }
    }
}
