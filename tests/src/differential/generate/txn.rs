//! Transactions, nested and clashing ones among them.

use serde_json::{Value, json};

use super::Generator;
use super::keys::{bytes, int};

impl Generator {
    pub(super) fn txn(&mut self) {
        let request = self.txn_request(0);
        self.ask("KV/Txn", request);
    }

    fn txn_request(&mut self, depth: u32) -> Value {
        // Two transactions of three keep their keys apart, so that they are accepted.
        let mut free = self.random.chance(66).then(|| (0..24).collect::<Vec<u64>>());
        let compares: Vec<Value> = (0..self.random.below(3)).map(|_| self.compare()).collect();
        let success = self.ops(depth, &mut free);
        let failure = self.ops(depth, &mut free);
        json!({"compare": compares, "success": success, "failure": failure})
    }

    fn ops(&mut self, depth: u32, free: &mut Option<Vec<u64>>) -> Vec<Value> {
        let count = self.random.below(if depth == 0 { 5 } else { 3 });
        (0..count).map(|_| self.op(depth, free)).collect()
    }

    fn op(&mut self, depth: u32, free: &mut Option<Vec<u64>>) -> Value {
        match self.random.below(100) {
            0..35 => {
                let hostile = self.random.chance(5);
                let mut range = self.range_request(hostile);
                if !hostile && self.random.chance(70) {
                    range["revision"] = int(0);
                }
                json!({"request_range": range})
            }
            35..70 => {
                let mut put = self.put_request();
                self.keep_apart(&mut put, free);
                json!({"request_put": put})
            }
            70..85 => {
                let mut delete = self.delete_request();
                if self.keep_apart(&mut delete, free) {
                    delete["range_end"] = "".into();
                }
                json!({"request_delete_range": delete})
            }
            85..99 if depth < 3 => {
                let inner = if free.is_some() {
                    let compares: Vec<Value> =
                        (0..self.random.below(2)).map(|_| self.compare()).collect();
                    let success = self.ops(depth + 1, free);
                    let failure = self.ops(depth + 1, free);
                    json!({"compare": compares, "success": success, "failure": failure})
                } else {
                    self.txn_request(depth + 1)
                };
                json!({"request_txn": inner})
            }
            99 if self.random.chance(20) => json!({}),
            _ => json!({"request_range": self.range_request(false)}),
        }
    }

    /// Takes a key that nothing else in the transaction writes.
    fn keep_apart(&mut self, write: &mut Value, free: &mut Option<Vec<u64>>) -> bool {
        let Some(free) = free else { return false };
        if free.is_empty() {
            return false;
        }
        let taken = free.swap_remove(self.random.index(free.len()));
        bytes(write, "key", format!("k{taken:02}").as_bytes());
        true
    }

    fn compare(&mut self) -> Value {
        let (key, end) = self.range();
        let mut compare = json!({"result": self.random.below(4), "target": self.random.below(5)});
        bytes(&mut compare, "key", &key);
        bytes(&mut compare, "range_end", &end);
        if self.random.chance(2) {
            compare["key"] = "".into();
        }
        if self.random.chance(3) {
            let field = *self.random.pick(&["result", "target"]);
            compare[field] = (*self.random.pick(&[-1, 7, 99])).into();
        }
        let now = self.known.revision;
        let about = now - self.random.below(10) as i64;
        let target = compare["target"].as_u64().unwrap_or(0);
        // The value of another target now and then, or none.
        let given = if self.random.chance(4) { self.random.below(6) } else { target };
        match given {
            0 => compare["version"] = int(self.random.below(4) as i64),
            1 => compare["create_revision"] = int(*self.random.pick(&[0, 2, about])),
            2 => compare["mod_revision"] = int(*self.random.pick(&[0, 2, about])),
            3 => {
                let value = self.value();
                compare["value"] = crate::differential::contract::base64(value);
            }
            4 => compare["lease"] = int(self.lease_id()),
            _ => {}
        }
        compare
    }
}
