//! What waits for its caller ends within a second when the caller may not have it any more.

use std::time::{Duration, Instant};

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, Permission, RoleRevokePermissionOptions,
};
use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until_async;
use tokio::task::JoinHandle;

/// How long a wait may outlive its permission.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
const QUEUES: [&str; 2] = ["k/lock", "k/vote"];

async fn client(cluster: &Cluster, user: &str) -> Client {
    let options = (user != "nobody").then(|| ConnectOptions::new().with_user(user, "p"));
    Client::connect([cluster.endpoints()], options).await.expect("the member answers")
}

/// A member with auth, root's client, and the clients of these users, who may all of `k`.
async fn member(users: &[&str]) -> (Cluster, Client, Vec<Client>) {
    let server = Names::of(binary!()).server();
    let cluster = Cluster::start_with(&server, 1, &["--bcrypt-cost=4"]);
    let mut root = client(&cluster, "nobody").await;
    root.role_add("root").await.expect("a role");
    root.user_add("root", "p", None).await.expect("a user");
    root.user_grant_role("root", "root").await.expect("a role is granted");
    for user in users {
        // A role of its own for each, of the same name.
        root.user_add(*user, "p", None).await.expect("a user");
        root.role_add(*user).await.expect("a role");
        let permission = Permission::read_write("k").with_prefix();
        root.role_grant_permission(*user, permission).await.expect("a permission");
        root.user_grant_role(*user, *user).await.expect("a role is granted");
    }
    root.auth_enable().await.expect("auth is enabled");
    let root = client(&cluster, "root").await;
    let mut clients = Vec::new();
    for user in users {
        clients.push(client(&cluster, user).await);
    }
    (cluster, root, clients)
}

type Wait = (&'static str, JoinHandle<Result<(), Error>>);

/// A lock and an office that root holds, and an election nobody stands in.
fn waits_of(client: &Client) -> Vec<Wait> {
    let (mut lock, mut campaign, mut observe) = (client.clone(), client.clone(), client.clone());
    vec![
        ("lock", tokio::spawn(async move { lock.lock(QUEUES[0], None).await.map(drop) })),
        (
            "campaign",
            tokio::spawn(async move {
                let lease = campaign.lease_grant(60, None).await?.id();
                campaign.campaign(QUEUES[1], "me", lease).await.map(drop)
            }),
        ),
        (
            "observe",
            tokio::spawn(async move {
                let mut leaders = observe.observe("k/empty").await?;
                leaders.message().await.map(drop)
            }),
        ),
    ]
}

async fn hold(root: &mut Client) -> (Vec<u8>, i64) {
    let lock = root.lock(QUEUES[0], None).await.expect("nobody else has it");
    let lease = root.lease_grant(600, None).await.expect("a lease").id();
    root.campaign(QUEUES[1], "root", lease).await.expect("nobody else stands");
    (lock.key().to_vec(), lease)
}

/// Until so many are in each queue.
async fn queued(root: &mut Client, count: i64) {
    for queue in QUEUES {
        let there = until_async(PATIENCE, async || {
            let options = GetOptions::new().with_prefix().with_count_only();
            let found = root.get(format!("{queue}/"), Some(options)).await.expect("root may read");
            (found.count() >= count).then_some(())
        });
        there.await.unwrap_or_else(|| panic!("{count} do not come into {queue}"));
    }
}

async fn ends(way: &str, since: Instant, (what, mut wait): Wait) {
    let left = ENDS_WITHIN.saturating_sub(since.elapsed());
    let ended = tokio::time::timeout(left, &mut wait).await;
    let ended = ended.unwrap_or_else(|_| panic!("{what} outlives {way}"));
    let reason = if way == "password" { "invalid auth token" } else { "permission denied" };
    match ended.expect("the wait does not panic") {
        Err(Error::GRpcStatus(status)) if status.message().contains(reason) => {}
        other => panic!("{what} after {way}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_within_a_second_of_its_permission() {
    let ways = ["permission", "role", "password", "user"];
    let (_cluster, mut root, clients) = member(&ways).await;
    hold(&mut root).await;
    let mut count = 1;
    for (way, client) in ways.into_iter().zip(&clients) {
        let waits = waits_of(client);
        count += 1;
        queued(&mut root, count).await;
        match way {
            "permission" => {
                let all = RoleRevokePermissionOptions::new().with_prefix();
                root.role_revoke_permission(way, "k", Some(all)).await.map(drop)
            }
            "role" => root.user_revoke_role(way, way).await.map(drop),
            "password" => root.user_change_password(way, "other").await.map(drop),
            _ => root.user_delete(way).await.map(drop),
        }
        .expect("root may");
        let since = Instant::now();
        for wait in waits {
            ends(way, since, wait).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_outlives_a_change_that_is_not_about_it() {
    let (_cluster, mut root, clients) = member(&["worker", "other"]).await;
    let (lock, lease) = hold(&mut root).await;
    let mut waits = waits_of(&clients[0]);
    queued(&mut root, 2).await;
    root.user_delete("other").await.expect("root may");
    root.role_add("more").await.expect("root may");
    root.unlock(lock).await.expect("root holds it");
    root.lease_revoke(lease).await.expect("root may");
    let (_, observe) = waits.pop().expect("there are three");
    for (what, wait) in waits {
        let ended = tokio::time::timeout(PATIENCE, wait).await;
        let ended = ended.unwrap_or_else(|_| panic!("{what} does not get its turn"));
        ended.expect("the wait does not panic").unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    root.put("k/empty/1", "leads", None).await.expect("root may");
    let told = tokio::time::timeout(PATIENCE, observe).await.expect("it is told");
    told.expect("the wait does not panic").expect("who leads");
}
