//! Watch streams with several watches each.

use serde_json::{Value, json};

use super::auth::forwards;
use super::keys::{bytes, int};
use super::{Generator, Part};
use crate::differential::contract::base64;
use crate::differential::step::Step;

/// So many streams are open at most.
const STREAMS: usize = 3;

impl Generator {
    pub(super) fn watch(&mut self) {
        if self.streams.is_empty() || (self.streams.len() < STREAMS && self.random.chance(10)) {
            self.open_watch();
        }
        let streams = self.streams.clone();
        let stream = *self.random.pick(&streams);
        match self.random.below(100) {
            0..40 => {
                let create = self.watch_create();
                self.queue.push_back(Step::Watch(stream, json!({"create_request": create})));
            }
            40..55 => {
                let id = *self.random.pick(&[0, 1, 2, 3, 7, 50, -1, 1000]);
                let cancel = json!({"cancel_request": {"watch_id": int(id)}});
                // A watch that is behind has nothing more to say when it is gone.
                self.queue.push_back(Step::Settle);
                self.queue.push_back(Step::Watch(stream, cancel));
            }
            // Between refusals 3.4 tells progress at a time of its own.
            55..60 if self.part == Part::Open => self.progress(),
            60..65 => self.refused_watches(),
            65..67 => self.queue.push_back(Step::Watch(stream, json!({}))),
            55..60 | 67..93 => self.queue.push_back(Step::Settle),
            _ => {
                self.streams.retain(|open| *open != stream);
                self.queue.push_back(Step::CloseWatch(stream));
            }
        }
    }

    pub(super) fn open_watch(&mut self) -> usize {
        let stream = self.next_stream;
        self.next_stream += 1;
        self.streams.push(stream);
        self.queue.push_back(Step::OpenWatch(stream, self.who.clone()));
        stream
    }

    /// A stream whose watches have all caught up: on others 3.4 tells progress that is none.
    pub(super) fn progress(&mut self) {
        let stream = self.open_watch();
        self.streams.retain(|open| *open != stream);
        for key in [self.key(), self.key()] {
            let create = json!({"create_request": {"key": base64(key)}});
            self.queue.push_back(Step::Watch(stream, create));
        }
        let put = self.put_request();
        self.ask("KV/Put", put);
        for _ in 0..2 {
            self.queue.push_back(Step::Settle);
            self.queue.push_back(Step::Watch(stream, json!({"progress_request": {}})));
        }
        self.queue.push_back(Step::CloseWatch(stream));
    }

    /// Each for one reason.
    pub(super) fn refused_watches(&mut self) {
        let stream = self.open_watch();
        for create in [
            json!({"key": base64("k"), "watch_id": "5"}),
            json!({"key": base64("k"), "watch_id": "5"}),
            json!({"key": base64("k"), "range_end": base64("k")}),
            json!({"key": base64("k"), "range_end": base64("a")}),
            json!({}),
        ] {
            self.queue.push_back(Step::Watch(stream, json!({"create_request": create})));
        }
        for request in [json!({}), json!({"cancel_request": {"watch_id": "4711"}})] {
            self.queue.push_back(Step::Watch(stream, request));
        }
        self.streams.retain(|open| *open != stream);
        self.queue.push_back(Step::CloseWatch(stream));
    }

    pub(super) fn close_watches(&mut self) {
        for stream in std::mem::take(&mut self.streams) {
            self.queue.push_back(Step::CloseWatch(stream));
        }
    }

    fn watch_create(&mut self) -> Value {
        let (key, mut end) = self.range();
        // etcd asks only for the right to the first of all keys from one on.
        if self.part == Part::Guarded && end == b"\0" {
            end.clear();
        }
        let mut create = json!({});
        if !self.random.chance(3) {
            bytes(&mut create, "key", &key);
        }
        bytes(&mut create, "range_end", &end);
        if self.part == Part::Guarded {
            forwards(&mut create);
        }
        let now = self.known.revision;
        match self.random.below(20) {
            0 | 1 => create["start_revision"] = int(now + 1 + self.random.below(10) as i64),
            2..9 => {
                // Not what is compacted: etcd keeps the id of a watch that ended by it.
                let past = now - self.random.below(30) as i64;
                let past = past.max(self.known.compacted + 1);
                create["start_revision"] = int(past);
            }
            _ => {}
        }
        for (field, percent) in [("prev_kv", 40), ("fragment", 20), ("progress_notify", 20)] {
            if self.random.chance(percent) {
                create[field] = true.into();
            }
        }
        if self.random.chance(20) {
            let filters = [&[0][..], &[1], &[0, 1], &[7], &[-1]];
            create["filters"] = filters[self.random.index(filters.len())].into();
        }
        if self.random.chance(15) {
            create["watch_id"] = int(*self.random.pick(&[1, 7, 50, 0, -3]));
        }
        create
    }
}
