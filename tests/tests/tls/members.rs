//! Certificates, authorities and revocations of members change while they serve: no write is lost,
//! nobody else comes to lead, and a member that comes back is let in by what is in force then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvorum_tests::binary;
use kvorum_tests::certificates::{Authority, replace};
use kvorum_tests::cluster::{Member, Schemes};
use kvorum_tests::http::request;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::Names;
use serde_json::{Value, json};

use crate::rotation::{changes, in_force};
use crate::surroundings::{Surroundings, start};

/// A put to a cluster of which only the peers speak TLS. The term it was done in.
fn put(member: &Member, key: u64) -> Result<Value, String> {
    let body = json!({ "key": STANDARD.encode(format!("k/{key:08}")), "value": "MQ==" });
    let answer = request(&member.endpoint(), "POST /v3/kv/put", &[], &body.to_string());
    match answer {
        Ok(answer) if answer.status == 200 => Ok(answer.json()["header"]["raft_term"].clone()),
        other => Err(format!("put {key}: {other:?}")),
    }
}

#[test]
fn members_files_change_under_load_and_neither_a_write_nor_the_leader_is_lost() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let (first, second) = (&around.authority, Authority::new("the next authority"));
    let both = format!("{}{}", first.pem, second.pem);
    let flags = around.server_flags("peer-", "--peer-client-cert-auth");
    let schemes = Schemes { client: "http", peer: "https" };
    let mut cluster = start(&names, 3, schemes, &flags);
    let term = put(&cluster.members[0], 0).expect("a put is taken");
    let stopped = AtomicBool::new(false);
    let (put_last, restarted) = thread::scope(|scope| {
        let (asked, others) = cluster.members.split_first_mut().expect("there are three");
        let (asked, stopped, term) = (&*asked, &stopped, &term);
        let stop = StopAtEnd(stopped);
        let putting = scope.spawn(move || {
            let mut key = 0;
            while !stopped.load(Ordering::Relaxed) {
                key += 1;
                assert_eq!(
                    &put(asked, key).expect("a put is taken"),
                    term,
                    "there was an election"
                );
            }
            key
        });
        let changed = |change: &dyn Fn()| {
            let seen = others.iter().map(|member| changes(member, "peer")).collect::<Vec<_>>();
            change();
            for (member, seen) in others.iter().zip(seen) {
                in_force(member, "peer", seen);
            }
        };
        changed(&|| drop(first.certify("server").write(around.path(), "server")));
        changed(&|| around.trust(&both));
        changed(&|| drop(second.certify("server").write(around.path(), "server")));
        changed(&|| around.trust(&second.pem));
        changed(&|| {
            let leaver = second.certify("leaver");
            replace(&around.path().join("revoked"), &second.revoke(&[&leaver]));
        });
        // Whoever does not lead dials and is dialled anew, by what is in force now.
        let restarted = others.iter().position(|member| !leads(member)).expect("one leads");
        others[restarted].kill();
        others[restarted].start();
        others[restarted].await_serving();
        drop(stop);
        (putting.join().expect("puts go on"), restarted + 1)
    });
    assert!(put_last > 100, "there was a load: {put_last}");
    for member in &cluster.members {
        let all = json!({ "key": "ay8=", "range_end": "azA=", "count_only": true }).to_string();
        let answer = request(&member.endpoint(), "POST /v3/kv/range", &[], &all);
        let answer = answer.expect("it is answered").json();
        assert_eq!(answer["count"], (put_last + 1).to_string(), "{}", member.name);
    }
    let stranger = HttpsClient::new(&both, Some(&first.certify("server")));
    let port = cluster.members[restarted].peer_port();
    assert!(stranger.get(port, "/version").is_err(), "the first authority is trusted no more");
}

/// A test that fails must not wait for its load for ever.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn leads(member: &Member) -> bool {
    let status = request(&member.endpoint(), "POST /v3/maintenance/status", &[], "{}");
    let status = status.expect("it is answered").json();
    status["leader"] == status["header"]["member_id"]
}
