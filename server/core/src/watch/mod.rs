//! Who is owed which event.
//!
//! A [`Hub`] serves many streams, each with many watches. It holds no events: the store's
//! history is the queue, and the hub remembers per watch only from which revision on it is still
//! owed something. A watch is in one of three states:
//!
//! - *synced*: it has got everything up to [`Hub::revision`]. All synced watches together are
//!   served by one walk over what is new, matched by an index of keys and ranges;
//! - *behind*: it has a cursor of its own. It started in the past, or its stream could not take
//!   what was due (slow). It waits for its stream to have credit, and for a convoy;
//! - *riding*: it catches up together with all others that were on the way, in small steps
//!   through the history, until it is synced or its stream can take no more.
//!
//! Invariants:
//! - A stream's replies leave in one order. Events of a watch come by revision, once each, after
//!   its `Created`; a progress notice for revision R comes after every event up to R.
//! - The changes of one revision are never spread over two replies, but for a watch that asked
//!   for fragments; those say so.
//! - A watch gets every event it asked for, or the word that compaction overtook it. That word
//!   waits for credit like any reply and is never lost.
//! - Memory does not depend on how much was written: a stream without credit costs its watches
//!   and the short answers to its own requests, whose number the shell limits by
//!   [`Hub::backlog`].
//!
//! There is no clock and no channel here: the shell calls, and sends what comes out in order.

mod cohort;
mod feed;
mod gathered;
mod hub;
mod index;
mod intervals;
mod keys;
mod limits;
mod reply;
mod serve;
mod stream;
mod waiting;

pub use feed::Feed;
pub use hub::Hub;
pub use limits::{BACKLOG, Budget, RESPONSE_BYTES, WATCH_KEY_BYTES_PER_STREAM, WATCHES_PER_STREAM};
pub use reply::{Body, Delivery, Event, Events, Refusal, StreamId, WatchId, WatchReply};
