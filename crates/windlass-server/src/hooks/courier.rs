//! Carries one wake to its webhook, and says what became of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, redirect, retry};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use serde::Deserialize;
use tokio::net::lookup_host;

use super::target::{Reach, allowed, target};

/// How long a connection may take, and the whole of a delivery.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read. One that is longer says nothing.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was worked on, all of it.
    Done,
    /// It arrived, and is being worked on.
    Taken,
    /// It was refused, or never sent.
    Refused,
    /// It may have arrived.
    Unanswered,
}

/// The answer of a webhook, as far as it counts.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    done: bool,
}

/// A client that goes where it may, and follows nobody elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    client: Client,
    reach: Reach,
}

/// Why no webhook can be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CourierError {
    /// The ways to speak TLS cannot be set up.
    #[error("no TLS for webhooks can be set up")]
    Tls(#[from] rustls::Error),
    /// The client cannot be made.
    #[error("no client for webhooks can be set up")]
    Setup(#[from] reqwest::Error),
}

impl Courier {
    pub(crate) fn new(reach: Reach) -> Result<Self, CourierError> {
        let client = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Names(reach)))
            .tls_backend_preconfigured(tls()?);
        Ok(Self {
            client: client.build()?,
            reach,
        })
    }

    /// Sends `body` once.
    pub(crate) async fn deliver(&self, url: &str, signature: String, body: Vec<u8>) -> Outcome {
        // What was allowed once may not be today.
        let Ok(url) = target(url, self.reach) else {
            return Outcome::Refused;
        };
        let request = self.client.post(url);
        let request = request
            .header("content-type", "application/json")
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => answered(response).await,
            Ok(response) => {
                let status: StatusCode = response.status();
                tracing::debug!(status = status.as_u16(), "a webhook refused a wake");
                Outcome::Refused
            }
            Err(error) => {
                let outcome = match error.is_connect() {
                    true => Outcome::Refused,
                    false => Outcome::Unanswered,
                };
                let error = error.without_url();
                tracing::debug!(%error, ?outcome, "a wake could not be delivered");
                outcome
            }
        }
    }
}

/// What a good answer says. One that is cut off says that it arrived.
async fn answered(mut response: Response) -> Outcome {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return Outcome::Taken;
        }
    }
    let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
    match answer.done {
        true => Outcome::Done,
        false => Outcome::Taken,
    }
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions()?;
    let config = match Verifier::new(provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)),
        Err(error) => {
            tracing::warn!(%error, "no certificates are trusted: no webhook can be called");
            config.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(config.with_no_client_auth())
}

/// Resolves names to addresses that may be called.
#[derive(Debug)]
struct Names(Reach);

/// A name leads to a machine that is not public.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name leads to a machine that may not be called")]
struct Forbidden;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<IpAddr> = found.iter().map(|address| address.ip()).collect();
            if !allowed(name.as_str(), &addresses, reach) {
                return Err(Forbidden.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}
