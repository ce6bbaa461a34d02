//! What is asked of one member.

use serde_json::{Value, json};

use super::keys::int;
use super::{Area, Generator};
use crate::differential::step::{Call, MEMBER, Step};

impl Generator {
    pub(super) fn maintenance(&mut self) {
        match self.random.below(100) {
            0..20 => self.ask_either("Maintenance/Status", json!({})),
            20..35 => {
                let mut request = json!({});
                if self.random.chance(60) {
                    request["alarm"] = (*self.random.pick(&[0, 1, 2, 7, -1])).into();
                }
                if self.random.chance(20) {
                    request["action"] = 2.into();
                }
                self.ask_either("Maintenance/Alarm", request);
            }
            35..52 => {
                let revision = int(self.revision());
                self.ask("Maintenance/HashKV", json!({"revision": revision}));
            }
            52..55 => self.health(),
            55..60 => self.ask_either("Maintenance/Hash", json!({})),
            60..63 => self.ask_either("Maintenance/Defragment", json!({})),
            63..68 => self.snapshot(),
            68..80 => {
                let target = *self.random.pick(&["0", "1", "77", "18446744073709551615", MEMBER]);
                self.ask_either("Maintenance/MoveLeader", json!({"targetID": target}));
            }
            _ => {
                let mut request = json!({});
                if self.random.chance(30) {
                    request["linearizable"] = true.into();
                }
                self.ask_either("Cluster/MemberList", request);
            }
        }
    }

    pub(super) fn snapshot(&mut self) {
        let mut request = json!({});
        let who = self.made_cautious("Maintenance/Snapshot", &mut request);
        let call = Call::new("Maintenance/Snapshot", request).by(&who);
        let by_gateway = self.plan.has(Area::Web) && self.random.chance(50);
        self.queue.push_back(if by_gateway { Step::GatewayDrain(call) } else { Step::Drain(call) });
    }

    /// gRPC's own question whether a server is well, of the server and of what is none of its
    /// services.
    pub(super) fn health(&mut self) {
        for service in ["", "no.such.Service"] {
            let request = json!({"service": service});
            self.ask("Health/Check", request.clone());
            let call = Call::new("Health/Watch", json!({}));
            self.queue.push_back(Step::Stream { call, messages: vec![request], at_most: 1 });
        }
    }

    /// Raises an alarm, asks what it forbids and what not, and takes it back.
    pub(super) fn with_alarm(&mut self, kind: u8, requests: Vec<(&'static str, Value)>) {
        let alarm = |action: u8| json!({"action": action, "memberID": "7", "alarm": kind});
        self.close_watches();
        self.ask("Maintenance/Alarm", alarm(1));
        for (method, request) in requests {
            self.ask(method, request);
        }
        if self.plan.has(Area::Web) && kind == 1 {
            self.http("GET", "/health", "");
            self.http("GET", "/health?exclude=NOSPACE&serializable=true", "");
        }
        self.ask("Maintenance/Alarm", json!({}));
        self.ask("Maintenance/Alarm", alarm(2));
        self.ask("Maintenance/Alarm", alarm(2));
    }
}
