//! One request over TLS, by a client that trusts one authority and may show a certificate.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version,
};

use crate::certificates::Certified;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub struct HttpsClient(Arc<ClientConfig>);

/// What came back, and by which means.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub version: String,
    pub suite: String,
    /// The server's certificate, DER.
    pub certificate: Vec<u8>,
}

impl HttpsClient {
    /// `authorities` are PEM, any number of them.
    pub fn new(authorities: &str, shown: Option<&Certified>) -> HttpsClient {
        Self::speaking(authorities, shown, &[&version::TLS13, &version::TLS12])
    }

    pub fn of_tls12(authorities: &str, shown: Option<&Certified>) -> HttpsClient {
        Self::speaking(authorities, shown, &[&version::TLS12])
    }

    fn speaking(
        authorities: &str,
        shown: Option<&Certified>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> HttpsClient {
        let mut roots = RootCertStore::empty();
        for root in certificates(authorities) {
            roots.add(root).expect("an authority of a test is one");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("rustls has both versions")
            .with_root_certificates(roots);
        let config = match shown {
            Some(Certified { cert, key, .. }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is a key");
                builder.with_client_auth_cert(certificates(cert), key).expect("they fit")
            }
            None => builder.with_no_client_auth(),
        };
        HttpsClient(Arc::new(config))
    }

    /// `GET` of a path at `127.0.0.1:port`.
    pub fn get(&self, port: u16, path: &str) -> io::Result<Answer> {
        self.ask(port, &format!("GET {path}"), "")
    }

    pub fn post(&self, port: u16, path: &str, body: &str) -> io::Result<Answer> {
        self.ask(port, &format!("POST {path}"), body)
    }

    fn ask(&self, port: u16, asked: &str, body: &str) -> io::Result<Answer> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("127.0.0.1").expect("an address is a name");
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        let length = body.len();
        // By this header, which it passes on, etcd's gateway marks its calls as its own.
        write!(
            stream,
            "{asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: */*\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        if let Err(error) = read
            && (error.kind() != io::ErrorKind::UnexpectedEof || text.is_empty())
        {
            return Err(error);
        }
        if text.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let version = stream.conn.protocol_version().map(|version| format!("{version:?}"));
        let suite = stream.conn.negotiated_cipher_suite();
        let shown = stream.conn.peer_certificates().and_then(<[_]>::first);
        Ok(Answer {
            certificate: shown.map(|certificate| certificate.to_vec()).unwrap_or_default(),
            text,
            version: version.unwrap_or_default(),
            suite: suite.map(|suite| format!("{:?}", suite.suite())).unwrap_or_default(),
        })
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.expect("certificates of a test are PEM")
}
