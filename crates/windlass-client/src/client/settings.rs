//! What a client may do, said before it is made.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Url, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::limits::{
    ANSWER_BYTES_MAX_DEFAULT, ATTEMPT_DEFAULT, BACKOFF_FIRST_DEFAULT, BACKOFF_MAX_DEFAULT,
    CONNECT_DEFAULT, DEADLINE_DEFAULT, QUIET_DEFAULT, RETRIES_DEFAULT, RETRY_AFTER_MAX_DEFAULT,
};
use super::retry::Backoff;
use super::send::Inner;
use super::{Client, SettingsError, Token};

/// How a client behaves. Everything has a default; the methods change one
/// thing each.
///
/// Redirects are never followed, and proxies of the environment are not used:
/// a credential goes to the server it was given for and nowhere else.
///
/// ```
/// use std::time::Duration;
/// use windlass_client::{Settings, SettingsError, Token};
///
/// let settings = Settings::default().deadline(Duration::from_secs(5)).retries(2);
/// let token = Token::new("wl_0123456789abcdef_secret")?;
/// let client = settings.clone().connect("http://127.0.0.1:7411", Some(token.clone()))?;
/// assert_eq!(client.url(), "http://127.0.0.1:7411/");
///
/// let refused = settings.connect("http://windlass.example", Some(token)).unwrap_err();
/// assert_eq!(refused.code(), "plaintext_refused");
/// # Ok::<(), SettingsError>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(super) connect: Duration,
    pub(super) attempt: Duration,
    pub(super) deadline: Duration,
    pub(super) quiet: Duration,
    pub(super) retries: u32,
    pub(super) retry_after_max: Duration,
    pub(super) backoff: Backoff,
    pub(super) answer_bytes_max: usize,
    user_agent: String,
    roots: Vec<CertificateDer<'static>>,
    allow_plaintext: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: CONNECT_DEFAULT,
            attempt: ATTEMPT_DEFAULT,
            deadline: DEADLINE_DEFAULT,
            quiet: QUIET_DEFAULT,
            retries: RETRIES_DEFAULT,
            retry_after_max: RETRY_AFTER_MAX_DEFAULT,
            backoff: Backoff {
                first: BACKOFF_FIRST_DEFAULT,
                max: BACKOFF_MAX_DEFAULT,
            },
            answer_bytes_max: ANSWER_BYTES_MAX_DEFAULT,
            user_agent: concat!("windlass-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: Vec::new(),
            allow_plaintext: false,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("connect", &self.connect)
            .field("attempt", &self.attempt)
            .field("deadline", &self.deadline)
            .field("retries", &self.retries)
            .field("allow_plaintext", &self.allow_plaintext)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// How long a connection may take to be made.
    #[must_use]
    pub const fn connect_timeout(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// How long one attempt may take, its answer included.
    #[must_use]
    pub const fn attempt_timeout(mut self, attempt: Duration) -> Self {
        self.attempt = attempt;
        self
    }

    /// How long a call may take, its retries and the waits between them
    /// included.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a stream (events, an export) may be quiet before it counts as
    /// broken.
    #[must_use]
    pub const fn quiet_timeout(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// How often a call is tried again, at most; 0 for never.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How waits between attempts grow: the first is a random part of `first`,
    /// each further one of twice as much as the one before, at most of `max`.
    #[must_use]
    pub const fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.backoff = Backoff { first, max };
        self
    }

    /// The longest wait that a server can ask for with `Retry-After`; a call
    /// that is told to wait longer fails at once.
    #[must_use]
    pub const fn retry_after_max(mut self, max: Duration) -> Self {
        self.retry_after_max = max;
        self
    }

    /// Most bytes of one answer; exports and events are not answers in this
    /// sense.
    #[must_use]
    pub const fn answer_bytes_max(mut self, max: usize) -> Self {
        self.answer_bytes_max = max;
        self
    }

    /// What the client calls itself.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts a certificate (DER) beside those that the system trusts;
    /// repeatable.
    #[must_use]
    pub fn trust(mut self, certificate: Vec<u8>) -> Self {
        self.roots.push(certificate.into());
        self
    }

    /// Sends the credential over plain `http` to another machine as well:
    /// everybody on the way can read it and act with it.
    #[must_use]
    pub const fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// A client of the server at `url`. Without a token it asks as nobody,
    /// which a server on the same machine may allow.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn connect(self, url: &str, token: Option<Token>) -> Result<Client, SettingsError> {
        let base = server_url(url)?;
        if token.is_some() && !self.allow_plaintext && shows_credential(&base) {
            return Err(SettingsError::Plaintext);
        }
        let http = self.http(base.scheme() == "https")?;
        let inner = Inner {
            http,
            base,
            token,
            settings: self,
        };
        Ok(Client {
            inner: Arc::new(inner),
            operation: None,
        })
    }

    fn http(&self, secure: bool) -> Result<reqwest::Client, SettingsError> {
        let agent = reqwest::header::HeaderValue::from_str(&self.user_agent);
        let builder = reqwest::Client::builder()
            .user_agent(agent.map_err(|_| SettingsError::UserAgent)?)
            .connect_timeout(self.connect)
            .redirect(redirect::Policy::none())
            // Ours decide, which know what a call does.
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .https_only(secure)
            .tls_backend_preconfigured(self.tls(secure)?);
        builder.build().map_err(SettingsError::Setup)
    }

    /// What is trusted: nobody at all where TLS is not used, which spares
    /// reading the system's certificates.
    fn tls(&self, secure: bool) -> Result<ClientConfig, SettingsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(SettingsError::Tls)?;
        if !secure {
            let nobody = config.with_root_certificates(RootCertStore::empty());
            return Ok(nobody.with_no_client_auth());
        }
        let verifier = Verifier::new_with_extra_roots(self.roots.iter().cloned(), provider);
        let verifier = Arc::new(verifier.map_err(SettingsError::Tls)?);
        let config = config
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(config.with_no_client_auth())
    }
}

