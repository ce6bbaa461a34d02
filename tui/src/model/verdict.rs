//! One sentence on the health of the cluster, and the standing of each member. Pure functions of
//! what was observed.
//!
//! From a terminal one sees addresses, not processes. A member that does not answer is called
//! `down` only when something speaks for it: it was reached before, or its host answers that
//! nothing listens. When what others say shows that it must be alive (it leads them, or their
//! quorum needs it), or when nothing is known, it is `unreachable from here`.

use jiff::civil::DateTime;

use crate::model::cluster::{Cluster, EndpointState, host};
use crate::msg::Member;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is known yet.
    Unknown,
    Fine,
    Warning,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub severity: Severity,
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody asked it yet.
    Asking,
    /// Added to the cluster, and never started.
    Unstarted,
    Serving,
    Down {
        since: DateTime,
    },
    Unreachable {
        since: DateTime,
    },
}

/// What is known of each member, in their order.
pub fn standings(cluster: &Cluster) -> Vec<Standing> {
    let members = cluster.members();
    let voters = members.iter().filter(|member| !member.learner);
    let leader = cluster.leader();
    let serves = |member: &Member| cluster.status_of(member).is_some();
    let serving = voters.clone().filter(|member| serves(member)).count();
    let silent_leader = voters.clone().any(|member| leader == Some(member.id) && !serves(member));
    // With a leader there is a quorum: whoever it lacks among those we hear, it has among those we
    // do not.
    let quorum = voters.count() / 2 + 1;
    let unheard = if leader.is_some() {
        quorum.saturating_sub(serving + usize::from(silent_leader))
    } else {
        0
    };
    members
        .iter()
        .map(|member| {
            let alive = leader == Some(member.id) || unheard > 0 && !member.learner;
            standing(cluster, member, alive)
        })
        .collect()
}

pub fn verdict(cluster: &Cluster) -> Verdict {
    let say = |severity, sentence: String| Verdict { severity, sentence };
    if cluster.members().is_empty() {
        return before_members(cluster);
    }
    let standings = standings(cluster);
    let voters: Vec<(&Member, &Standing)> =
        cluster.members().iter().zip(&standings).filter(|(member, _)| !member.learner).collect();
    let all = voters.len();
    let quorum = all / 2 + 1;
    let serving = voters.iter().filter(|(_, standing)| **standing == Standing::Serving).count();

    if !cluster.is_answering() {
        if standings.contains(&Standing::Asking) {
            return say(Severity::Unknown, "asking the members".into());
        }
        let since = lost_since(&voters, all);
        return say(
            Severity::Critical,
            format!("no member answers: {all} of {all} unreachable{since}"),
        );
    }
    let Some(leader) = cluster.leader() else {
        let since = cluster.no_leader_since.map(since).unwrap_or_default();
        if serving < quorum {
            let lost = all - serving;
            let since = lost_since(&voters, all - quorum + 1);
            return say(
                Severity::Critical,
                format!("no quorum: {lost} of {all} unreachable{since}"),
            );
        }
        return say(Severity::Critical, format!("no leader{since}: an election is under way"));
    };
    if let Some(alarm) = cluster.alarms().first() {
        let more = match cluster.alarms().len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        return say(
            Severity::Critical,
            format!(
                "alarm {} on {}{more}{}",
                alarm.kind,
                cluster.name(alarm.member),
                remedy(&alarm.kind)
            ),
        );
    }
    if let Some(sentence) = away(cluster, &standings, serving, all) {
        return say(Severity::Warning, sentence);
    }
    if let Some((name, error)) = first_error(cluster) {
        return say(Severity::Warning, format!("{name} reports: {error}"));
    }
    if let Some(failure) = &cluster.membership_failure {
        return say(
            Severity::Warning,
            format!("members and alarms cannot be read: {}", failure.text),
        );
    }
    let leads = format!("leader {}", cluster.name(leader));
    let sentence = match all {
        1 => "healthy: the only member serves".to_owned(),
        _ => format!("healthy: {serving} of {all} members serve, {leads}"),
    };
    say(Severity::Fine, sentence)
}

