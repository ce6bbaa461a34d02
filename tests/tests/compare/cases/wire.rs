//! Answers as protobuf.

use super::{Mask, Script};

pub(super) fn answers(script: &mut Script) {
    // Of a grant, protobuf does not tell the ID.
    script.run("lease grant 1000");
    for line in [
        "put wire/1 one",
        "put wire/1 two --prev-kv",
        "get wire/ --prefix",
        "get nothing",
        "lease grant 1000",
        "lease timetolive {LEASE} --keys",
        "lease keep-alive --once {LEASE}",
        "lease list",
        "lease revoke {LEASE}",
        "del wire/1 --prev-kv",
        "compaction {REV-1}",
        "member list",
        "alarm list",
        "alarm disarm",
        "role add r",
        "role grant-permission r readwrite a b",
        "role get r",
        "role list",
        "role revoke-permission r a b",
        "user add alice:secret",
        "user grant-role alice r",
        "user get alice",
        "user list",
        "user revoke-role alice r",
        "user delete alice",
        "role delete r",
        "endpoint health",
        "endpoint status",
        "endpoint hashkv",
    ] {
        script.run(&format!("-w protobuf {line}")).mask = Mask::Wire;
    }
    let case = script.run("-w protobuf user passwd alice --interactive=false");
    (case.mask, case.input) = (Mask::Wire, "secret\n");
    let case = script.run("-w protobuf txn");
    (case.mask, case.input) =
        (Mask::Wire, "mod(\"wire/1\") > \"0\"\n\nput t 1\n\nput t 2\nget t\ndel t --prev-kv\n\n");
}
