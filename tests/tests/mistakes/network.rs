//! Nobody there, nobody in time, a name that is none.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use kvorum_tests::ports;

use super::site::{as_kvorum, etcdctl_says_nothing_else, is_told};

#[test]
fn nobody_listens() {
    let address = format!("127.0.0.1:{}", ports::free(1)[0]);
    for scheme in ["", "http://", "https://"] {
        let endpoint = format!("{scheme}{address}");
        is_told(
            &endpoint,
            &[],
            &format!("nothing answers at {endpoint}"),
            "check that a member runs there, and that this is its client port (2379 unless it was \
             changed)",
        );
    }
}

#[test]
fn a_name_without_an_address() {
    let told = as_kvorum("name.invalid:2379", &["--dial-timeout=10s", "--command-timeout=12s"]);
    let begins = "error: the name of name.invalid:2379 cannot be resolved: ";
    assert!(told.stderr.starts_with(begins), "{}", told.stderr);
    let ends = "\nhint: check the spelling, or give the address itself to --endpoints\n";
    assert!(told.stderr.ends_with(ends), "{}", told.stderr);
    etcdctl_says_nothing_else("name.invalid:2379", &[]);
}

#[test]
fn a_server_that_accepts_and_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {});
        }
    });
    let endpoint = format!("https://{address}");
    let error = format!("TLS with {endpoint} failed: no answer within 2s");
    let hint = "check --cacert, --cert and --key, or whether the endpoint is http:// after all";
    is_told(&endpoint, &[], &error, hint);
    let told = as_kvorum(&address, &["--command-timeout=1s"]);
    let expected = format!(
        "error: {address} did not answer within 1s\nhint: try a longer --command-timeout\n"
    );
    assert_eq!((told.stderr, told.code), (expected, 1));
}
