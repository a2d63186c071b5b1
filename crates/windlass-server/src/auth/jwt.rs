//! Tokens of other issuers: JSON Web Tokens (RFC 7519) whose keys come from a
//! file (a JWK set, RFC 7517).
//!
//! Only algorithms on the configured list are looked at, issuer, audience and
//! expiry are required, and a key that names its algorithm is used for no
//! other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use windlass::access::{Grant, Groups, Reach, Scope, VerbPattern, Verbs};
use windlass::core::GroupId;

/// How tokens of another issuer are checked and read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtConfig {
    /// The algorithms that are accepted, by their names in RFC 7518; RS256,
    /// ES256 and EdDSA. Never empty.
    pub algorithms: Vec<String>,
    /// What `iss` has to be.
    pub issuer: String,
    /// What `aud` has to name.
    pub audience: String,
    /// The file with the issuer's public keys. It is read again when a token
    /// names a key that is not in it, every ten seconds at most.
    pub jwks_file: PathBuf,
    /// The claim that names the tenant; `tenant`.
    pub tenant_claim: String,
    /// The claim that lists the stash groups; `groups`.
    pub groups_claim: String,
    /// How much later than its expiry a token may still come, for clocks that
    /// differ; 0 s.
    pub leeway_s: u64,
}

impl JwtConfig {
    /// The settings for one issuer, with the algorithms that need no shared
    /// secret.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        jwks_file: impl Into<PathBuf>,
    ) -> Self {
        Self {
            algorithms: ["RS256", "ES256", "EdDSA"].map(str::to_owned).into(),
            issuer: issuer.into(),
            audience: audience.into(),
            jwks_file: jwks_file.into(),
            tenant_claim: "tenant".to_owned(),
            groups_claim: "groups".to_owned(),
            leeway_s: 0,
        }
    }
}

/// Why tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// No algorithm is allowed.
    #[error("no algorithm is allowed for tokens")]
    NoAlgorithm,
    /// An algorithm is not known.
    #[error("`{name}` is no algorithm for tokens")]
    Algorithm {
        /// Its name.
        name: String,
    },
    /// The keys cannot be read.
    #[error("the issuer's keys in `{}` cannot be read", path.display())]
    File {
        /// Where they should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file has no keys.
    #[error("`{}` is no set of keys", path.display())]
    Keys {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// How long a file that had not the key is left alone.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// Bytes of a file of keys.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a good token says.
pub(super) struct Claims {
    pub(super) grant: Grant,
    pub(super) expires_ms: u64,
}

#[derive(Debug)]
struct Keys {
    set: JwkSet,
    /// The reading of the monotonic clock before which the file is not read
    /// again.
    left_until: Duration,
    /// Until when a key that is in the set is taken to be in the file.
    known_until: Duration,
}

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Issuer {
    config: JwtConfig,
    algorithms: Vec<Algorithm>,
    keys: Mutex<Keys>,
}

#[derive(Deserialize)]
struct Body {
    sub: String,
    exp: u64,
    #[serde(default)]
    scope: String,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Issuer {
    pub(super) fn new(config: JwtConfig) -> Result<Self, JwtError> {
        if config.algorithms.is_empty() {
            return Err(JwtError::NoAlgorithm);
        }
        let parsed = config.algorithms.iter().map(|name| {
            let unknown = |_| JwtError::Algorithm { name: name.clone() };
            name.parse().map_err(unknown)
        });
        let algorithms = parsed.collect::<Result<_, _>>()?;
        let keys = Keys {
            set: read(&config)?,
            left_until: Duration::ZERO,
            known_until: Duration::ZERO,
        };
        Ok(Self {
            config,
            algorithms,
            keys: Mutex::new(keys),
        })
    }

    /// What the token says, if it is good; no reason is given otherwise.
    pub(super) fn verify(&self, token: &str, now: Duration) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        if !self.algorithms.contains(&header.alg) {
            return None;
        }
        let jwk = self.key(header.kid.as_deref(), now)?;
        let names_other = jwk
            .common
            .key_algorithm
            .as_ref()
            .is_some_and(|algorithm| algorithm.to_string() != format!("{:?}", header.alg));
        if names_other {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = self.config.leeway_s;
        let body = decode::<Body>(token, &key, &validation).ok()?.claims;
        let expires_s = body.exp.checked_add(self.config.leeway_s)?;
        Some(Claims {
            expires_ms: expires_s.checked_mul(1_000)?,
            grant: self.grant(&body)?,
        })
    }

    fn grant(&self, body: &Body) -> Option<Grant> {
        let tenant = body.others.get(&self.config.tenant_claim)?.as_str()?;
        let scope = Scope::Tenant {
            tenant: tenant.parse().ok()?,
            principal: body.sub.parse().ok()?,
        };
        // An issuer's other scopes mean nothing here.
        let verbs = body.scope.split_whitespace();
        let verbs = verbs.filter(|word| word.parse::<VerbPattern>().is_ok());
        let verbs = Verbs::of(verbs).ok()?;
        let groups = match body.others.get(&self.config.groups_claim) {
            None => Groups::None,
            Some(list) => {
                let names = list.as_array()?.iter();
                let named = names.map(|name| name.as_str()?.parse::<GroupId>().ok());
                Groups::Only(named.collect::<Option<BTreeSet<_>>>()?)
            }
        };
        let sees_all = body.others.get("reach").and_then(|reach| reach.as_str()) == Some("tenant");
        Some(Grant {
            scope,
            reach: if sees_all { Reach::Tenant } else { Reach::Own },
            groups,
            verbs,
        })
    }

    /// The key that a token names, or the only one there is.
    fn key(&self, id: Option<&str>, now: Duration) -> Option<Jwk> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |set: &JwkSet| match (id, set.keys.as_slice()) {
            (Some(id), _) => set.find(id).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        let found = find(&keys.set);
        let is_left = match found {
            // Also what is known may have been taken out of the file.
            Some(_) => now < keys.known_until,
            None => now < keys.left_until,
        };
        if is_left {
            return found;
        }
        if found.is_none() {
            keys.left_until = now + READ_AGAIN;
        }
        keys.known_until = now + READ_AGAIN;
        match read(&self.config) {
            Ok(set) => keys.set = set,
            Err(error) => tracing::warn!(%error, "the issuer's keys stay as they were"),
        }
        find(&keys.set)
    }
}

fn read(config: &JwtConfig) -> Result<JwkSet, JwtError> {
    let path = &config.jwks_file;
    let failed = |source| JwtError::File {
        path: path.clone(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::from(
            std::io::ErrorKind::FileTooLarge,
        )));
    }
    let text = std::fs::read(path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|source| JwtError::Keys {
        path: path.clone(),
        source,
    })
}
