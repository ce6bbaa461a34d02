//! The members with a way to each: for whatever is done to them one by one.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::pb;

/// A member that answers.
#[derive(Debug, Clone)]
pub struct Hand {
    pub id: u64,
    pub name: String,
    /// Where it answers: an endpoint of the configuration if one leads to it, else what it
    /// advertises.
    pub endpoint: Endpoint,
    pub is_learner: bool,
    /// What it said of itself.
    pub status: pb::StatusResponse,
}

/// The members of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Crew {
    pub hands: Vec<Hand>,
    /// Those that do not answer, by their names, or by their ids if they have none yet.
    pub absent: Vec<String>,
}

impl Crew {
    /// Who leads, if it answers.
    pub fn leader(&self) -> Option<&Hand> {
        self.hands.iter().find(|hand| hand.leads())
    }

    /// Whom to burden with reading all it has: a member with a vote that does not lead, of several
    /// the one that is furthest, and only if there is none the leader.
    pub fn least_needed(&self) -> Option<&Hand> {
        let voters = self.hands.iter().filter(|hand| !hand.is_learner && hand.status.leader != 0);
        let rank = |hand: &&Hand| (!hand.leads(), hand.status.raft_applied_index);
        voters.max_by_key(rank)
    }
}

impl Hand {
    pub fn leads(&self) -> bool {
        self.status.leader == self.id
    }
}

impl Connection {
    /// Asks every member for its status, by whatever address leads to it, for so long at most.
    pub async fn crew(&self, patience: Duration) -> Result<Crew, Failure> {
        let members = self.members().await?.members;
        let ask = |endpoint: Endpoint| async move {
            let status = timeout(patience, self.status(&endpoint)).await.ok()?.ok()?;
            Some((status.header.as_ref()?.member_id, endpoint, status))
        };
        let known: Vec<_> = join_all(self.endpoints().iter().cloned().map(ask))
            .await
            .into_iter()
            .flatten()
            .collect();
        let find = |member: pb::Member| {
            let known = known.iter().find(|(id, ..)| *id == member.id).cloned();
            async move {
                let mut found = known;
                if found.is_none() {
                    let urls = member.client_ur_ls.iter();
                    let endpoints = urls.filter_map(|url| Endpoint::parse(url).ok());
                    let answers = join_all(endpoints.map(ask)).await.into_iter().flatten();
                    found = answers.into_iter().find(|(id, ..)| *id == member.id);
                }
                (member, found)
            }
        };
        let mut crew = Crew::default();
        for (member, found) in join_all(members.into_iter().map(find)).await {
            let is_learner = member.is_learner;
            let name =
                if member.name.is_empty() { format!("{:x}", member.id) } else { member.name };
            match found {
                Some((id, endpoint, status)) => {
                    crew.hands.push(Hand { id, name, endpoint, is_learner, status });
                }
                None => crew.absent.push(name),
            }
        }
        // The list of members has them in no order that people know.
        crew.hands.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(crew)
    }
}

#[cfg(test)]
mod tests {
    use super::{Crew, Hand};
    use crate::endpoint::Endpoint;
    use crate::pb::StatusResponse;

    fn hand(id: u64, is_learner: bool, raft_applied_index: u64) -> Hand {
        let status = StatusResponse { leader: 1, raft_applied_index, ..StatusResponse::default() };
        let endpoint = Endpoint::parse("127.0.0.1:1").unwrap();
        Hand { id, name: format!("m{id}"), endpoint, is_learner, status }
    }

    #[test]
    fn the_leader_is_burdened_only_if_nobody_else_is_there() {
        let hands = vec![hand(1, false, 9), hand(2, false, 7), hand(3, false, 8), hand(4, true, 9)];
        let crew = Crew { hands, absent: vec![] };
        assert_eq!((crew.leader().unwrap().id, crew.least_needed().unwrap().id), (1, 3));
        let alone = Crew { hands: vec![hand(1, false, 9), hand(4, true, 9)], absent: vec![] };
        assert_eq!(alone.least_needed().unwrap().id, 1);
        assert!(Crew::default().least_needed().is_none());
    }
}
