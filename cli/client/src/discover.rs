//! Endpoints from DNS: the service records of a domain, as etcdctl's `--discovery-srv` reads them.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;

use crate::endpoint::Endpoint;
use crate::failure::Failure;

/// Where to ask for endpoints, and which to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    pub domain: String,
    /// Told apart from other clusters of the domain by this name; empty is the only one.
    pub service_name: String,
    /// Whether endpoints without TLS are taken.
    pub insecure: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// Those with TLS first, in the order in which the records want to be tried.
    pub endpoints: Vec<Endpoint>,
    /// Those without TLS, if they are not taken.
    pub ignored: Vec<Endpoint>,
}

/// More endpoints than any cluster has would only be asked in vain.
const MAX_RECORDS: usize = 64;

impl Discovery {
    /// Asks the name servers of this machine. It is an error if there are no records at all.
    pub async fn look_up(&self) -> Result<Discovered, Failure> {
        let resolver = TokioResolver::builder_tokio()
            .and_then(hickory_resolver::ResolverBuilder::build)
            .map_err(|error| Failure::Config(format!("no name server can be asked: {error}")))?;
        self.look_up_with(&resolver).await
    }

    async fn look_up_with(&self, resolver: &TokioResolver) -> Result<Discovered, Failure> {
        let secure = self.records(resolver, "etcd-client-ssl", "https").await;
        let plain = self.records(resolver, "etcd-client", "http").await;
        let (secure, plain) = match (secure, plain) {
            (Err(secure), Err(plain)) => {
                return Err(Failure::Config(format!("dns lookup errors: {secure} and {plain}")));
            }
            (secure, plain) => (secure.unwrap_or_default(), plain.unwrap_or_default()),
        };
        Ok(if self.insecure {
            Discovered { endpoints: [secure, plain].concat(), ignored: Vec::new() }
        } else {
            Discovered { endpoints: secure, ignored: plain }
        })
    }

    async fn records(
        &self,
        resolver: &TokioResolver,
        service: &str,
        scheme: &str,
    ) -> Result<Vec<Endpoint>, String> {
        let dash = if self.service_name.is_empty() { "" } else { "-" };
        let name = format!("_{service}{dash}{}._tcp.{}", self.service_name, self.domain);
        let answer = resolver.srv_lookup(name.as_str()).await;
        let answer = answer.map_err(|error| match error {
            // The library's own words are of its queries.
            error if error.is_no_records_found() => format!("lookup {name}: no such host"),
            error => format!("lookup {name}: {error}"),
        })?;
        let mut records: Vec<&SRV> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            })
            .take(MAX_RECORDS)
            .collect();
        records.sort_by_key(|srv| (srv.priority, std::cmp::Reverse(srv.weight)));
        let endpoints = records
            .into_iter()
            .map(|srv| Endpoint::parse(&format!("{scheme}://{}:{}", srv.target, srv.port)));
        endpoints.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    use super::Discovery;
    use crate::endpoint::Endpoint;

    /// Priority, weight, port and host of a record.
    type Record = (u16, u16, u16, &'static str);

    /// A name server that knows these names and no others.
    async fn name_server(known: &'static [(&'static str, &'static [Record])]) -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let SocketAddr::V4(address) = socket.local_addr().unwrap() else { panic!() };
        tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let _ = socket.send_to(&answer(&query[..length], known), from).await;
            }
        });
        let mut server = NameServerConfig::udp((*address.ip()).into());
        server.connections[0].port = address.port();
        let config = ResolverConfig::from_name_servers(vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    /// The head with one question and the answers, the question, and a record for each answer.
    fn answer(query: &[u8], known: &[(&str, &[Record])]) -> Vec<u8> {
        let (mut name, mut at) = (String::new(), 12);
        while query[at] > 0 {
            let length = usize::from(query[at]);
            name.push_str(&String::from_utf8_lossy(&query[at + 1..][..length]));
            name.push('.');
            at += 1 + length;
        }
        let question = &query[12..at + 5];
        let records = known.iter().find(|(known, _)| *known == name).map(|(_, records)| *records);
        let code = if records.is_some() { 0x80 } else { 0x83 };
        let records = records.unwrap_or_default();
        let mut out =
            [&query[..2], &[0x81, code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]].concat();
        out.extend(question);
        for (priority, weight, port, host) in records {
            let mut data: Vec<u8> = [priority, weight, port].map(|n| n.to_be_bytes()).concat();
            for label in host.split('.') {
                data.push(label.len() as u8);
                data.extend(label.as_bytes());
            }
            out.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            out.extend(data);
        }
        out
    }

    fn discovery(service_name: &str, insecure: bool) -> Discovery {
        let (domain, service_name) = ("example.test.".to_owned(), service_name.to_owned());
        Discovery { domain, service_name, insecure }
    }

    fn texts(endpoints: &[Endpoint]) -> Vec<&str> {
        endpoints.iter().map(Endpoint::as_str).collect()
    }

    const PLAIN: &[Record] = &[
        (2, 0, 2379, "c.example.test."),
        (1, 10, 2379, "b.example.test."),
        (1, 90, 4001, "a.example.test."),
    ];
    const BOTH: &[(&str, &[Record])] = &[
        ("_etcd-client._tcp.example.test.", PLAIN),
        ("_etcd-client-ssl._tcp.example.test.", &[(0, 0, 2379, "s.example.test.")]),
    ];

    const BLUE: &[(&str, &[Record])] =
        &[("_etcd-client-blue._tcp.example.test.", &[(0, 0, 2379, "blue.example.test.")])];

    #[tokio::test]
    async fn the_records_are_tried_in_their_order_and_those_with_tls_first() {
        let resolver = name_server(BOTH).await;
        let found = discovery("", true).look_up_with(&resolver).await.unwrap();
        assert_eq!(
            texts(&found.endpoints),
            [
                "https://s.example.test.:2379",
                "http://a.example.test.:4001",
                "http://b.example.test.:2379",
                "http://c.example.test.:2379",
            ]
        );
        assert!(found.ignored.is_empty());
    }

    #[tokio::test]
    async fn endpoints_without_tls_can_be_left_aside() {
        let resolver = name_server(BOTH).await;
        let found = discovery("", false).look_up_with(&resolver).await.unwrap();
        assert_eq!(texts(&found.endpoints), ["https://s.example.test.:2379"]);
        assert_eq!(found.ignored.len(), 3);
    }

    #[tokio::test]
    async fn one_of_both_services_is_enough_and_may_have_a_name() {
        let resolver = name_server(BLUE).await;
        let found = discovery("blue", true).look_up_with(&resolver).await.unwrap();
        assert_eq!(texts(&found.endpoints), ["http://blue.example.test.:2379"]);
        let error = discovery("green", true).look_up_with(&resolver).await.unwrap_err();
        assert!(error.to_string().starts_with("dns lookup errors: "), "{error}");
    }
}
