//! What etcd answers to bad input, row by row of the reference (B1 to B92 without B50 to B59).
//!
//! A row is a request, what must be there before it, and the certainty that nothing changes. Its
//! answer was recorded from a running etcd 3.4.23 into `tests/transcripts/bad-inputs-*.txt`
//! (`KVORUM_UPDATE=1` records again); where 3.6 answers otherwise, the row says how and from which
//! source. etcd is held against the recording and ours against 3.6's form of it.
//!
//! Rows that no client of one member can provoke are proved elsewhere:
//!
//! | rows | what | where |
//! |---|---|---|
//! | B30 | too much is under way | `server/tests/three_members.rs`; how far applied may lag, `server/src/runtime/handle.rs` |
//! | B41, B65 | no leader, with and without `hasleader` | `server/tests/three_members.rs`; etcd lets who has not asked for a leader hear `request timed out` or of its deadline, ours says `no leader` |
//! | B65 | a leader that failed, a connection that was lost | `tests/scripts/node/no_answer.txt`, the texts in `server/src/edge/status.rs` |
//! | B60 | leadership moved by a follower | `server/tests/three_members.rs` |
//! | B83 | a certificate's name at the gateway | `tests/tests/tls/common_name.rs`, of etcd too |
//! | B86, B87 | a peer of another cluster, or of another version of the protocol | etcd's members speak HTTP to each other, ours gRPC: the greeting of every peer call is refused, `server/tests/hostile_peer.rs` |
//! | B88 | a removed member | comes with changes of membership |
//! | B89 | wrong sender or addressee | dropped and counted, `server/tests/hostile_peer.rs` |
//! | B90 | what is no message of raft | ends the stream, `server/tests/hostile_peer.rs` |
//! | B91 | a lease request too large between members | frames are bounded, `server/tests/hostile_peer.rs` |
//! | B92 | paths below `/members` | etcd's peer port does not pass them to `/members` either, so they are not found there as here, `server/tests/hostile_peer.rs`; promotion comes with changes of membership |

mod auth;
mod kv;
mod lease;
mod maintenance;
mod section;
mod waiting;
mod watch;
mod web;

use kvorum_tests::differential::side::Start;
use section::Section;

const PLAIN: Start = Start { jwt: false, hosts: false };

#[test]
fn keys_and_values() {
    Section { name: "kv", start: PLAIN, rows: kv::rows() }.check();
}

#[test]
fn watches() {
    Section { name: "watch", start: PLAIN, rows: watch::rows() }.check();
}

#[test]
fn leases() {
    Section { name: "lease", start: PLAIN, rows: lease::rows() }.check();
}

#[test]
fn maintenance() {
    Section { name: "maintenance", start: PLAIN, rows: maintenance::rows() }.check();
}

#[test]
fn users_and_roles() {
    Section { name: "auth", start: PLAIN, rows: auth::rows() }.check();
}

#[test]
fn tokens_of_an_old_revision() {
    let start = Start { jwt: true, ..PLAIN };
    Section { name: "jwt", start, rows: auth::jwt_rows() }.check();
}

#[test]
fn plain_http() {
    let start = Start { hosts: true, ..PLAIN };
    Section { name: "http", start, rows: web::rows() }.check();
}
