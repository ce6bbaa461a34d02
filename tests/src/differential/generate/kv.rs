//! Range, Put, DeleteRange and Compact.

use serde_json::{Value, json};

use super::Generator;
use super::keys::{bytes, int};
use crate::differential::step::Step;

impl Generator {
    pub(super) fn kv(&mut self) {
        match self.random.below(100) {
            0..45 => {
                let request = self.range_request(true);
                self.ask_either("KV/Range", request);
            }
            45..85 => {
                let request = self.put_request();
                self.ask_either("KV/Put", request);
            }
            85..98 => {
                let request = self.delete_request();
                self.ask_either("KV/DeleteRange", request);
            }
            _ => self.compact(),
        }
    }

    /// `hostile` requests may also be refused for what they are. A sort option that is none stops
    /// etcd 3.4, so the table of bad inputs has it and this has not.
    pub(super) fn range_request(&mut self, hostile: bool) -> Value {
        let (key, end) = self.range();
        let mut request = json!({});
        bytes(&mut request, "key", &key);
        bytes(&mut request, "range_end", &end);
        if self.random.chance(30) {
            request["limit"] = int(self.random.below(8) as i64 - 1);
        }
        if self.random.chance(30) {
            request["revision"] = int(self.revision());
        }
        if self.random.chance(40) {
            request["sort_order"] = self.random.below(3).into();
            let target = self.random.below(5);
            request["sort_target"] = target.into();
            if target != 0 {
                // Go sorts up to twelve so that equal ones keep their order; of more it does not.
                let first = self.random.below(20);
                bytes(&mut request, "key", format!("k{first:02}").as_bytes());
                bytes(&mut request, "range_end", format!("k{:02}", first + 9).as_bytes());
            }
        }
        for (field, percent) in [("serializable", 20), ("keys_only", 15), ("count_only", 10)] {
            if self.random.chance(percent) {
                request[field] = true.into();
            }
        }
        for field in
            ["min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"]
        {
            if self.random.chance(8) {
                request[field] = int(self.revision());
            }
        }
        if hostile && self.random.chance(2) {
            request["key"] = "".into();
        }
        request
    }

    pub(super) fn put_request(&mut self) -> Value {
        let mut request = json!({});
        let key = self.key();
        bytes(&mut request, "key", &key);
        let ignore_value = self.random.chance(8);
        let ignore_lease = self.random.chance(8);
        if !ignore_value || self.random.chance(10) {
            let value = self.value();
            bytes(&mut request, "value", &value);
        }
        if self.random.chance(20) && (!ignore_lease || self.random.chance(10)) {
            request["lease"] = int(self.lease_id());
        }
        if ignore_value {
            request["ignore_value"] = true.into();
        }
        if ignore_lease {
            request["ignore_lease"] = true.into();
        }
        if self.random.chance(40) {
            request["prev_kv"] = true.into();
        }
        request
    }

    pub(super) fn delete_request(&mut self) -> Value {
        let mut request = json!({});
        // A whole range now and then; mostly a key, so that there is something to read.
        let (key, end) = self.range();
        bytes(&mut request, "key", &key);
        if self.random.chance(40) {
            bytes(&mut request, "range_end", &end);
        }
        if self.random.chance(50) {
            request["prev_kv"] = true.into();
        }
        request
    }

    /// Never so near that a watch that was made a moment ago could be overtaken.
    fn compact(&mut self) {
        let now = self.known.revision;
        let revision = match self.random.below(6) {
            0 => self.known.compacted,
            1 => now + 1,
            2 => -1,
            _ => (now - 100 - self.random.below(50) as i64).max(0),
        };
        let mut request = json!({"revision": int(revision)});
        if self.random.chance(30) {
            request["physical"] = true.into();
        }
        self.queue.push_back(Step::Settle);
        self.ask_either("KV/Compact", request);
    }
}
