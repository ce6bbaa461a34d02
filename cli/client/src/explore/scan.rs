//! Reading every key of some ranges as they were at one revision, with one page being fetched while
//! another is handled.
//!
//! The first page pins the revision; whoever answers the next page answers for that. When the
//! server has it no more (a compaction), the scan goes on behind the last key at the newest revision
//! and says so: then what it yields was not all there at one moment.
//!
//! Servers that offer `RangeStream` send the rest in one stream. Up to etcd 3.6 each page is a
//! request, and makes the server count to the end of the range.

use std::collections::VecDeque;
use std::time::Duration;

use kvorum_proto::etcdserverpb::{RangeRequest, RangeResponse};
use kvorum_proto::key_range::successor;
use kvorum_proto::mvccpb::KeyValue;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::keyspace::{Chunks, Keyspace, Wire};
use super::page_size::PageSize;
use crate::connection::Connection;
use crate::failure::{COMPACTED, FUTURE_REVISION, Failure};
use crate::range::KeyRange;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Read one after another; sorted and apart, the keys come sorted and once.
    pub ranges: Vec<KeyRange>,
    /// 0 is the newest when the scan begins.
    pub revision: i64,
    /// Without, the values are empty.
    pub values: bool,
}

/// Some keys, in key order.
#[derive(Debug)]
pub struct Page {
    /// Empty only at the end of a scan that was begun anew and found nothing more.
    pub kvs: Vec<KeyValue>,
    /// The revision they were read at.
    pub revision: i64,
    /// The pages before were read at another revision, which the server has given up.
    pub anew: bool,
    /// Keys of this range that come after this page, as far as the server said.
    pub remaining: Option<u64>,
    /// What was transferred, about.
    pub bytes: usize,
}

/// A running scan. Dropping it ends it.
pub struct Scan {
    pages: Receiver<Result<Page, Failure>>,
    task: JoinHandle<()>,
}

/// The most that an answer of one page may be. The size aimed at is a quarter of it.
const MOST_PAGE_BYTES: usize = 16 << 20;

/// A scan that has begun waits so long for a member to answer again.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Numbers and tags around key and value.
const FRAME_BYTES: usize = 32;

impl Scan {
    /// Begins to read. Must be called within a runtime.
    pub fn start(connection: &Connection, request: ScanRequest) -> Self {
        Self::over(Wire::new(connection), request)
    }

    pub(super) fn over(keyspace: impl Keyspace, request: ScanRequest) -> Self {
        // A page is asked for when there is room for it: one waits at most.
        let (sender, pages) = channel(1);
        let task = tokio::spawn(Reader::new(keyspace, request).run(sender));
        Self { pages, task }
    }

    /// The next page; `None` when everything was read.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        self.pages.recv().await.transpose()
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reader<K> {
    keyspace: K,
    /// What is left to read.
    ranges: VecDeque<KeyRange>,
    /// 0 until a page has told which one is the newest.
    revision: i64,
    values: bool,
    size: PageSize,
    /// Whether the server may offer `RangeStream`.
    streams: bool,
    chunks: Option<Chunks>,
    /// The next page is the first after a compaction.
    anew: bool,
    begun: bool,
    /// Since when nobody has answered.
    silent_since: Option<Instant>,
    remaining: Option<u64>,
}

/// What came of one question.
enum Answer {
    Page(RangeResponse),
    /// Of a stream, which does not say how much is left.
    Chunk(RangeResponse),
    RangeEnds,
}

impl<K: Keyspace> Reader<K> {
    fn new(keyspace: K, request: ScanRequest) -> Self {
        Self {
            keyspace,
            ranges: request.ranges.into(),
            revision: request.revision,
            values: request.values,
            size: PageSize::new(),
            streams: true,
            chunks: None,
            anew: false,
            begun: false,
            silent_since: None,
            remaining: None,
        }
    }

