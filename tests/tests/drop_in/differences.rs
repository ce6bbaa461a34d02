//! Where etcd's own clients differ: what 3.4 prints, and what 3.6 prints and so do we.
//!
//! Both forms are transcripts with their changing parts replaced, as `Transcript` does it. Any
//! difference that is not here fails.

/// One line of the table.
pub(crate) struct Difference {
    /// As in the steps.
    pub(crate) line: &'static str,
    pub(crate) what: &'static str,
    pub(crate) three_four: &'static str,
    pub(crate) three_six: &'static str,
    /// Where etcd's source has it.
    pub(crate) source: &'static str,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        line: "version",
        what: "its own version",
        three_four: "etcdctl version: 3.4.23\nAPI version: 3.4\n",
        three_six: "etcdctl version: 3.6.0\nAPI version: 3.6\n",
        source: "api/version/version.go",
    },
    Difference {
        line: "member list -w fields",
        what: "3.6 leaves out a revision of zero",
        three_four: r#""ClusterID" : CLUSTER
"MemberID" : MEMBER
"Revision" : 0
"RaftTerm" : 2
"ID" : MEMBER
"Name" : "m1"
"PeerURL" : "http://PEER"
"ClientURL" : "http://CLIENT"
"IsLearner" : false

"#,
        three_six: r#""ClusterID" : CLUSTER
"MemberID" : MEMBER
"RaftTerm" : 2
"ID" : MEMBER
"Name" : "m1"
"PeerURL" : "http://PEER"
"ClientURL" : "http://CLIENT"
"IsLearner" : false

"#,
        source: "etcdctl/ctlv3/command/printer_fields.go, hdr",
    },
    Difference {
        line: "endpoint status",
        what: "3.6 has six columns more",
        three_four: "CLIENT, MEMBER-HEX, 3.4.23, N kB, true, false, 2, 5, 5, \n",
        three_six: "CLIENT, MEMBER-HEX, 3.4.23, , N kB, N kB, N%, N B, true, false, 2, 5, 5, , , \
                    false\n",
        source: "etcdctl/ctlv3/command/printer.go, makeEndpointStatusTable",
    },
    Difference {
        line: "endpoint status --cluster",
        what: "3.6 has six columns more",
        three_four: "http://CLIENT, MEMBER-HEX, 3.4.23, N kB, true, false, 2, 5, 5, \n",
        three_six: "http://CLIENT, MEMBER-HEX, 3.4.23, , N kB, N kB, N%, N B, true, false, 2, 5, \
                    5, , , false\n",
        source: "etcdctl/ctlv3/command/printer.go, makeEndpointStatusTable",
    },
    Difference {
        line: "endpoint status -w fields",
        what: "3.6 tells storage version, size in use, quota and downgrade too",
        three_four: r#""ClusterID" : CLUSTER
"MemberID" : MEMBER
"Revision" : 1
"RaftTerm" : 2
"Version" : "3.4.23"
"DBSize" : N
"Leader" : MEMBER
"IsLearner" : false
"RaftIndex" : 5
"RaftTerm" : 2
"RaftAppliedIndex" : 5
"Errors" : []
"Endpoint" : "CLIENT"

"#,
        three_six: r#""ClusterID" : CLUSTER
"MemberID" : MEMBER
"Revision" : 1
"RaftTerm" : 2
"Version" : "3.4.23"
"StorageVersion" : ""
"DBSize" : N
"DBSizeInUse" : N
"DBSizeQuota" : 0
"Leader" : MEMBER
"IsLearner" : false
"RaftIndex" : 5
"RaftTerm" : 2
"RaftAppliedIndex" : 5
"Errors" : []
"Endpoint" : "CLIENT"
"DowngradeTargetVersion" : ""
"DowngradeEnabled" : false

"#,
        source: "etcdctl/ctlv3/command/printer_fields.go, EndpointStatus",
    },
    Difference {
        line: "endpoint status -w table",
        what: "3.6 has six columns more",
        three_four: "\
+-+-+-+-+-+-+-+-+-+-+
| ENDPOINT | ID | VERSION | DB SIZE | IS LEADER | IS LEARNER | RAFT TERM | RAFT INDEX | \
RAFT APPLIED INDEX | ERRORS |
+-+-+-+-+-+-+-+-+-+-+
| CLIENT | MEMBER-HEX | 3.4.23 | N kB | true | false | 2 | 5 | 5 | |
+-+-+-+-+-+-+-+-+-+-+
",
        three_six: "\
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
| ENDPOINT | ID | VERSION | STORAGE VERSION | DB SIZE | IN USE | PERCENTAGE NOT IN USE | QUOTA | \
IS LEADER | IS LEARNER | RAFT TERM | RAFT INDEX | RAFT APPLIED INDEX | ERRORS | \
DOWNGRADE TARGET VERSION | DOWNGRADE ENABLED |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
| CLIENT | MEMBER-HEX | 3.4.23 | | N kB | N kB | N% | N B | true | false | 2 | 5 | 5 | | | false |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
",
        source: "etcdctl/ctlv3/command/printer.go, makeEndpointStatusTable",
    },
    Difference {
        line: "endpoint health",
        what: "3.4 tells health on standard error",
        three_four: "",
        three_six: "CLIENT is healthy: successfully committed proposal: took = N\n",
        source: "etcdctl/ctlv3/command/printer_simple.go, EndpointHealth",
    },
    Difference {
        line: "txn -w json",
        what: "3.4 spells the members of a oneof as Go does",
        three_four: r#"{"header":{"cluster_id":CLUSTER,"member_id":MEMBER,"revision":26,"raft_term":2},"succeeded":true,"responses":[{"Response":{"ResponsePut":{"header":{"revision":26}}}},{"Response":{"ResponseRange":{"header":{"revision":26},"kvs":[{"key":"dA==","create_revision":23,"mod_revision":26,"version":4,"value":"Mg=="}],"count":1}}},{"Response":{"ResponseDeleteRange":{"header":{"revision":26}}}}]}
"#,
        three_six: r#"{"header":{"cluster_id":CLUSTER,"member_id":MEMBER,"revision":26,"raft_term":2},"succeeded":true,"responses":[{"Response":{"response_put":{"header":{"revision":26}}}},{"Response":{"response_range":{"header":{"revision":26},"kvs":[{"key":"dA==","create_revision":23,"mod_revision":26,"version":4,"value":"Mg=="}],"count":1}}},{"Response":{"response_delete_range":{"header":{"revision":26}}}}]}
"#,
        source: "api/etcdserverpb/rpc.proto, ResponseOp",
    },
    Difference {
        line: "txn -w=json",
        what: "3.4 spells the members of a oneof as Go does",
        three_four: r#"{"header":{"cluster_id":CLUSTER,"member_id":MEMBER,"revision":26,"raft_term":2},"responses":[{"Response":{"ResponseRange":{"header":{"revision":26},"kvs":[{"key":"dA==","create_revision":23,"mod_revision":26,"version":4,"value":"Mg=="}],"count":1}}}]}
"#,
        three_six: r#"{"header":{"cluster_id":CLUSTER,"member_id":MEMBER,"revision":26,"raft_term":2},"responses":[{"Response":{"response_range":{"header":{"revision":26},"kvs":[{"key":"dA==","create_revision":23,"mod_revision":26,"version":4,"value":"Mg=="}],"count":1}}}]}
"#,
        source: "api/etcdserverpb/rpc.proto, ResponseOp",
    },
];
