//! What is known of the cluster: its members, the addresses tried, and what each address said last.
//!
//! An address given by the user and one that a member advertises are kept apart: the first is asked
//! for as long as it works, the second only for a member that no given address leads to.

use std::collections::BTreeSet;

use jiff::civil::DateTime;

use crate::msg::{Alarm, Failure, Member, Membership, Moment, Status};

/// More members than any cluster has; what a hostile answer may add is cut here.
const MEMBERS_MAX: usize = 64;
/// An address is asked this often…
const POLL_MS: u64 = 1000;
/// …and one that does not answer less and less often, up to this.
const BACKOFF_MAX_MS: u64 = 4000;
/// Members and alarms change seldom.
const MEMBERSHIP_POLL_MS: u64 = 5000;

#[derive(Debug)]
pub struct Cluster {
    pub membership: Option<Membership>,
    pub endpoints: Vec<Endpoint>,
    /// The newest revision that any member reported.
    pub revision: i64,
    /// Revisions per second, from the last two different reports.
    pub writes_per_s: Option<f64>,
    /// Why members or alarms could not be read, though somebody answers.
    pub membership_failure: Option<Failure>,
    pub no_leader_since: Option<DateTime>,
    /// The member selected on the overview.
    pub selected: usize,
    membership_due_ms: u64,
    sampled: Option<(u64, i64)>,
}

#[derive(Debug)]
pub struct Endpoint {
    pub address: String,
    /// By the user, as opposed to advertised by a member.
    pub given: bool,
    pub state: EndpointState,
    /// What it said last, kept while it is silent.
    pub status: Option<Status>,
    failures: u32,
    due_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointState {
    Untried,
    Answering,
    Silent { since: DateTime, failure: Failure },
}

impl Cluster {
    pub fn new(given: impl IntoIterator<Item = String>) -> Self {
        let endpoints = given.into_iter().map(|address| Endpoint::new(address, true)).collect();
        Self {
            membership: None,
            endpoints,
            revision: 0,
            writes_per_s: None,
            membership_failure: None,
            no_leader_since: None,
            selected: 0,
            membership_due_ms: 0,
            sampled: None,
        }
    }

    pub fn members(&self) -> &[Member] {
        self.membership.as_ref().map_or(&[], |membership| &membership.members)
    }

    pub fn alarms(&self) -> &[Alarm] {
        self.membership.as_ref().and_then(|membership| membership.alarms.as_deref()).unwrap_or(&[])
    }

    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members().iter().find(|member| member.id == id)
    }

    /// A member's name; its id while it has none.
    pub fn name(&self, id: u64) -> String {
        self.member(id).filter(|member| !member.name.is_empty()).map_or_else(
            || format!("{id:x}"),
            |member| crate::text::visible(member.name.as_bytes()),
        )
    }

    pub fn set_membership(&mut self, mut membership: Membership) {
        membership.members.truncate(MEMBERS_MAX);
        membership.members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        if membership.alarms.is_none() {
            membership.alarms = self.membership.take().and_then(|known| known.alarms);
        }
        self.membership_failure = None;
        self.selected = self.selected.min(membership.members.len().saturating_sub(1));
        self.membership = Some(membership);
        self.follow_advertised();
    }

