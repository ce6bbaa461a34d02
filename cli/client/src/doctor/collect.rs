//! Asking the members. The only part of the doctor that talks to anybody.

use futures::future::join_all;

use super::facts::{Address, Alarm, Disk, Facts, Hash, MemberFacts, Status, Unknown};
use super::{MAX_HASHED_BYTES, clock, metrics};
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::http;
use crate::pb;
use crate::tls::Moment;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Compare hashes whatever the size of the data.
    pub hash: bool,
}

/// A cluster has at most nine members that make sense; a list from outside is cut.
const MAX_MEMBERS: usize = 16;
const MAX_ADDRESSES: usize = 8;

/// Looks at every member, all at once.
///
/// # Errors
/// If no member answers at all.
pub async fn collect(connection: &Connection, options: Options) -> Result<Facts, Failure> {
    let listed = connection.members().await?;
    let cluster_id = listed.header.as_ref().map_or(0, |header| header.cluster_id);
    let looks = listed.members.iter().take(MAX_MEMBERS).map(|member| look_at(connection, member));
    let mut members = join_all(looks).await;
    let alarms = connection.alarms().await;
    let hash_revision = hash(connection, &mut members, options).await;
    Ok(Facts {
        now: Moment::now(),
        cluster_id,
        members,
        alarms: alarms.map(alarms_of).map_err(|failure| Unknown(failure.public_text())),
        own_certificate: connection.own_certificate(),
        hash_revision,
    })
}

async fn look_at(connection: &Connection, member: &pb::Member) -> MemberFacts {
    let urls = member.client_ur_ls.iter().take(MAX_ADDRESSES);
    let visits = join_all(urls.map(|url| visit(connection, url))).await;
    let mut status = None;
    let mut addresses = Vec::new();
    for (address, answered) in visits {
        status = status.or(answered);
        addresses.push(address);
    }
    let mut facts = MemberFacts {
        id: member.id,
        name: member.name.clone(),
        is_learner: member.is_learner,
        addresses,
        status,
        hash: Err(Unknown("it does not answer".to_owned())),
        disk: Err(Unknown("it does not answer".to_owned())),
        clock_ahead_seconds: Err(Unknown("it does not answer".to_owned())),
    };
    if facts.status.is_some() {
        read_metrics(connection, &mut facts).await;
    }
    facts
}

async fn visit(connection: &Connection, url: &str) -> (Address, Option<Status>) {
    let mut address = Address { url: url.to_owned(), failure: None, certificate: None };
    let endpoint = match Endpoint::parse(url) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            address.failure = Some(Failure::Config(error.to_string()));
            return (address, None);
        }
    };
    let answered = connection.status(&endpoint).await;
    if let Ok(link) = connection.link_to(&endpoint).await {
        address.certificate = link.dialer().server_certificate();
    }
    match answered {
        Ok(answer) => (address, Some(status_of(answer))),
        Err(failure) => {
            address.failure = Some(failure);
            (address, None)
        }
    }
}

fn status_of(answer: pb::StatusResponse) -> Status {
    Status {
        revision: answer.header.as_ref().map_or(0, |header| header.revision),
        version: answer.version,
        size_bytes: answer.db_size,
        in_use_bytes: answer.db_size_in_use,
        quota_bytes: (answer.db_size_quota > 0).then_some(answer.db_size_quota),
        leader: answer.leader,
        term: answer.raft_term,
        index: answer.raft_index,
        applied: answer.raft_applied_index,
        errors: answer.errors,
    }
}

fn alarms_of(answer: pb::AlarmResponse) -> Vec<Alarm> {
    let kind = |alarm: i32| crate::health::alarm_name(alarm).to_owned();
    let alarms = answer.alarms.into_iter();
    alarms.map(|alarm| Alarm { member: alarm.member_id, kind: kind(alarm.alarm) }).collect()
}

async fn read_metrics(connection: &Connection, member: &mut MemberFacts) {
    let unknown = |why: String| Unknown(format!("/metrics cannot be read: {why}"));
    let page = match Endpoint::parse(member.address()) {
        Err(error) => Err(unknown(error.to_string())),
        Ok(endpoint) => match connection.link_to(&endpoint).await {
            Err(failure) => Err(unknown(failure.public_text())),
            Ok(link) => http::get(link.dialer(), "/metrics")
                .await
                .map_err(|cause| unknown(link.dialer().error(cause).public_text())),
        },
    };
    let page = match page {
        Ok(page) => page,
        Err(why) => {
            member.disk = Err(why.clone());
            member.clock_ahead_seconds = Err(why);
            return;
        }
    };
    let theirs = page.date.as_deref().and_then(clock::read);
    member.clock_ahead_seconds = theirs
        .map(|theirs| theirs.0 - Moment::now().0)
        .ok_or_else(|| Unknown("its HTTP answers have no Date".to_owned()));
    member.disk = match page.status {
        200 => match metrics::disk(&page.body) {
            Disk { fsync: None, commit: None } => {
                Err(Unknown("/metrics has no figures of the disk".to_owned()))
            }
            disk => Ok(disk),
        },
        status => Err(unknown(format!("HTTP status {status}"))),
    };
    if let Some(status) = &mut member.status {
        status.quota_bytes = status.quota_bytes.or_else(|| metrics::quota_bytes(&page.body));
    }
}

/// Has every member that answers hash its data at the newest revision that all of them have.
async fn hash(connection: &Connection, members: &mut [MemberFacts], options: Options) -> i64 {
    let statuses = members.iter().filter_map(|member| member.status.as_ref());
    let revision = statuses.clone().map(|status| status.revision).min().unwrap_or(0);
    let largest = statuses.map(|status| status.size_bytes).max().unwrap_or(0);
    if largest > MAX_HASHED_BYTES && !options.hash {
        for member in members.iter_mut().filter(|member| member.status.is_some()) {
            let why = "there is more than 4 GiB of it, and a hash reads all: --hash does it anyway";
            member.hash = Err(Unknown(why.to_owned()));
        }
        return revision;
    }
    let asked = members.iter_mut().filter(|member| member.status.is_some());
    join_all(asked.map(|member| async move {
        member.hash = hash_of(connection, member.address(), revision).await;
    }))
    .await;
    revision
}

async fn hash_of(connection: &Connection, url: &str, revision: i64) -> Result<Hash, Unknown> {
    let endpoint = Endpoint::parse(url).map_err(|error| Unknown(error.to_string()))?;
    match connection.hash_kv(&endpoint, revision).await {
        Ok(answer) => Ok(Hash { hash: answer.hash, compact_revision: answer.compact_revision }),
        Err(failure) => Err(Unknown(failure.public_text())),
    }
}
