//! Over `https`: whom the client believes.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use windlass_client::{Client, Settings, Token};

use crate::server::{SECRET, Server, quick};

/// A certificate for `name` that nobody else vouches for, and its key.
fn certificate(name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    (certificate.der().clone(), key)
}

/// Speaks TLS in front of `server`.
async fn shield(
    server: &Server,
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port of this machine");
    let address = listener.local_addr().expect("it is bound");
    let behind = server.url().replace("http://", "");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Whoever does not believe the certificate goes away.
                let Ok(mut outside) = acceptor.accept(stream).await else {
                    return;
                };
                if let Ok(mut inside) = TcpStream::connect(behind).await {
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    address
}

fn client(settings: Settings, address: SocketAddr) -> Client {
    let token = Token::new(SECRET).expect("a token");
    let url = format!("https://localhost:{}", address.port());
    settings
        .retries(0)
        .connect(&url, Some(token))
        .expect("an address of this machine")
}

#[tokio::test]
async fn a_server_whose_certificate_is_trusted_is_spoken_to() {
    let server = Server::start([]).await;
    let made = certificate("localhost");
    let trusted = quick().trust(made.0.to_vec());
    let address = shield(&server, made).await;
    let count = client(trusted, address).count_active("a").await;
    assert_eq!(count.map(|count| count.active).ok(), Some(3));
    let expected = format!("Bearer {SECRET}");
    assert_eq!(server.requests()[0].headers["authorization"], expected);
}

#[tokio::test]
async fn a_server_whose_certificate_is_for_another_name_hears_nothing() {
    let server = Server::start([]).await;
    let made = certificate("windlass.example");
    let trusted = quick().trust(made.0.to_vec());
    let address = shield(&server, made).await;
    let failed = client(trusted, address)
        .count_active("a")
        .await
        .unwrap_err();
    assert_eq!(
        (failed.code(), server.requests().len()),
        ("server_unreachable", 0)
    );
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_hears_nothing() {
    let server = Server::start([]).await;
    // Another one is trusted, so that there is something to trust.
    let trusted = quick().trust(certificate("localhost").0.to_vec());
    let address = shield(&server, certificate("localhost")).await;
    let failed = client(trusted, address).close_agent("a").await.unwrap_err();
    assert_eq!(
        (failed.code(), server.requests().len()),
        ("server_unreachable", 0)
    );
    assert!(!failed.is_outcome_unknown(), "{failed:?}");
}

#[tokio::test]
async fn a_certificate_that_is_none_is_refused_at_once() {
    let settings = quick().trust(b"not a certificate".to_vec());
    let refused = settings.connect("https://localhost", None).unwrap_err();
    assert_eq!(refused.code(), "tls_unavailable");
}
