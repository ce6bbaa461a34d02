//! Answers that etcd 3.4 does not give, or that cannot be told in advance of a real member, in every
//! format, as etcdctl 3.6 prints them.

use kvorum_client::pb;

use super::{Answer, Format, HashRow, LeaderMove, StatusRow, Style};

/// No number twice, but for a member that leads.
fn rows() -> Vec<StatusRow> {
    let leader = pb::StatusResponse {
        header: Some(pb::ResponseHeader {
            cluster_id: 0xc1,
            member_id: 0x1a2b,
            revision: 11,
            raft_term: 12,
        }),
        version: "3.6.14".into(),
        db_size: 40_000,
        leader: 0x1a2b,
        raft_index: 21,
        raft_term: 22,
        raft_applied_index: 23,
        db_size_in_use: 10_000,
        storage_version: "3.6.0".into(),
        db_size_quota: 2_147_483_648,
        ..pb::StatusResponse::default()
    };
    let mut learner = pb::StatusResponse {
        header: Some(pb::ResponseHeader {
            cluster_id: 0xc1,
            member_id: 0x3c4d,
            revision: 0,
            raft_term: 32,
        }),
        version: "3.6.13".into(),
        db_size: 55_000_000,
        leader: 0x5e6f,
        raft_index: 41,
        raft_term: 42,
        raft_applied_index: 43,
        errors: vec!["one".into(), "two".into()],
        db_size_in_use: 33_000_000,
        is_learner: true,
        db_size_quota: 8_000_000_000,
        ..pb::StatusResponse::default()
    };
    let downgrade = learner.downgrade_info.get_or_insert_default();
    downgrade.enabled = true;
    downgrade.target_version = "3.5.0".into();
    vec![
        StatusRow { endpoint: "127.0.0.1:2379".into(), status: leader },
        StatusRow { endpoint: "m2:2379".into(), status: learner },
    ]
}

