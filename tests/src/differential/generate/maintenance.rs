//! What is asked of one member.

use serde_json::{Value, json};

use super::Generator;
use super::keys::int;
use crate::differential::step::{Call, Step};

impl Generator {
    pub(super) fn maintenance(&mut self) {
        match self.random.below(100) {
            0..20 => self.ask("Maintenance/Status", json!({})),
            20..35 => {
                let mut request = json!({});
                if self.random.chance(60) {
                    request["alarm"] = (*self.random.pick(&[0, 1, 2, 7, -1])).into();
                }
                if self.random.chance(20) {
                    request["action"] = 2.into();
                }
                self.ask("Maintenance/Alarm", request);
            }
            35..55 => {
                let revision = self.revision();
                self.ask("Maintenance/HashKV", json!({"revision": int(revision)}));
            }
            55..60 => self.ask("Maintenance/Hash", json!({})),
            60..63 => self.ask_either("Maintenance/Defragment", json!({})),
            63..68 => self.snapshot(),
            68..80 => {
                let target = (*self.random.pick(&[0_u64, 1, 77, u64::MAX])).to_string();
                self.ask_either("Maintenance/MoveLeader", json!({"targetID": target}));
            }
            _ => {
                let mut request = json!({});
                if self.random.chance(30) {
                    request["linearizable"] = true.into();
                }
                self.ask("Cluster/MemberList", request);
            }
        }
    }

    pub(super) fn snapshot(&mut self) {
        let mut request = json!({});
        let who = self.made_cautious("Maintenance/Snapshot", &mut request);
        let call = Call::new("Maintenance/Snapshot", request).by(&who);
        self.queue.push_back(Step::Drain(call));
    }

    /// Raises an alarm, asks what it forbids and what not, and takes it back.
    pub(super) fn with_alarm(&mut self, kind: u8, requests: Vec<(&'static str, Value)>) {
        let alarm = |action: u8| json!({"action": action, "memberID": "7", "alarm": kind});
        self.queue.push_back(Step::Settle);
        self.ask("Maintenance/Alarm", alarm(1));
        for (method, request) in requests {
            self.ask(method, request);
        }
        self.ask("Maintenance/Alarm", json!({}));
        self.ask("Maintenance/Alarm", alarm(2));
        self.ask("Maintenance/Alarm", alarm(2));
    }
}