    async fn run(mut self, pages: Sender<Result<Page, Failure>>) {
        while let Ok(room) = pages.reserve().await {
            match self.next().await.transpose() {
                Some(Ok(page)) => room.send(Ok(page)),
                Some(Err(failure)) => return room.send(Err(failure)),
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Page>, Failure> {
        while let Some(range) = self.ranges.front().cloned() {
            match self.ask(&range).await {
                Ok(answer) => {
                    self.silent_since = None;
                    if let Some(page) = self.take(answer, &range)? {
                        return Ok(Some(page));
                    }
                }
                Err(failure) => {
                    self.chunks = None;
                    self.recover(failure).await?;
                }
            }
        }
        // What was there of the rest at the old revision is not known: that must be heard, too.
        Ok(self.anew.then(|| self.page(Vec::new())))
    }

    async fn ask(&mut self, range: &KeyRange) -> Result<Answer, Failure> {
        let request = RangeRequest {
            key: range.key.clone().into(),
            range_end: range.end.clone().into(),
            revision: self.revision,
            serializable: true,
            keys_only: !self.values,
            ..RangeRequest::default()
        };
        // A stream tells its revision at its end, so the first page is one that was asked for.
        if self.streams && self.revision != 0 && self.begun && self.chunks.is_none() {
            match self.keyspace.stream(request.clone()).await {
                Ok(chunks) => self.chunks = Some(chunks),
                Err(failure) if failure.code() == Some(Code::Unimplemented) => self.streams = false,
                Err(failure) => return Err(failure),
            }
        }
        match &mut self.chunks {
            None => {
                let request = RangeRequest { limit: self.size.keys(), ..request };
                self.keyspace.range(request, MOST_PAGE_BYTES).await.map(Answer::Page)
            }
            Some(chunks) => match futures::StreamExt::next(chunks).await {
                None => Ok(Answer::RangeEnds),
                // A server without the method may say so only now.
                Some(Err(failure)) if failure.code() == Some(Code::Unimplemented) => {
                    self.streams = false;
                    Err(failure)
                }
                Some(chunk) => chunk.map(Answer::Chunk),
            },
        }
    }

    fn take(&mut self, answer: Answer, asked: &KeyRange) -> Result<Option<Page>, Failure> {
        let (response, ends) = match answer {
            Answer::RangeEnds => (RangeResponse::default(), true),
            Answer::Chunk(response) => (response, false),
            Answer::Page(response) => {
                let keys = response.kvs.len() as u64;
                self.remaining = Some((response.count.max(0) as u64).max(keys));
                let ends = !response.more || response.kvs.is_empty();
                (response, ends)
            }
        };
        if !are_in_order(&response.kvs, &asked.key) {
            return Err(Failure::of_reason("the server's keys are not in order"));
        }
        if self.revision == 0 {
            self.revision = response.header.as_ref().map_or(0, |header| header.revision);
        }
        self.begun = true;
        if ends {
            self.ranges.pop_front();
            self.chunks = None;
        } else if let (Some(range), Some(last)) = (self.ranges.front_mut(), response.kvs.last()) {
            range.key = successor(&last.key).to_vec();
        }
        if response.kvs.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.page(response.kvs)))
    }

    fn page(&mut self, kvs: Vec<KeyValue>) -> Page {
        let size = |kv: &KeyValue| FRAME_BYTES + kv.key.len() + kv.value.len();
        let bytes = kvs.iter().map(size).sum();
        self.size.learn(kvs.len(), bytes);
        self.remaining = self.remaining.map(|left| left.saturating_sub(kvs.len() as u64));
        Page {
            revision: self.revision,
            anew: std::mem::take(&mut self.anew),
            remaining: self.remaining,
            bytes,
            kvs,
        }
    }

    /// Makes ready to ask again, or finds that it cannot help.
    async fn recover(&mut self, failure: Failure) -> Result<(), Failure> {
        match &failure {
            Failure::Refused { code: Code::Unimplemented, .. } if !self.streams => return Ok(()),
            Failure::Refused { message, .. }
                if message == COMPACTED && self.begun && self.revision != 0 =>
            {
                self.revision = 0;
                self.anew = true;
                // Until the revision is known anew, a page is asked for.
                return Ok(());
            }
            Failure::Refused { message, .. } if is_too_large(message) => {
                return if self.size.shrink() { Ok(()) } else { Err(failure) };
            }
            _ if !self.begun || !is_passing(&failure) => return Err(failure),
            // A page that takes too long to come may be too large for the way it has to go.
            Failure::NoAnswer { .. } if self.size.shrink() => return Ok(()),
            _ => {}
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE {
            return Err(failure);
        }
        sleep(RETRY_PAUSE).await;
        Ok(())
    }
}

/// Whether each key comes after the one before it, and none before `first`.
fn are_in_order(kvs: &[KeyValue], first: &[u8]) -> bool {
    kvs.first().is_none_or(|kv| kv.key >= first) && kvs.is_sorted_by(|a, b| a.key < b.key)
}

/// Refused by this side, by a server's gRPC, or by what stands between.
fn is_too_large(message: &str) -> bool {
    message.contains("message length too large") || message.contains("message larger than max")
}

/// Whether another try, or another member, may well answer: one that is behind catches up.
fn is_passing(failure: &Failure) -> bool {
    failure.is_connection()
        || failure.is_no_leader()
        || match failure {
            Failure::Refused { code, message } => {
                matches!(code, Code::Unavailable | Code::Aborted) || message == FUTURE_REVISION
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::super::test_keys::{TestKeys, block_on};
    use super::{COMPACTED, FUTURE_REVISION, KeyValue, Scan, ScanRequest, are_in_order};
    use crate::failure::Failure;
    use crate::range::KeyRange;

    struct Read {
        keys: Vec<Vec<u8>>,
        revisions: Vec<i64>,
        anew: usize,
        values: usize,
    }

    fn read_ranges(keys: &TestKeys, ranges: Vec<KeyRange>, values: bool) -> Result<Read, Failure> {
        block_on(async {
            let request = ScanRequest { ranges, revision: 0, values };
            let mut scan = Scan::over(keys.clone(), request);
            let mut read = Read { keys: vec![], revisions: vec![], anew: 0, values: 0 };
            while let Some(page) = scan.next().await? {
                assert!(!page.kvs.is_empty() || page.anew);
                read.values += page.kvs.iter().map(|kv| kv.value.len()).sum::<usize>();
                read.keys.extend(page.kvs.into_iter().map(|kv| kv.key.to_vec()));
                read.revisions.push(page.revision);
                read.anew += usize::from(page.anew);
            }
            Ok(read)
        })
    }

    fn read(keys: &TestKeys) -> Read {
        read_ranges(keys, vec![KeyRange::prefix("")], false).unwrap()
    }

    fn many() -> TestKeys {
        TestKeys::new((0..20_000).map(|n| format!("k{n:06}")))
    }

    #[test]
    fn every_key_comes_once_in_order_by_pages_and_by_a_stream() {
        for streams in [false, true] {
            let keys = many().with_streams(streams);
            let read = read(&keys);
            assert_eq!(read.keys.len(), 20_000);
            assert!(read.keys.is_sorted_by(|a, b| a < b));
            assert_eq!(read.values, 0, "values were not asked for");
            assert!(keys.asked() < 12, "{} requests", keys.asked());
        }
    }

    #[test]
    fn values_come_when_they_are_asked_for() {
        let read = read_ranges(&many(), vec![KeyRange::prefix("k00000")], true).unwrap();
        assert_eq!((read.keys.len(), read.values), (10, 10 * TestKeys::VALUE_BYTES));
    }

    #[test]
    fn ranges_are_read_one_after_another_at_one_revision() {
        let keys = many();
        keys.grow_at(1, 1);
        let ranges =
            vec![KeyRange::single("k000007"), KeyRange::prefix("k0001"), KeyRange::single("x")];
        let read = read_ranges(&keys, ranges, false).unwrap();
        assert_eq!(read.keys.len(), 101);
        assert_eq!(read.revisions, [TestKeys::REVISION; 2]);
    }

    #[test]
    fn a_compaction_in_the_middle_is_told_and_no_key_is_lost() {
        for streams in [false, true] {
            let keys = many().with_streams(streams);
            keys.grow_at(2, 100);
            keys.fail_at(2, Failure::Refused { code: Code::OutOfRange, message: COMPACTED.into() });
            let read = read(&keys);
            assert_eq!(read.keys.len(), 20_000);
            assert_eq!(read.anew, 1);
            assert_eq!(read.revisions.first(), Some(&TestKeys::REVISION));
            assert_eq!(read.revisions.last(), Some(&(TestKeys::REVISION + 100)));
        }
    }

    #[test]
    fn a_compaction_is_told_even_if_nothing_is_left_behind_it() {
        for streams in [false, true] {
            let keys = many().with_streams(streams);
            keys.empty_at(2);
            keys.fail_at(2, Failure::Refused { code: Code::OutOfRange, message: COMPACTED.into() });
            let read = read(&keys);
            assert!(read.keys.len() < 20_000);
            assert_eq!(read.anew, 1);
        }
    }

    #[test]
    fn keys_in_disorder_are_a_failure() {
        let kvs = |keys: &[&'static str]| -> Vec<_> {
            let kv = |key: &&'static str| KeyValue { key: (*key).into(), ..KeyValue::default() };
            keys.iter().map(kv).collect()
        };
        assert!(are_in_order(&kvs(&["a", "b"]), b"a") && are_in_order(&[], b"a"));
        for keys in [&["b", "a"][..], &["b", "b"], &["a", "b"]] {
            assert!(!are_in_order(&kvs(keys), b"aa"), "{keys:?}");
        }
    }

    #[test]
    fn a_revision_that_is_gone_from_the_beginning_is_a_failure() {
        let keys = many();
        keys.fail_at(1, Failure::Refused { code: Code::OutOfRange, message: COMPACTED.into() });
        assert!(read_ranges(&keys, vec![KeyRange::prefix("")], false).is_err());
    }

    #[test]
    fn a_member_that_is_behind_or_goes_away_is_waited_for_once_the_scan_has_begun() {
        let behind = Failure::Refused { code: Code::OutOfRange, message: FUTURE_REVISION.into() };
        let broken = Failure::Broken {
            endpoint: "a".into(),
            cause: "reset".into(),
            write: false,
            answered: true,
        };
        for failure in [behind, broken.clone()] {
            for streams in [false, true] {
                let keys = many().with_streams(streams);
                keys.fail_at(2, failure.clone());
                assert_eq!(read(&keys).keys.len(), 20_000);
            }
        }
        let keys = many();
        keys.fail_at(1, broken);
        assert!(read_ranges(&keys, vec![KeyRange::prefix("")], false).is_err());
    }

    #[test]
    fn a_page_too_large_is_asked_for_in_smaller_parts() {
        let keys = many();
        let message =
            "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        keys.fail_at(2, Failure::Refused { code: Code::OutOfRange, message: message.into() });
        assert_eq!(read(&keys).keys.len(), 20_000);
    }

    #[test]
    fn only_one_page_is_fetched_before_it_is_asked_for() {
        let keys = many();
        block_on(async {
            let request =
                ScanRequest { ranges: vec![KeyRange::prefix("")], ..ScanRequest::default() };
            let mut scan = Scan::over(keys.clone(), request);
            for wanted in 1..4 {
                assert!(scan.next().await.unwrap().is_some());
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(keys.asked(), wanted + 1);
            }
        });
    }
}