/// `since 03:02`, in words for the end of a sentence.
fn since(at: DateTime) -> String {
    format!(" since {}", at.strftime("%H:%M"))
}

fn standing(cluster: &Cluster, member: &Member, alive: bool) -> Standing {
    let Some(endpoint) = cluster.endpoint_of(member) else {
        return if member.client_urls.is_empty() { Standing::Unstarted } else { Standing::Asking };
    };
    let (since, failure) = match &endpoint.state {
        EndpointState::Answering => return Standing::Serving,
        EndpointState::Untried => return Standing::Asking,
        EndpointState::Silent { since, failure } => (*since, failure),
    };
    let was_reached = endpoint.status.is_some();
    let neighbour_answers = cluster
        .endpoints
        .iter()
        .any(|other| other.is_answering() && host(&other.address) == host(&endpoint.address));
    let nobody_there = failure.refused && (neighbour_answers || was_reached);
    if !alive && (was_reached || nobody_there) {
        Standing::Down { since }
    } else {
        Standing::Unreachable { since }
    }
}

/// Before a list of members was ever read there are only addresses.
fn before_members(cluster: &Cluster) -> Verdict {
    let silent: Vec<DateTime> = cluster
        .endpoints
        .iter()
        .filter_map(|endpoint| match endpoint.state {
            EndpointState::Silent { since, .. } => Some(since),
            _ => None,
        })
        .collect();
    if let Some(failure) = &cluster.membership_failure {
        return Verdict {
            severity: Severity::Critical,
            sentence: format!("the list of members cannot be read: {}", failure.text),
        };
    }
    if cluster.is_answering() {
        return Verdict {
            severity: Severity::Unknown,
            sentence: "connected, asking for the members".into(),
        };
    }
    let names: Vec<&str> =
        cluster.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
    match silent.iter().max() {
        Some(last) if silent.len() == cluster.endpoints.len() => Verdict {
            severity: Severity::Critical,
            sentence: format!("nothing answers at {}{}", names.join(", "), since(*last)),
        },
        _ => Verdict {
            severity: Severity::Unknown,
            sentence: format!("connecting to {}", names.join(", ")),
        },
    }
}

/// Since when at least `threshold` of the voters have been away.
fn lost_since(voters: &[(&Member, &Standing)], threshold: usize) -> String {
    let mut times: Vec<DateTime> = voters
        .iter()
        .filter_map(|(_, standing)| match standing {
            Standing::Down { since } | Standing::Unreachable { since } => Some(*since),
            _ => None,
        })
        .collect();
    times.sort_unstable();
    // Fewer are known to be away when some were never asked: then the last one that went decides.
    let nth = threshold.clamp(1, times.len().max(1)) - 1;
    times.get(nth).copied().map(since).unwrap_or_default()
}

fn away(cluster: &Cluster, standings: &[Standing], serving: usize, all: usize) -> Option<String> {
    let named = |wanted: fn(&Standing) -> bool| -> Vec<String> {
        let members = cluster.members().iter().zip(standings);
        members
            .filter(|(_, standing)| wanted(standing))
            .map(|(member, _)| cluster.name(member.id))
            .collect()
    };
    let first_since = standings.iter().find_map(|standing| match standing {
        Standing::Down { since } | Standing::Unreachable { since } => Some(*since),
        _ => None,
    })?;
    let down = named(|standing| matches!(standing, Standing::Down { .. }));
    let unreachable = named(|standing| matches!(standing, Standing::Unreachable { .. }));
    let since = since(first_since);
    let verb = |names: &[String]| if names.len() == 1 { "is" } else { "are" };
    Some(match (down.as_slice(), unreachable.as_slice()) {
        (down, []) => {
            format!(
                "degraded: {} {} down{since}; {serving} of {all} members serve",
                down.join(", "),
                verb(down)
            )
        }
        ([], away) => format!(
            "the cluster works, {} {} unreachable from here{since}",
            away.join(", "),
            verb(away)
        ),
        (down, away) => format!(
            "degraded: {} {} down, {} unreachable from here{since}",
            down.join(", "),
            verb(down),
            away.join(", ")
        ),
    })
}

