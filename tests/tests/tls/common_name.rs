//! Users by the common names of their certificates: who asks by gRPC is whom the certificate names,
//! unless there is a token; by the gateway a name counts for nothing, and is refused.

use kvorum_proto::authpb::Permission;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::watch_client::WatchClient;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    AuthEnableRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserGrantRoleRequest, AuthUserListRequest,
    AuthenticateRequest, PutRequest, WatchCreateRequest, WatchRequest,
};
use kvorum_tests::certificates::{Certified, Wanted};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd, real_etcdctl};
use kvorum_tests::{binary, or_skip};
use tokio_stream::StreamExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::surroundings::{SECURE_CLIENTS, Surroundings};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_names_a_user_of_our_member() {
    let site = Site::start(&Names::of(binary!()).server()).await;
    site.check().await;
    site.check_watch().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_names_a_user_of_debians_etcd() {
    Site::start(&or_skip!(real_etcd(), NO_ETCD)).await.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debians_etcdctl_is_who_its_certificate_says() {
    let site = Site::start(&Names::of(binary!()).server()).await;
    let etcdctl = or_skip!(real_etcdctl(), NO_ETCD);
    let by = |shown: &Certified| site.etcdctl(&etcdctl, shown);
    by(&site.alice).say(&["put", "app/a", "1"]);
    assert_eq!(by(&site.alice).say(&["get", "app/", "--prefix"]), "app/a\n1\n");
    for (shown, args) in [
        (&site.alice, ["put", "other", "1"]),
        (&site.mallory, ["put", "app/a", "1"]),
        (&site.nameless, ["put", "app/a", "1"]),
    ] {
        let outcome = by(shown).run(&args);
        assert_ne!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("etcdserver: permission denied"), "{outcome:?}");
    }
    by(&site.alice).say(&["put", "other", "1", "--user=root:secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_name_by_certificate_is_sent_away_from_our_gateway() {
    Site::start(&Names::of(binary!()).server()).await.check_gateway();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_name_by_certificate_is_sent_away_from_etcds_gateway() {
    Site::start(&or_skip!(real_etcd(), NO_ETCD)).await.check_gateway();
}

/// A member with auth, on which alice may touch what begins with `app/`.
struct Site {
    around: Surroundings,
    cluster: Cluster,
    root: Certified,
    alice: Certified,
    /// Is nobody the member knows.
    mallory: Certified,
    /// Has no common name.
    nameless: Certified,
}

impl Site {
    async fn start(server: &Program) -> Site {
        let around = Surroundings::new();
        let mut flags = around.server_flags("", "--client-cert-auth");
        flags.push("--bcrypt-cost=4".to_owned());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let cluster = Cluster::start_over(server, 1, SECURE_CLIENTS, &flags);
        let [root, alice, mallory] =
            ["root", "alice", "mallory"].map(|name| around.authority.certify(name));
        let nameless = Wanted { common_name: "", names: &["127.0.0.1"], expired: false };
        let nameless = around.authority.certify_as(nameless);
        let site = Site { around, cluster, root, alice, mallory, nameless };
        site.prepare().await;
        site
    }

    async fn prepare(&self) {
        let mut auth = AuthClient::new(self.channel(&self.root));
        for (name, password) in [("root", "secret"), ("alice", "hidden")] {
            let (name, password) = (name.to_owned(), password.to_owned());
            let add = AuthUserAddRequest { name, password, ..AuthUserAddRequest::default() };
            auth.user_add(add).await.expect("a user");
        }
        for role in ["root", "app"] {
            auth.role_add(AuthRoleAddRequest { name: role.into() }).await.expect("a role");
        }
        let (key, range_end) = ("app/".into(), "app0".into());
        let perm = Some(Permission { perm_type: Type::Readwrite.into(), key, range_end });
        let grant = AuthRoleGrantPermissionRequest { name: "app".into(), perm };
        auth.role_grant_permission(grant).await.expect("a permission");
        for (user, role) in [("root", "root"), ("alice", "app")] {
            let grant = AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
            auth.user_grant_role(grant).await.expect("a role is granted");
        }
        let answer = self.gateway(&self.alice, "/v3/kv/range");
        assert!(answer.starts_with("HTTP/1.1 200"), "without auth nobody has a name: {answer}");
        auth.auth_enable(AuthEnableRequest {}).await.expect("auth is enabled");
    }

    fn etcdctl(&self, program: &Program, shown: &Certified) -> Etcdctl {
        let url = self.cluster.members[0].client_url();
        Etcdctl::new(program, url).with(&self.around.client_flags(shown))
    }

    async fn check(&self) {
        let denied = "etcdserver: permission denied";
        let no_user = "etcdserver: user name is empty";
        let token = |name: &str, password: &str| self.token(name.to_owned(), password.to_owned());
        let (as_root, as_alice) = (token("root", "secret").await, token("alice", "hidden").await);
        for (who, shown, metadata, key, answer) in [
            ("alice", &self.alice, None, "app/a", "OK"),
            ("alice, elsewhere", &self.alice, None, "other", denied),
            ("root", &self.root, None, "other", "OK"),
            ("nobody known", &self.mallory, None, "app/a", denied),
            ("a nameless one", &self.nameless, None, "app/a", denied),
            ("root's token over alice", &self.alice, Some(("token", &*as_root)), "other", "OK"),
            ("alice's token over root", &self.root, Some(("token", &*as_alice)), "other", denied),
            (
                "no token over alice",
                &self.alice,
                Some(("token", "nonsense.1")),
                "app/a",
                "etcdserver: invalid auth token",
            ),
            (
                "a gateway's certificate",
                &self.alice,
                Some(("grpcgateway-accept", "*/*")),
                "app/a",
                no_user,
            ),
        ] {
            let put = PutRequest { key: key.into(), ..PutRequest::default() };
            let put = KvClient::new(self.channel(shown)).put(by(metadata, put)).await;
            assert_eq!(text(put), answer, "{who}");
        }
        for (who, shown, answer) in [
            ("root", &self.root, "OK"),
            ("alice", &self.alice, denied),
            ("a nameless one", &self.nameless, no_user),
        ] {
            let mut auth = AuthClient::new(self.channel(shown));
            let users = auth.user_list(AuthUserListRequest {}).await;
            assert_eq!(text(users), answer, "{who} lists the users");
        }
    }

    /// Another password ends nothing for who needed none.
    async fn check_watch(&self) {
        let create = WatchCreateRequest { key: "app/w".into(), ..WatchCreateRequest::default() };
        let create = RequestUnion::CreateRequest(create);
        let asked = tokio_stream::iter([WatchRequest { request_union: Some(create) }])
            .chain(tokio_stream::pending());
        let watching = WatchClient::new(self.channel(&self.alice)).watch(asked).await;
        let mut answers = watching.expect("a watch").into_inner();
        let mut next = async || answers.message().await.expect("it goes on").expect("an answer");
        assert!(next().await.created);
        let (name, password) = ("alice".to_owned(), "another".to_owned());
        let change = AuthUserChangePasswordRequest { name, password, ..Default::default() };
        let mut auth = AuthClient::new(self.channel(&self.root));
        auth.user_change_password(change).await.expect("root may");
        let put = PutRequest { key: "app/w".into(), ..PutRequest::default() };
        KvClient::new(self.channel(&self.root)).put(put).await.expect("root may");
        let answer = next().await;
        assert!(!answer.canceled && answer.events.len() == 1, "{answer:?}");
    }

    fn check_gateway(&self) {
        let refusal = "CommonName of client sending a request against gateway will be ignored and \
                       not used as expected";
        for path in ["/v3/kv/range", "/v3beta/kv/range"] {
            for named in [&self.alice, &self.root, &self.mallory] {
                let answer = self.gateway(named, path);
                assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
                assert!(answer.contains(refusal), "{path}: {answer}");
            }
            let answer = self.gateway(&self.nameless, path);
            assert!(answer.contains("etcdserver: user name is empty"), "{path}: {answer}");
        }
        // Other paths are for everybody.
        let answer = HttpsClient::new(&self.around.authority.pem, Some(&self.alice))
            .get(self.cluster.members[0].client_port(), "/version")
            .expect("an answer");
        assert!(answer.text.starts_with("HTTP/1.1 200"), "{}", answer.text);
    }

    /// What a request of one key by the gateway is answered, head and body.
    fn gateway(&self, shown: &Certified, path: &str) -> String {
        let port = self.cluster.members[0].client_port();
        let client = HttpsClient::new(&self.around.authority.pem, Some(shown));
        client.post(port, path, r#"{"key":"YXBwL2E="}"#).expect("an answer").text
    }

    fn channel(&self, shown: &Certified) -> Channel {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.around.authority.pem))
            .identity(Identity::from_pem(&shown.cert, &shown.key));
        let endpoint = Endpoint::from_shared(self.cluster.members[0].client_url());
        endpoint.and_then(|endpoint| endpoint.tls_config(tls)).expect("a URL").connect_lazy()
    }

    async fn token(&self, name: String, password: String) -> String {
        let mut auth = AuthClient::new(self.channel(&self.mallory));
        let proved = auth.authenticate(AuthenticateRequest { name, password }).await;
        proved.expect("it is the password").into_inner().token
    }
}

fn by<T>(metadata: Option<(&'static str, &str)>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some((name, value)) = metadata {
        request.metadata_mut().insert(name, value.parse().expect("it is printable"));
    }
    request
}

fn text<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|status| status.message().to_owned(), |_| "OK".to_owned())
}
