//! http to a port of TLS and the reverse; ports that are no client ports.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use kvorum_tests::cluster::Cluster;

use super::site::{Site, as_kvorum, etcdctl_says_nothing_else, is_told, servers};

#[test]
fn plain_text_to_a_port_of_tls() {
    let site = Site::new();
    for program in servers() {
        let cluster = site.member(&program, &site.authority.certify("server"), &[]);
        let address = cluster.members[0].endpoint();
        let hint = format!(
            "write https://{address}, and name its authority with --cacert FILE unless this system \
             knows it"
        );
        for endpoint in [address.clone(), format!("http://{address}")] {
            let error = format!("{endpoint} speaks TLS, and was spoken to in plain text");
            is_told(&endpoint, &[], &error, &hint);
        }
    }
}

#[test]
fn plain_text_to_a_port_of_tls_writes_nothing_and_says_so() {
    let site = Site::new();
    for program in servers() {
        let cluster = site.member(&program, &site.authority.certify("server"), &[]);
        let address = cluster.members[0].endpoint();
        let names = kvorum_tests::program::Names::of(kvorum_tests::binary!());
        let told =
            super::site::run(&names.kvorum(), &["put", "key", "value", "--endpoints", &address]);
        let error = format!("error: {address} speaks TLS, and was spoken to in plain text\n");
        assert!(told.stderr.starts_with(&error), "{}", told.stderr);
        assert!(!told.stderr.contains("unknown"), "nothing was written: {}", told.stderr);
    }
}

#[test]
fn tls_to_a_port_of_plain_text() {
    let site = Site::new();
    for program in servers() {
        let cluster = Cluster::start(&program, 1);
        let address = cluster.members[0].endpoint();
        let endpoint = format!("https://{address}");
        let error = format!("{endpoint} does not speak TLS, but plain HTTP/2");
        is_told(&endpoint, &[], &error, &format!("write http://{address}"));
        let error = format!("{address} does not speak TLS, but plain HTTP/2");
        let hint = format!(
            "write http://{address}, or leave out --cacert, --cert and --key, which ask for TLS"
        );
        is_told(&address, &[&site.cacert()], &error, &hint);
    }
}

#[test]
fn our_peer_port_names_the_client_port() {
    let names = kvorum_tests::program::Names::of(kvorum_tests::binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let member = &cluster.members[0];
    let endpoint = format!("127.0.0.1:{}", member.peer_port());
    let told = as_kvorum(&endpoint, &[]);
    let expected = format!(
        "error: {endpoint} is for members, not for clients\nhint: its cluster serves clients here: \
         --endpoints {}\n",
        member.client_url()
    );
    assert_eq!((told.stderr, told.code), (expected, 1));
}

const NO_CLIENT_PORT: &str =
    "this is no client port of etcd, which is 2379 unless it was changed: check --endpoints";

#[test]
fn another_service_is_told_by_what_it_says() {
    for (said, shown) in [
        ("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        ("-ERR unknown command\u{1b}[31m\r\n", "-ERR unknown command\u{fffd}[31m"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(said.as_bytes());
            }
        });
        let error = format!("{address} does not speak HTTP/2: it answers {shown:?}");
        is_told(&address, &[], &error, NO_CLIENT_PORT);
        let endpoint = format!("https://{address}");
        let error = format!("{endpoint} does not speak TLS: it answers {shown:?}");
        is_told(&endpoint, &[], &error, NO_CLIENT_PORT);
    }
}

#[test]
fn a_server_that_hesitates_in_plain_text_is_told_before_the_time_is_up() {
    // Says nothing to a ClientHello, which it takes for a line that has not ended; answers the
    // preface of HTTP/2 with SETTINGS.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut begun = [0; 24];
                if stream.read_exact(&mut begun).is_ok() && begun.starts_with(b"PRI ") {
                    let _ = stream.write_all(b"\0\0\0\x04\0\0\0\0\0");
                }
                while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
            });
        }
    });
    let endpoint = format!("https://{address}");
    let told = as_kvorum(&endpoint, &["--dial-timeout=30s", "--command-timeout=30s"]);
    let expected = format!("error: {endpoint} does not speak TLS, but plain HTTP/2\n");
    assert!(told.stderr.starts_with(&expected), "{}", told.stderr);
    assert!(told.took < super::site::QUICKLY, "{:?}", told.took);
    etcdctl_says_nothing_else(&endpoint, &[]);
}