fn first_error(cluster: &Cluster) -> Option<(String, String)> {
    cluster.answering().find_map(|status| {
        status.errors.first().map(|error| (cluster.name(status.member_id), error.clone()))
    })
}

fn remedy(kind: &str) -> &'static str {
    match kind {
        "NOSPACE" => ": writes are refused; compact, free space, then disarm",
        "CORRUPT" => ": its data differs from the others'; replace the member",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{DateTime, date};

    use super::{Severity, Standing, standings, verdict};
    use crate::model::cluster::Cluster;
    use crate::msg::{Alarm, Failure, Member, Membership, Moment, Status};

    /// What is seen of one member of the table's clusters.
    #[derive(Clone, Copy, PartialEq)]
    enum See {
        /// It answers, and takes this member for the leader (0: none).
        Serves(u64),
        /// It answered once, and was lost at this minute.
        Lost(i8),
        /// It never answered; its host says that nothing listens.
        Refused(i8),
        /// It never answered; the attempt timed out.
        TimedOut(i8),
    }
    use See::{Lost, Refused, Serves, TimedOut};

    fn clock(minute: i8) -> DateTime {
        date(2026, 3, 1).at(3, minute, 0, 0)
    }

    fn at(minute: i8) -> Moment {
        Moment { mono_ms: minute as u64 * 60_000, wall: clock(minute) }
    }

    /// Member N lives on host N, or all on one host.
    fn cluster(one_host: bool, seen: &[See]) -> Cluster {
        let address = |id: usize| {
            if one_host {
                format!("http://127.0.0.1:{id}2379")
            } else {
                format!("http://10.0.0.{id}:2379")
            }
        };
        let members = (1..=seen.len()).map(|id| Member {
            id: id as u64,
            name: format!("infra{id}"),
            client_urls: vec![address(id)],
            ..Member::default()
        });
        let membership =
            Membership { cluster_id: 1, members: members.collect(), alarms: Some(vec![]) };
        let mut cluster = Cluster::new([address(1)]);
        cluster.set_membership(membership);
        for (nth, see) in seen.iter().enumerate() {
            let id = nth + 1;
            let answer =
                |leader| Status { member_id: id as u64, leader, raft_term: 2, ..Status::default() };
            let failure =
                |text: &str, refused| Failure { text: text.into(), refused, unreachable: true };
            match *see {
                Serves(leader) => drop(cluster.set_status(&address(id), answer(leader), at(0))),
                Lost(minute) => {
                    cluster.set_status(&address(id), answer(1), at(0));
                    cluster.set_silent(
                        &address(id),
                        failure("connection refused", true),
                        at(minute),
                    );
                }
                Refused(minute) => cluster.set_silent(
                    &address(id),
                    failure("connection refused", true),
                    at(minute),
                ),
                TimedOut(minute) => {
                    cluster.set_silent(&address(id), failure("timed out", false), at(minute));
                }
            }
        }
        cluster
    }

    #[test]
    fn the_verdict_is_one_true_sentence() {
        let table: &[(&[See], Severity, &str)] = &[
            (&[Serves(1)], Severity::Fine, "healthy: the only member serves"),
            (
                &[Serves(2), Serves(2), Serves(2)],
                Severity::Fine,
                "healthy: 3 of 3 members serve, leader infra2",
            ),
            (
                &[Serves(1), Serves(1), Lost(2)],
                Severity::Warning,
                "degraded: infra3 is down since 03:02; 2 of 3 members serve",
            ),
            (
                &[Serves(1), Serves(1), TimedOut(2)],
                Severity::Warning,
                "the cluster works, infra3 is unreachable from here since 03:02",
            ),
            // Two of three are silent, yet there is a leader: whoever is silent, the quorum has one
            // of them.
            (
                &[Serves(1), TimedOut(2), TimedOut(2)],
                Severity::Warning,
                "the cluster works, infra2, infra3 are unreachable from here since 03:02",
            ),
            // The silent leader explains the quorum, so nothing speaks for the third.
            (
                &[Serves(2), TimedOut(2), Lost(4)],
                Severity::Warning,
                "degraded: infra3 is down, infra2 unreachable from here since 03:02",
            ),
            // Quorum went with the second loss, not with the first.
            (
                &[Serves(0), Lost(2), Lost(4)],
                Severity::Critical,
                "no quorum: 2 of 3 unreachable since 03:04",
            ),
            (
                &[Serves(0), Serves(0), Lost(2)],
                Severity::Critical,
                "no leader since 03:02: an election is under way",
            ),
            (
                &[Lost(1), Lost(2), Lost(4)],
                Severity::Critical,
                "no member answers: 3 of 3 unreachable since 03:04",
            ),
            (&[Lost(5)], Severity::Critical, "no member answers: 1 of 1 unreachable since 03:05"),
            (
                &[Serves(0), Lost(2), Lost(4), Lost(7), Serves(0)],
                Severity::Critical,
                "no quorum: 3 of 5 unreachable since 03:07",
            ),
        ];
        for (seen, severity, sentence) in table {
            let verdict = verdict(&cluster(false, seen));
            assert_eq!((verdict.severity, verdict.sentence.as_str()), (*severity, *sentence));
        }
    }

    #[test]
    fn a_member_is_down_only_when_something_speaks_for_it() {
        let down = |minute| Standing::Down { since: clock(minute) };
        let unreachable = |minute| Standing::Unreachable { since: clock(minute) };
        let table: &[(bool, &[See], Standing)] = &[
            // Reached before, now gone, and the others do not need it.
            (false, &[Serves(1), Serves(1), Lost(2)], down(2)),
            // Reached before, now gone, and the others follow it: it is our way that is cut.
            (false, &[Serves(3), Serves(3), Lost(2)], unreachable(2)),
            (false, &[Serves(1), Lost(2), Lost(2)], unreachable(2)),
            // Never reached: its advertised address may mean something else here.
            (false, &[Serves(1), Serves(1), Refused(2)], unreachable(2)),
            (false, &[Serves(1), Serves(1), TimedOut(2)], unreachable(2)),
            // A host on which others answer says that nothing listens there.
            (true, &[Serves(1), Serves(1), Refused(2)], down(2)),
            (true, &[Serves(3), Serves(3), Refused(2)], unreachable(2)),
        ];
        for (one_host, seen, third) in table {
            assert_eq!(standings(&cluster(*one_host, seen))[2], *third);
        }
    }

    #[test]
    fn alarms_and_reported_errors_outweigh_health() {
        let mut cluster = cluster(false, &[Serves(1), Serves(1), Serves(1)]);
        let mut ill = Status { member_id: 3, leader: 1, raft_term: 2, ..Status::default() };
        ill.errors.push("etcdserver: mvcc: database space exceeded".into());
        cluster.set_status("http://10.0.0.3:2379", ill, at(1));
        assert_eq!(
            verdict(&cluster).sentence,
            "infra3 reports: etcdserver: mvcc: database space exceeded"
        );

        let mut membership = cluster.membership.clone().expect("it was set");
        membership.alarms = Some(vec![Alarm { member: 2, kind: "NOSPACE".into() }]);
        cluster.set_membership(membership);
        let verdict = verdict(&cluster);
        assert_eq!(verdict.severity, Severity::Critical);
        assert_eq!(
            verdict.sentence,
            "alarm NOSPACE on infra2: writes are refused; compact, free space, then disarm"
        );
    }

    #[test]
    fn before_anyone_answered_the_sentence_is_about_addresses() {
        let mut cluster = Cluster::new(["10.0.0.1:2379".to_owned()]);
        assert_eq!(verdict(&cluster).sentence, "connecting to 10.0.0.1:2379");
        let failure = Failure { text: "refused".into(), refused: true, unreachable: true };
        cluster.set_silent("10.0.0.1:2379", failure, at(2));
        assert_eq!(verdict(&cluster).sentence, "nothing answers at 10.0.0.1:2379 since 03:02");
        cluster.set_status("10.0.0.1:2379", Status::default(), at(3));
        assert_eq!(verdict(&cluster).sentence, "connected, asking for the members");
    }
}
