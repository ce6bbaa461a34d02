//! Alarms: what a member has found wrong, until somebody takes it back.

use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{AlarmMember, AlarmRequest, AlarmType};

use crate::store::root::alarm_order;
use crate::store::{Change, Reply, Store, element, record};

impl Store {
    /// Answers with the alarms that were asked for, raised (whether or not it was before) or
    /// taken back.
    pub(super) fn alarm(&mut self, request: &AlarmRequest, changes: &mut Vec<Change>) -> Reply {
        let alarm = AlarmMember { member_id: request.member_id, alarm: request.alarm };
        let found = self.root.alarms.binary_search_by_key(&alarm_order(&alarm), alarm_order);
        let alarms = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => self.alarms_of(request.alarm),
            Ok(AlarmAction::Activate) if request.alarm == AlarmType::None as i32 => Vec::new(),
            Ok(AlarmAction::Activate) => {
                if let Err(place) = found {
                    let mut alarms = self.root.alarms.to_vec();
                    alarms.insert(place, alarm);
                    self.root.alarms = alarms.into();
                    self.root.sum += element::alarm(&alarm);
                    changes.push(record::alarm(&alarm));
                }
                vec![alarm]
            }
            Ok(AlarmAction::Deactivate) => match found {
                Ok(place) => {
                    let mut alarms = self.root.alarms.to_vec();
                    alarms.remove(place);
                    self.root.alarms = alarms.into();
                    self.root.sum -= element::alarm(&alarm);
                    changes.push(record::remove_alarm(&alarm));
                    vec![alarm]
                }
                Err(_) => Vec::new(),
            },
            Err(_) => Vec::new(),
        };
        Reply::Alarms(alarms)
    }

    /// Those of one kind; of every kind for `NONE`.
    fn alarms_of(&self, kind: i32) -> Vec<AlarmMember> {
        let any = kind == AlarmType::None as i32;
        self.root.alarms.iter().filter(|alarm| any || alarm.alarm == kind).copied().collect()
    }
}
