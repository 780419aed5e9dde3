//! From a url to an open WebSocket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farwheel_proto::signaling::{PATH, SUBPROTOCOL};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// Why a server cannot be dialled at all.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The url is none of a WebSocket server.
    #[error("server url {url:?} cannot be used: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The file of certificates cannot be read or holds none.
    #[error("certificates in {path} cannot be used: {reason}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Bytes of one message, either way; the protocol's limit with room to spare.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Whether the server is on this machine, so that no change of addresses matters.
pub(super) fn is_local(socket: &Socket) -> bool {
    let tcp = match socket.get_ref() {
        MaybeTlsStream::Plain(tcp) => tcp,
        MaybeTlsStream::Rustls(tls) => tls.get_ref().0,
        _ => return false,
    };
    tcp.peer_addr().is_ok_and(|address| address.ip().is_loopback())
}

/// An open WebSocket.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Clone)]
pub(super) struct Dial {
    uri: Uri,
    host: String,
    port: u16,
    connector: Connector,
}

impl Dial {
    pub(super) fn new(server: &str, ca: Option<&Path>) -> Result<Self, DialError> {
        let bad = |reason: &str| DialError::Url { url: server.to_owned(), reason: reason.to_owned() };
        let given = server.trim();
        let (scheme, rest) =
            given.split_once("://").ok_or_else(|| bad("it does not begin with ws:// or wss://"))?;
        let (scheme, port) = match scheme {
            "ws" | "http" => ("ws", 80),
            "wss" | "https" => ("wss", 443),
            _ => return Err(bad("it does not begin with ws:// or wss://")),
        };
        let path = if rest.trim_end_matches('/').contains('/') { "" } else { PATH };
        let uri: Uri = format!("{scheme}://{}{path}", rest.trim_end_matches('/'))
            .parse()
            .map_err(|error| bad(&format!("{error}")))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(port);
        let connector =
            if scheme == "wss" { Connector::Rustls(Arc::new(tls(ca)?)) } else { Connector::Plain };
        Ok(Self { uri, host, port, connector })
    }

    /// Connects; an error says in words what went wrong.
    pub(super) async fn connect(self) -> Result<Box<Socket>, String> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("cannot connect to {self}: {error}"))?;
        // Small messages that somebody waits for.
        tcp.set_nodelay(true).map_err(|error| format!("cannot set up the connection to {self}: {error}"))?;
        let mut request =
            self.uri.clone().into_client_request().map_err(|error| format!("cannot ask {self}: {error}"))?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        let limits = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let handshake =
            client_async_tls_with_config(request, tcp, Some(limits), Some(self.connector.clone()));
        match Box::pin(handshake).await {
            Ok((socket, _)) => Ok(Box::new(socket)),
            Err(tungstenite::Error::Io(error)) if is_tls(&error) => {
                Err(format!("TLS with {self} fails: {}", tls_in_words(&error.to_string())))
            }
            Err(error) => Err(format!("{self} is no signalling server: {error}")),
        }
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>())
}

/// The mistake that self-made certificates begin with is not named by the library in words.
fn tls_in_words(error: &str) -> &str {
    if error.contains("CaUsedAsEndEntity") {
        "the server's certificate is that of an authority; make it with basicConstraints CA:FALSE"
    } else {
        error
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Trusts the system's certificates and those in `ca`.
pub(crate) fn tls(ca: Option<&Path>) -> Result<rustls::ClientConfig, DialError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One odd certificate among the system's does not matter.
        roots.add(certificate).ok();
    }
    if let Some(path) = ca {
        let bad = |reason: String| DialError::Certificates { path: path.to_owned(), reason };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| bad(error.to_string()))?;
        if certificates.is_empty() {
            return Err(bad("it holds none".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(server: &str, uri: &str, host: &str, port: u16) {
        let dial = Dial::new(server, None).unwrap_or_else(|error| panic!("{server}: {error}"));
        assert_eq!(
            (dial.uri.to_string().as_str(), dial.host.as_str(), dial.port),
            (uri, host, port),
            "{server}"
        );
    }

    #[test]
    fn a_certificate_of_an_authority_is_explained() {
        let text = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        assert!(tls_in_words(text).contains("CA:FALSE"));
        assert_eq!(tls_in_words("invalid peer certificate: Expired"), "invalid peer certificate: Expired");
    }

    #[test]
    fn a_url_without_a_path_leads_to_the_endpoint() {
        check("ws://localhost:8080", "ws://localhost:8080/v1/ws", "localhost", 8080);
        check("ws://localhost:8080/", "ws://localhost:8080/v1/ws", "localhost", 8080);
        check("http://robot.local", "ws://robot.local/v1/ws", "robot.local", 80);
        check("https://example.org", "wss://example.org/v1/ws", "example.org", 443);
        check("wss://example.org/behind/proxy", "wss://example.org/behind/proxy", "example.org", 443);
        check("ws://[::1]:9", "ws://[::1]:9/v1/ws", "::1", 9);
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_in_words() {
        for server in ["localhost:8080", "ftp://example.org", "ws://", "ws://a b"] {
            let error = Dial::new(server, None).err().unwrap_or_else(|| panic!("{server} was taken"));
            assert!(error.to_string().contains("cannot be used"), "{error}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let path = std::env::temp_dir().join(format!("farwheel-no-certificates-{}", std::process::id()));
        std::fs::write(&path, "nothing").expect("writable");
        let refused = Dial::new("wss://example.org", Some(&path));
        std::fs::remove_file(&path).expect("it is there");
        assert!(matches!(refused.err(), Some(DialError::Certificates { .. })));
    }
}