/// A URL that a server can have: neither user, query nor fragment.
fn server_url(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).map_err(|_| SettingsError::Url)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let spoken = matches!(url.scheme(), "http" | "https");
    if plain && spoken && url.has_host() {
        Ok(url)
    } else {
        Err(SettingsError::Url)
    }
}

/// Whether others can read what is sent there.
fn shows_credential(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let here = bare
        .parse()
        .map_or(host == "localhost", |ip: IpAddr| ip.is_loopback());
    url.scheme() == "http" && !here
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, token: bool) -> Option<&'static str> {
        let token = token.then(|| Token::new("wl_x").unwrap());
        let made = Settings::default().connect(url, token);
        made.err().map(|error| error.code())
    }

    #[test]
    fn a_credential_does_not_travel_in_the_clear_to_another_machine() {
        for here in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:1/",
            "http://localhost",
        ] {
            assert_eq!(refusal(here, true), None, "{here}");
        }
        for away in [
            "http://10.0.0.1",
            "http://[2001:db8::1]",
            "http://windlass.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[::ffff:10.0.0.1]",
        ] {
            assert_eq!(refusal(away, true), Some("plaintext_refused"), "{away}");
            assert_eq!(refusal(away, false), None, "{away} with nothing to show");
        }
        let told = Settings::default().allow_plaintext();
        let made = told.connect("http://10.0.0.1", Some(Token::new("wl_x").unwrap()));
        assert_eq!(made.expect("as told").url(), "http://10.0.0.1/");
    }

    #[test]
    fn only_urls_of_servers_are_taken() {
        for url in [
            "",
            "windlass.example",
            "ftp://windlass.example",
            "https://user@windlass.example",
            "https://:secret@windlass.example",
            "https://windlass.example/?a=b",
            "https://windlass.example/#a",
            "unix:/run/windlass",
        ] {
            assert_eq!(refusal(url, true), Some("invalid_server_url"), "{url}");
        }
    }
}