fn printed(style: &Style) -> String {
    let mut out = Vec::new();
    style.printer().print(Answer::Status(&rows()), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn printed_as(format: Format) -> String {
    printed(&Style { format, ..Style::default() })
}

#[test]
fn status_in_simple_is_the_cells_of_the_table() {
    assert_eq!(
        printed_as(Format::Simple),
        "127.0.0.1:2379, 1a2b, 3.6.14, 3.6.0, 40 kB, 10 kB, 75%, 2.1 GB, true, false, 22, 21, \
         23, , , false\n\
         m2:2379, 3c4d, 3.6.13, , 55 MB, 33 MB, 40%, 8.0 GB, false, true, 42, 41, 43, one, two, \
         3.5.0, true\n"
    );
}

#[test]
fn status_in_a_table_has_each_value_below_its_title() {
    let table = printed_as(Format::Table);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let [titles, leader, learner] = &lines[..] else { panic!("{table}") };
    let columns: Vec<_> = titles.iter().zip(leader).zip(learner).collect();
    let columns: Vec<_> = columns.into_iter().map(|((a, b), c)| (*a, *b, *c)).collect();
    assert_eq!(
        columns,
        [
            ("ENDPOINT", "127.0.0.1:2379", "m2:2379"),
            ("ID", "1a2b", "3c4d"),
            ("VERSION", "3.6.14", "3.6.13"),
            ("STORAGE VERSION", "3.6.0", ""),
            ("DB SIZE", "40 kB", "55 MB"),
            ("IN USE", "10 kB", "33 MB"),
            ("PERCENTAGE NOT IN USE", "75%", "40%"),
            ("QUOTA", "2.1 GB", "8.0 GB"),
            ("IS LEADER", "true", "false"),
            ("IS LEARNER", "false", "true"),
            ("RAFT TERM", "22", "42"),
            ("RAFT INDEX", "21", "41"),
            ("RAFT APPLIED INDEX", "23", "43"),
            ("ERRORS", "", "one, two"),
            ("DOWNGRADE TARGET VERSION", "", "3.5.0"),
            ("DOWNGRADE ENABLED", "false", "true"),
        ]
    );
}

#[test]
fn status_in_json_leaves_out_what_is_zero() {
    assert_eq!(
        printed_as(Format::Json),
        concat!(
            r#"[{"Endpoint":"127.0.0.1:2379","Status":{"#,
            r#""header":{"cluster_id":193,"member_id":6699,"revision":11,"raft_term":12},"#,
            r#""version":"3.6.14","dbSize":40000,"leader":6699,"#,
            r#""raftIndex":21,"raftTerm":22,"raftAppliedIndex":23,"#,
            r#""dbSizeInUse":10000,"storageVersion":"3.6.0","dbSizeQuota":2147483648}},"#,
            r#"{"Endpoint":"m2:2379","Status":{"#,
            r#""header":{"cluster_id":193,"member_id":15437,"raft_term":32},"#,
            r#""version":"3.6.13","dbSize":55000000,"leader":24175,"#,
            r#""raftIndex":41,"raftTerm":42,"raftAppliedIndex":43,"errors":["one","two"],"#,
            r#""dbSizeInUse":33000000,"isLearner":true,"dbSizeQuota":8000000000,"#,
            r#""downgradeInfo":{"enabled":true,"targetVersion":"3.5.0"}}}]"#,
            "\n",
        )
    );
}

const FIELDS: &str = r#""ClusterID" : 193
"MemberID" : 6699
"Revision" : 11
"RaftTerm" : 12
"Version" : "3.6.14"
"StorageVersion" : "3.6.0"
"DBSize" : 40000
"DBSizeInUse" : 10000
"DBSizeQuota" : 2147483648
"Leader" : 6699
"IsLearner" : false
"RaftIndex" : 21
"RaftTerm" : 22
"RaftAppliedIndex" : 23
"Errors" : []
"Endpoint" : "127.0.0.1:2379"
"DowngradeTargetVersion" : ""
"DowngradeEnabled" : false

"ClusterID" : 193
"MemberID" : 15437
"RaftTerm" : 32
"Version" : "3.6.13"
"StorageVersion" : ""
"DBSize" : 55000000
"DBSizeInUse" : 33000000
"DBSizeQuota" : 8000000000
"Leader" : 24175
"IsLearner" : true
"RaftIndex" : 41
"RaftTerm" : 42
"RaftAppliedIndex" : 43
"Errors" : [one two]
"Endpoint" : "m2:2379"
"DowngradeTargetVersion" : "3.5.0"
"DowngradeEnabled" : true

"#;

#[test]
fn status_in_fields_has_a_line_for_each() {
    assert_eq!(printed_as(Format::Fields), FIELDS);
}

#[test]
fn of_the_ids_in_fields_the_leaders_stays_decimal_with_hex() {
    let hex = FIELDS
        .replace("\"ClusterID\" : 193\n", "\"ClusterID\" : c1\n")
        .replace("\"MemberID\" : 6699\n", "\"MemberID\" : 1a2b\n")
        .replace("\"MemberID\" : 15437\n", "\"MemberID\" : 3c4d\n");
    let style = Style { format: Format::Fields, hex: true, ..Style::default() };
    assert_eq!(printed(&style), hex);
}

fn header() -> pb::ResponseHeader {
    pb::ResponseHeader { cluster_id: 0xc1, member_id: 0x1a2b, revision: 0, raft_term: 12 }
}

const HEADER: &str = r#"{"header":{"cluster_id":193,"member_id":6699,"raft_term":12}"#;

/// In `simple`, `json`, `fields` and `table`; none where the format is not for this answer.
fn said(answer: Answer<'_>) -> [Option<String>; 4] {
    [Format::Simple, Format::Json, Format::Fields, Format::Table].map(|format| {
        let mut out = Vec::new();
        let style = Style { format, ..Style::default() };
        style.printer().print(answer, &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    })
}

#[test]
fn a_downgrade_says_which_version_the_cluster_has() {
    let answer = pb::DowngradeResponse { header: Some(header()), version: "3.6.0".into() };
    let simple = "Downgrade validate success, cluster version 3.6.0\n";
    let json = format!("{HEADER},\"version\":\"3.6.0\"}}\n");
    assert_eq!(
        said(Answer::Downgrade("validate", &answer)),
        [Some(simple.into()), Some(json), None, None]
    );
}

#[test]
fn the_status_of_authentication_says_at_which_revision() {
    let answer = pb::AuthStatusResponse { enabled: true, auth_revision: 5, header: None };
    let simple = "Authentication Status: true\nAuthRevision: 5\n";
    let json = "{\"enabled\":true,\"authRevision\":5}\n";
    assert_eq!(
        said(Answer::AuthStatus(&answer)),
        [Some(simple.into()), Some(json.into()), None, None]
    );
    let off = pb::AuthStatusResponse { enabled: false, ..answer };
    assert_eq!(
        said(Answer::AuthStatus(&off))[0].as_deref(),
        Some("Authentication Status: false\nAuthRevision: 5\n")
    );
}

#[test]
fn a_hash_says_up_to_which_revision() {
    let hash = pb::HashKvResponse {
        header: Some(header()),
        hash: 7,
        compact_revision: -1,
        hash_revision: 9,
    };
    let rows = [HashRow { endpoint: "m:1".into(), hash }];
    let [simple, json, fields, table] = said(Answer::Hashes(&rows));
    assert_eq!(simple.unwrap(), "m:1, 7, 9\n");
    assert_eq!(
        json.unwrap(),
        format!(
            "[{{\"Endpoint\":\"m:1\",\"HashKV\":{HEADER},\"hash\":7,\"compact_revision\":-1,\
             \"hash_revision\":9}}}}]\n"
        )
    );
    assert_eq!(
        fields.unwrap(),
        "\"ClusterID\" : 193\n\"MemberID\" : 6699\n\"RaftTerm\" : 12\n\"Endpoint\" : \"m:1\"\n\
         \"Hash\" : 7\n\"HashRevision\" : 9\n\n"
    );
    assert!(table.unwrap().contains("| ENDPOINT | HASH | HASH_REVISION |"));
}

#[test]
fn short_ids_of_members_are_padded_as_etcdctl_pads_them() {
    let member = pb::Member { id: 0xa, is_learner: true, ..pb::Member::default() };
    let answer = pb::MemberAddResponse {
        header: Some(header()),
        member: Some(member.clone()),
        members: vec![member],
    };
    let [simple, json, fields, table] = said(Answer::MemberAdd(&answer));
    let expected = "Member                a added as learner to cluster               c1\n";
    assert_eq!(simple.unwrap(), expected);
    let member = "{\"ID\":10,\"isLearner\":true}";
    assert_eq!(json.unwrap(), format!("{HEADER},\"member\":{member},\"members\":[{member}]}}\n"));
    assert_eq!((fields, table), (None, None));
}

#[test]
fn a_new_leader_is_told_from_the_old_one() {
    let answer = pb::MoveLeaderResponse { header: Some(header()) };
    let moved = LeaderMove { from: 0xa, to: 0xb };
    let simple = "Leadership transferred from a to b\n";
    assert_eq!(
        said(Answer::LeaderMove(moved, &answer)),
        [Some(simple.into()), Some(format!("{HEADER}}}\n")), None, None]
    );
}

#[test]
fn alarms_are_named_as_go_writes_them_down() {
    let alarm = |alarm| pb::AlarmMember { member_id: 0x1a, alarm };
    let alarms = vec![alarm(1), alarm(2), alarm(9)];
    let answer = pb::AlarmResponse { header: Some(header()), alarms };
    let [simple, json, fields, _] = said(Answer::Alarms(&answer));
    assert_eq!(
        simple.unwrap(),
        "memberID:26 alarm:NOSPACE \nmemberID:26 alarm:CORRUPT \nmemberID:26 alarm:9 \n"
    );
    let alarms = "{\"memberID\":26,\"alarm\":1},{\"memberID\":26,\"alarm\":2}";
    assert!(json.unwrap().starts_with(&format!("{HEADER},\"alarms\":[{alarms},")));
    assert!(fields.unwrap().contains("\"MemberID\" : 26\n\"AlarmType\" : CORRUPT\n\n"));
}