    /// Takes what an address said. Returns whether it came back from silence.
    pub fn set_status(&mut self, address: &str, status: Status, now: Moment) -> bool {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.address == address)
        else {
            return false;
        };
        let back = matches!(endpoint.state, EndpointState::Silent { .. });
        endpoint.state = EndpointState::Answering;
        endpoint.failures = 0;
        endpoint.due_ms = now.mono_ms + POLL_MS;
        let revision = status.revision;
        endpoint.status = Some(status);
        self.sample(revision, now);
        self.follow_advertised();
        self.note_leader(now);
        back
    }

    pub fn set_silent(&mut self, address: &str, failure: Failure, now: Moment) {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.address == address)
        else {
            return;
        };
        let since = match &endpoint.state {
            EndpointState::Silent { since, .. } => *since,
            _ => now.wall,
        };
        endpoint.state = EndpointState::Silent { since, failure };
        endpoint.failures = endpoint.failures.saturating_add(1);
        endpoint.due_ms =
            now.mono_ms + (POLL_MS << (endpoint.failures - 1).min(2)).min(BACKOFF_MAX_MS);
        self.follow_advertised();
        self.note_leader(now);
    }

    /// The addresses whose turn it is.
    pub fn due(&self, now: Moment) -> impl Iterator<Item = &str> {
        self.endpoints
            .iter()
            .filter(move |endpoint| endpoint.due_ms <= now.mono_ms)
            .map(|endpoint| endpoint.address.as_str())
    }

    pub fn membership_is_due(&self, now: Moment) -> bool {
        self.membership_due_ms <= now.mono_ms && self.is_answering()
    }

    pub fn asked_membership(&mut self, now: Moment) {
        self.membership_due_ms = now.mono_ms + MEMBERSHIP_POLL_MS;
    }

    /// Everything is due at once: someone asked to see how it is now.
    pub fn hurry(&mut self) {
        self.membership_due_ms = 0;
        for endpoint in &mut self.endpoints {
            endpoint.due_ms = 0;
        }
    }

    pub fn is_answering(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_answering)
    }

    /// Seconds until a silent address is tried again, when nobody answers.
    pub fn next_try_s(&self, now: Moment) -> Option<u64> {
        let soonest = self.endpoints.iter().map(|endpoint| endpoint.due_ms).min()?;
        (!self.is_answering()).then(|| soonest.saturating_sub(now.mono_ms).div_ceil(1000))
    }

    /// Where requests should go, best first: addresses that the user gave for as long as one of
    /// them works.
    pub fn reach(&self) -> Vec<String> {
        let pick = |given: bool, working: bool| -> Vec<String> {
            self.endpoints
                .iter()
                .filter(|endpoint| endpoint.given == given && endpoint.is_answering() == working)
                .map(|endpoint| endpoint.address.clone())
                .collect()
        };
        let working = pick(true, true);
        if !working.is_empty() {
            return working.into_iter().chain(pick(true, false)).collect();
        }
        let advertised = pick(false, true);
        advertised.into_iter().chain(pick(true, false)).collect()
    }

    /// The address a member is seen through: one that answers, before one that does not.
    pub fn endpoint_of(&self, member: &Member) -> Option<&Endpoint> {
        let leads_to = |endpoint: &&Endpoint| {
            endpoint.status.as_ref().is_some_and(|status| status.member_id == member.id)
                || !endpoint.given && member.client_urls.contains(&endpoint.address)
        };
        let mut candidates = self.endpoints.iter().filter(leads_to);
        let first = candidates.clone().next();
        candidates.find(|endpoint| endpoint.is_answering()).or(first)
    }

    pub fn status_of(&self, member: &Member) -> Option<&Status> {
        self.endpoint_of(member)
            .filter(|endpoint| endpoint.is_answering())
            .and_then(|endpoint| endpoint.status.as_ref())
    }

    pub fn answering(&self) -> impl Iterator<Item = &Status> {
        self.endpoints
            .iter()
            .filter(|endpoint| endpoint.is_answering())
            .filter_map(|endpoint| endpoint.status.as_ref())
    }

    /// The leader, as those who answer see it: the newest term counts.
    pub fn leader(&self) -> Option<u64> {
        self.answering()
            .filter(|status| status.leader != 0)
            .max_by_key(|status| status.raft_term)
            .map(|status| status.leader)
    }

    /// Adds the addresses of members that no working given address leads to, and forgets those no
    /// longer needed.
    fn follow_advertised(&mut self) {
        let Some(membership) = &self.membership else { return };
        let reached: BTreeSet<u64> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.given && endpoint.is_answering())
            .filter_map(|endpoint| endpoint.status.as_ref().map(|status| status.member_id))
            .collect();
        let wanted: BTreeSet<String> = membership
            .members
            .iter()
            .filter(|member| !reached.contains(&member.id))
            .flat_map(|member| member.client_urls.iter().take(MEMBERS_MAX).cloned())
            .collect();
        self.endpoints.retain(|endpoint| endpoint.given || wanted.contains(&endpoint.address));
        for address in wanted {
            if self.endpoints.len() < MEMBERS_MAX * 2
                && !self.endpoints.iter().any(|endpoint| endpoint.is_at(&address))
            {
                self.endpoints.push(Endpoint::new(address, false));
            }
        }
    }

    fn note_leader(&mut self, now: Moment) {
        if self.leader().is_some() || !self.is_answering() {
            self.no_leader_since = None;
        } else if self.no_leader_since.is_none() {
            self.no_leader_since = Some(now.wall);
        }
    }

    fn sample(&mut self, revision: i64, now: Moment) {
        self.revision = self.revision.max(revision);
        match self.sampled {
            Some((at_ms, before)) if now.mono_ms >= at_ms + 2 * POLL_MS => {
                let seconds = (now.mono_ms - at_ms) as f64 / 1e3;
                self.writes_per_s = Some((self.revision - before).max(0) as f64 / seconds);
                self.sampled = Some((now.mono_ms, self.revision));
            }
            Some(_) => {}
            None => self.sampled = Some((now.mono_ms, self.revision)),
        }
    }
}

