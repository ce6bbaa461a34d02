use kvorum_proto::etcdserverpb::{AuthUserAddRequest, PutRequest};
use kvorum_proto::membershippb::ClusterVersionSetRequest;
use prost::Message;
use raft_proto::eraftpb::Entry;

use super::replay::{Around, Content, OldRequest};
use super::*;

fn content(data: Vec<u8>) -> Option<&'static str> {
    let entry = Entry { data: data.into(), ..Entry::default() };
    Content::of(&entry).map(|content| match content {
        Content::Request(_) => "request",
        Content::OfTheCluster => "of the cluster",
        Content::OldApi => "old API",
        Content::ClearPassword => "clear password",
    })
}

fn old(path: &str) -> Vec<u8> {
    OldRequest { method: "PUT".to_owned(), path: path.to_owned() }.encode_to_vec()
}

fn around(old: Vec<u8>) -> Vec<u8> {
    Around { old: old.into() }.encode_to_vec()
}

fn add_user(password: &str) -> Vec<u8> {
    let add = AuthUserAddRequest {
        name: "u".to_owned(),
        password: password.to_owned(),
        ..AuthUserAddRequest::default()
    };
    let request =
        InternalRaftRequest { auth_user_add: Some(add), ..InternalRaftRequest::default() };
    request.encode_to_vec()
}

#[test]
fn each_kind_of_entry_in_etcds_log_is_told_from_the_others() {
    let put =
        InternalRaftRequest { put: Some(PutRequest::default()), ..InternalRaftRequest::default() };
    let version = ClusterVersionSetRequest { ver: "3.4.0".to_owned() };
    let version = InternalRaftRequest {
        cluster_version_set: Some(version),
        ..InternalRaftRequest::default()
    };
    assert_eq!(content(put.encode_to_vec()), Some("request"));
    assert_eq!(content(version.encode_to_vec()), Some("of the cluster"));
    assert_eq!(content(vec![]), Some("of the cluster"));
    for own in ["/0/members/8e9e05c52164694d/attributes", "/0/version"] {
        assert_eq!(content(old(own)), Some("of the cluster"), "{own}");
        assert_eq!(content(around(old(own))), Some("of the cluster"), "{own}");
    }
    // What `/health` of etcd 3.4 leaves in the log.
    for method in ["QGET", "SYNC"] {
        let method = method.to_owned();
        let health = OldRequest { method, path: String::new() }.encode_to_vec();
        assert_eq!(content(around(health.clone())), Some("of the cluster"));
        assert_eq!(content(health), Some("of the cluster"));
    }
    assert_eq!(content(old("/1/somebody's/key")), Some("old API"));
    assert_eq!(content(around(old("/1/key"))), Some("old API"));
}

#[test]
fn what_cannot_be_taken_over_is_not_passed_over() {
    for password in ["in clear", ""] {
        assert_eq!(content(add_user(password)), Some("clear password"));
    }
    for junk in [&b"\x00"[..], b"\xff\xff\xff", b"junk that means nothing"] {
        assert_eq!(content(junk.to_vec()), None, "{junk:?}");
    }
    // A kind of a version that is not known yet.
    let unknown = [0x9a, 0xf4, 0x03, 0x00];
    assert_eq!(content(unknown.to_vec()), None);
}

#[test]
fn a_version_that_is_newer_than_ours_is_told_from_older_ones() {
    for known in ["", "3.5.0", "3.6.0", "3.6.9"] {
        assert_eq!(newer_version(known.to_owned()), None, "{known}");
    }
    for newer in ["3.7.0", "4.0.0", "no version"] {
        assert_eq!(newer_version(newer.to_owned()), Some(newer.to_owned()));
    }
}

#[test]
fn a_directory_is_free_if_nothing_but_an_earlier_attempt_is_in_it() {
    let temp = tempfile::tempdir().unwrap();
    assert!(check_empty(&temp.path().join("missing")).is_ok());
    assert!(check_empty(temp.path()).is_ok());
    fs::create_dir(temp.path().join("kvorum.new")).unwrap();
    fs::write(temp.path().join("kvorum.lock"), "1").unwrap();
    assert!(check_empty(temp.path()).is_ok());
    fs::write(temp.path().join("precious"), "mine").unwrap();
    assert!(matches!(check_empty(temp.path()), Err(RestoreError::NotEmpty(_))));
    let file = temp.path().join("precious");
    assert!(matches!(check_empty(&file), Err(RestoreError::NotEmpty(_))));
}

#[test]
fn what_is_no_directory_of_etcds_is_named_and_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let target = Target { data_dir: temp.path().join("new"), ..Target::default() };
    let error = import(temp.path(), None, &target).unwrap_err();
    assert!(matches!(error, RestoreError::NotEtcd(_)), "{error}");
    assert!(!target.data_dir.exists());
    fs::create_dir_all(temp.path().join("member/snap")).unwrap();
    fs::write(temp.path().join("member/snap/db"), vec![7; 20_000]).unwrap();
    let error = import(temp.path(), None, &target).unwrap_err();
    assert!(error.to_string().contains("no file of bbolt"), "{error}");
    assert!(!target.data_dir.exists());
}
