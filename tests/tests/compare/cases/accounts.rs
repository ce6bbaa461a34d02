//! Users and roles, while nobody needs them.

use super::Script;

pub(super) fn roles(script: &mut Script) {
    script.run_all(&[
        "role list",
        "role add r",
        "role add r",
        "role add empty",
        "role get empty",
        "role grant-permission r read a",
        "role grant-permission r write b c",
        "role grant-permission r readwrite /p/ --prefix",
        "role grant-permission r READ z --from-key=true",
        "role grant-permission r --prefix=false readWrite \"sp ace\"",
        r#"role grant-permission r read "bin\x01" "bin\x02""#,
        "role get r",
        "role grant-permission r read \"\" --prefix",
        "role get r",
        "role revoke-permission r \"\" --prefix",
        "role grant-permission r read \"\" --from-key",
        "role revoke-permission r --from-key \"\"",
        "role grant-permission r read \"\"",
        "role grant-permission r read \"\" ignored",
        "role revoke-permission r \"\"",
        "role revoke-permission r a",
        "role revoke-permission r a",
        "role revoke-permission r b c",
        "role revoke-permission r /p/ --prefix",
        "role revoke-permission r z --from-key",
        "role get r",
        "role list",
        "role get nobody",
        "role delete nobody",
        "role grant-permission nobody read a",
        "role revoke-permission nobody a",
    ]);
}

pub(super) fn users(script: &mut Script) {
    script.run_all(&[
        "user list",
        "user add alice:secret",
        "user add alice:secret",
        "user add bob --new-user-password=secret",
        "user add co:lon --new-user-password secret",
        "user add carol --no-password",
        "user add dave:with --no-password=true",
        "user add empty:",
        "user grant-role alice r",
        "user grant-role alice empty",
        "user grant-role alice r",
        "user grant-role bob nobody",
        "user grant-role nobody r",
        "user get alice",
    ]);
    // A role without a permission is written as every role.
    script.run("user get alice --detail");
    script.run_all(&[
        "user get bob --detail=false",
        "user get carol --detail",
        "user get nobody",
        "user list",
        "user revoke-role alice empty",
        "user revoke-role alice empty",
        "user revoke-role alice nobody",
        "user revoke-role nobody r",
        "user delete nobody",
        "user delete alice",
        "user delete bob",
        "user delete co:lon",
        "user delete carol",
        "user delete dave:with",
        "user delete empty",
        "role delete r",
        "role delete empty",
    ]);
}

/// Passwords that come from standard input.
pub(super) fn passwords(script: &mut Script) {
    for (line, input) in [
        ("user add erin", "secret\nsecret\n"),
        ("user add frank", "  spaces around \r\n\tspaces around\n"),
        ("user add frank --interactive=true", "no end\nno end"),
        ("user add grace", "secret\nother\n"),
        ("user add grace", "\n\n"),
        ("user add grace", ""),
        ("user add grace", "   \n"),
        ("user add grace", "once\n"),
        ("user add grace --interactive=false", "secret\n"),
        ("user add heidi --interactive=false", " two words\n"),
        ("user add ivan --interactive=false", ""),
        ("user add judy --interactive=false", "\nsecond\n"),
        ("user passwd erin", "changed\nchanged\n"),
        ("user passwd erin", "changed\nother\n"),
        ("user passwd erin", ""),
        ("user passwd erin --interactive=false", "again\n"),
        ("user passwd erin --interactive=false", ""),
        ("-w json user passwd erin", "changed\nchanged\n"),
        ("-w fields user passwd erin --interactive=false", "changed\n"),
        ("user passwd nobody", "changed\nchanged\n"),
    ] {
        script.run(line).input = input;
    }
    script.run_all(&["user list", "user get frank"]);
    // Nobody looks at credentials before authentication is enabled.
    script.run_all(&["--user erin:wrong get a", "--user erin --password wrong put a 1"]);
    script.run("--user erin get a").input = "wrong\n";
    script.run("--user erin get a").input = "";
}

pub(super) fn mistakes(script: &mut Script) {
    script.run_all(&[
        "role add",
        "role add a b",
        "role delete",
        "role get",
        "role get a b",
        "role list a",
        "role grant-permission",
        "role grant-permission r",
        "role grant-permission r read",
        "role grant-permission r reed a",
        "role grant-permission r read a b --prefix",
        "role grant-permission r read a b --from-key",
        "role grant-permission r read a --prefix --from-key",
        "role grant-permission r read \"\" --prefix --from-key",
        "role revoke-permission",
        "role revoke-permission r",
        "role revoke-permission r a b --prefix",
        "role revoke-permission r a --prefix --from-key",
        "user add",
        "user add a b",
        "user add :secret",
        "user add \"\" --no-password",
        "user delete",
        "user get",
        "user get a b",
        "user list a",
        "user passwd",
        "user passwd a b",
        "user grant-role a",
        "user grant-role a b c",
        "user revoke-role a",
        "user revoke-role",
        "auth enable now",
        "auth disable now",
        // There is no user root.
        "auth enable",
        "auth disable",
        "-w table user list",
        "-w table role get r",
        "-w table role list",
        "us li",
        "ro l",
    ]);
}