impl Endpoint {
    fn new(address: String, given: bool) -> Self {
        Self { address, given, state: EndpointState::Untried, status: None, failures: 0, due_ms: 0 }
    }

    pub fn is_answering(&self) -> bool {
        self.state == EndpointState::Answering
    }

    /// Whether this is the address, however it is written.
    fn is_at(&self, address: &str) -> bool {
        host_port(&self.address) == host_port(address)
    }
}

/// An address without its scheme and trailing slash.
pub fn host_port(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/')
}

/// An address without its port.
pub fn host(address: &str) -> &str {
    let host_port = host_port(address);
    host_port.rsplit_once(':').map_or(host_port, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{Cluster, host};
    use crate::msg::{Failure, Member, Membership, Moment, Status};

    fn at(ms: u64) -> Moment {
        Moment { mono_ms: ms, wall: date(2026, 3, 1).at(3, 2, 0, 0) }
    }

    fn refused() -> Failure {
        Failure { text: "connection refused".into(), refused: true, unreachable: true }
    }

    fn three() -> Membership {
        let members = (1..=3).map(|id| Member {
            id,
            name: format!("infra{id}"),
            client_urls: vec![format!("http://10.0.0.{id}:2379")],
            ..Member::default()
        });
        Membership { cluster_id: 7, members: members.collect(), alarms: Some(Vec::new()) }
    }

    fn status(member_id: u64) -> Status {
        Status { member_id, leader: 1, ..Status::default() }
    }

    fn addresses(cluster: &Cluster) -> Vec<&str> {
        cluster.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect()
    }

    #[test]
    fn a_working_given_address_is_not_left_for_the_advertised_one() {
        let mut cluster = Cluster::new(["localhost:12379".to_owned()]);
        cluster.set_status("localhost:12379", status(1), at(0));
        cluster.set_membership(three());
        assert_eq!(
            addresses(&cluster),
            ["localhost:12379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]
        );

        cluster.set_silent("localhost:12379", refused(), at(1000));
        assert!(
            addresses(&cluster).contains(&"http://10.0.0.1:2379"),
            "a member that is silent is tried where it says it is"
        );
        cluster.set_status("http://10.0.0.1:2379", status(1), at(2000));
        assert_eq!(cluster.reach()[0], "http://10.0.0.1:2379");
        cluster.set_status("localhost:12379", status(1), at(3000));
        assert!(!addresses(&cluster).contains(&"http://10.0.0.1:2379"));
        assert_eq!(cluster.reach()[0], "localhost:12379");
    }

    #[test]
    fn an_address_given_and_advertised_is_one_address() {
        let mut cluster = Cluster::new(["10.0.0.1:2379".to_owned()]);
        cluster.set_membership(three());
        assert_eq!(cluster.endpoints.len(), 3);
    }

    #[test]
    fn a_silent_address_is_tried_less_and_less_often_up_to_a_limit() {
        let mut cluster = Cluster::new(["a:1".to_owned()]);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            cluster.set_silent("a:1", refused(), at(now));
            let due = (0..)
                .step_by(500)
                .find(|wait| cluster.due(at(now + wait)).next().is_some())
                .expect("it is tried again");
            waits.push(due);
            now += due;
        }
        assert_eq!(waits, [1000, 2000, 4000, 4000, 4000, 4000]);
        cluster.hurry();
        assert_eq!(cluster.due(at(now)).count(), 1);
    }

    #[test]
    fn the_host_of_an_address_is_found_however_it_is_written() {
        assert_eq!(
            ["http://10.0.0.1:2379/", "node:1", "https://[::1]:4001"].map(host),
            ["10.0.0.1", "node", "[::1]"]
        );
    }
}
