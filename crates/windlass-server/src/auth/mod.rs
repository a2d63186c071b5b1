//! Who asks: API keys, tokens of other issuers, and the open door of a server
//! that has neither.
//!
//! Tenant and principal come from the credential alone. What a credential was
//! found to stand for is remembered for a short time and forgotten as soon as
//! any key changes in this process; its token is never kept, only a hash.

mod jwt;
mod open;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use windlass::Windlass;
use windlass::access::{ApiKey, Grant, Groups, KeyId, Reach, Scope, Status, Verb, Verbs};
use windlass::audit::Who;
use windlass::core::{Coded, Env, ErrorKind, GroupId, Millis, TenantId};
use windlass::session::Caller;
use windlass::stream::Credential;

use crate::config::Config;
use crate::problem::{Problem, Refused};
use crate::trace::RequestId;

use jwt::Issuer;
pub use jwt::{JwtConfig, JwtError};

/// Credentials remembered at a time.
const REMEMBERED_MAX: usize = 10_000;

/// Characters of a credential.
const TOKEN_CHARS_MAX: usize = 8 * 1024;

/// What every API key begins with.
const KEY_PREFIX: &str = "wl_";

/// What a request may do, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) grant: Grant,
    /// The key, if it is one.
    pub(crate) key: Option<KeyId>,
    /// When a credential that says so itself is over, in Unix milliseconds.
    expires_ms: Option<u64>,
    /// Whether it is the open door's, which may also do what operators may.
    open: bool,
}

impl Identity {
    fn of_key(key: ApiKey) -> Self {
        Self {
            expires_ms: key.expires_at.map(Millis::get),
            grant: key.grant,
            key: Some(key.id),
            open: false,
        }
    }

    /// Everybody who reaches a server without keys: one principal of one
    /// tenant, who may do everything.
    fn of_open_door() -> Self {
        let word = "a word is an identifier";
        let scope = Scope::Tenant {
            tenant: "default".parse().expect(word),
            principal: "local".parse().expect(word),
        };
        Self {
            grant: Grant {
                scope,
                reach: Reach::Tenant,
                groups: Groups::All,
                verbs: Verbs::all(),
            },
            key: None,
            expires_ms: None,
            open: true,
        }
    }

    /// Whoever asks for what needs no credential.
    pub(crate) fn nobody() -> Self {
        Self {
            grant: Grant {
                scope: Scope::Operator,
                reach: Reach::Own,
                groups: Groups::None,
                verbs: Verbs::of([]).expect("no verb is a list of verbs"),
            },
            key: None,
            expires_ms: None,
            open: false,
        }
    }

    /// What it is, as it is spelled on the wire.
    pub(crate) const fn kind(&self) -> &'static str {
        match (&self.key, self.open) {
            (Some(_), _) => "api_key",
            (None, true) => "open",
            (None, false) => "jwt",
        }
    }

    pub(crate) const fn expires_ms(&self) -> Option<u64> {
        self.expires_ms
    }

    /// What a read of a stream is let in with: found again by its key, and
    /// told when it expires.
    pub(crate) fn of_lease(&self) -> Credential {
        Credential {
            name: self.key.as_ref().map(|key| key.as_str().into()),
            expires: self.expires_ms.map(Millis::new),
        }
    }

    /// Who asks, for the audit.
    pub(crate) fn who(&self, request: &RequestId) -> Who {
        let principal = match &self.grant.scope {
            Scope::Tenant { principal, .. } => Some(principal.clone()),
            Scope::Operator => None,
        };
        Who {
            principal,
            key: self.key.as_ref().map(|key| key.as_str().to_owned()),
            request: Some(request.to_string()),
        }
    }

    /// Whether it may do what `verb` names, for a tenant or for the service.
    pub(crate) fn may(&self, verb: Verb) -> bool {
        self.open || self.grant.allows(verb)
    }

    /// Whether it may give `grant` away.
    pub(crate) fn covers(&self, grant: &Grant) -> bool {
        self.open || self.grant.covers(grant)
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.open || self.grant.scope == Scope::Operator
    }

    /// For whom requests about a tenant's data are made; `None` for an
    /// operator, who has none.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let Scope::Tenant { tenant, principal } = &self.grant.scope else {
            return None;
        };
        let (tenant, principal) = (tenant.clone(), principal.clone());
        Some(match self.grant.reach {
            Reach::Tenant => Caller::new(tenant, principal),
            Reach::Own => Caller::own(tenant, principal),
        })
    }

    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        self.grant.scope.tenant()
    }

    /// The group a request acts as that names `asked`.
    pub(crate) fn group(&self, asked: Option<GroupId>) -> Result<Option<GroupId>, Refused> {
        match asked {
            None => Ok(self.grant.groups.unnamed().cloned()),
            Some(group) if self.grant.groups.allows(&group) => Ok(Some(group)),
            Some(_) => {
                let detail = "the credential is not for this group";
                Err(Box::new(Problem::new(403, "group_not_allowed", detail)))
            }
        }
    }
}

/// What has become of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is as good as it was.
    Holds,
    /// Its time is over.
    Expired,
    /// It was revoked, or means something else now.
    Revoked,
}

#[derive(Debug)]
struct Known {
    identity: Arc<Identity>,
    /// The reading of the monotonic clock until which it counts.
    until: Duration,
    /// The age of all keys when it was found.
    age: u64,
}

/// Tells who asks.
#[derive(Debug)]
pub(crate) struct Auth {
    engine: Windlass,
    env: Arc<dyn Env>,
    issuer: Option<Issuer>,
    known: Cache<[u8; 32], Arc<Known>>,
    /// Rises whenever a key may have changed.
    age: watch::Sender<u64>,
    lasts: Duration,
    /// Whose pages may ask while the door is open.
    origins: Vec<String>,
    open: open::Door,
}

impl Auth {
    pub(crate) fn new(
        engine: Windlass,
        env: Arc<dyn Env>,
        config: &Config,
    ) -> Result<Self, JwtError> {
        let issuer = config.jwt.clone().map(Issuer::new).transpose()?;
        Ok(Self {
            engine,
            env,
            issuer,
            known: Cache::new(REMEMBERED_MAX),
            age: watch::Sender::new(0),
            lasts: Duration::from_millis(config.credential_ms),
            origins: config.cors_origins.clone(),
            open: open::Door::default(),
        })
    }

    /// Whether anybody needs a credential: there is an issuer, or a key was
    /// ever made.
    pub(crate) async fn is_closed(&self) -> Result<bool, Refused> {
        if self.issuer.is_some() {
            return Ok(true);
        }
        let any = self.engine.keys().any().await;
        any.map_err(|error| Box::new(Problem::of(&error, serde_json::Map::new())))
    }

    /// Forgets what was found; the next requests ask the store.
    pub(crate) fn keys_changed(&self) {
        self.age.send_modify(|age| *age += 1);
    }

    /// Tells whenever credentials have to be looked at again.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.age.subscribe()
    }

    /// Who makes a request with these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Identity>, Refused> {
        match bearer(headers)? {
            Some(token) => self.look_up(token).await,
            None if self.is_open().await? => {
                open::check_origin(headers, &self.origins)?;
                Ok(Arc::new(Identity::of_open_door()))
            }
            None => Err(Box::new(Problem::unauthenticated())),
        }
    }

    /// Whether what was said of a credential still holds, by asking again;
    /// for streams that stay open.
    pub(crate) async fn still_holds(&self, headers: &HeaderMap, was: &Identity) -> bool {
        match self.identify(headers).await {
            Ok(identity) => identity.grant == was.grant && identity.key == was.key,
            // A store that is away revokes nothing.
            Err(problem) => problem.status() == 503,
        }
    }

    /// What has become of a credential that was good when something long was
    /// begun under it. One that has only expired may finish what it began.
    pub(crate) async fn standing(&self, headers: &HeaderMap, was: &Identity) -> Standing {
        if self.still_holds(headers, was).await {
            return Standing::Holds;
        }
        if self.is_over(was) && self.was_only_time(was).await {
            return Standing::Expired;
        }
        Standing::Revoked
    }

    /// Whether nothing but time has ended a credential.
    async fn was_only_time(&self, was: &Identity) -> bool {
        if let Err(problem) = self.check_tenant(was).await {
            // A store that is away revokes nothing.
            return problem.status() == 503;
        }
        let Some(id) = &was.key else {
            return true;
        };
        match self.engine.keys().get(id).await {
            Ok(key) => key.is_some_and(|key| key.revoked_at.is_none()),
            Err(error) => error.kind() == ErrorKind::Unavailable,
        }
    }

    async fn is_open(&self) -> Result<bool, Refused> {
        let age = *self.age.borrow();
        let now = self.env.monotonic();
        // That it is open is asked every time: another process may have made
        // the first key. That it is closed stays so for a while.
        if self.open.known(now, age) == Some(false) {
            return Ok(false);
        }
        let open = !self.is_closed().await?;
        if !open {
            self.open.learn(open, now + self.lasts, age);
        }
        Ok(open)
    }

    async fn look_up(&self, token: &str) -> Result<Arc<Identity>, Refused> {
        let name: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Read before the store is asked: what changes meanwhile counts.
        let age = *self.age.borrow();
        let now = self.env.monotonic();
        if let Some(known) = self.known.get(&name)
            && known.age == age
            && now < known.until
            && !self.is_over(&known.identity)
        {
            return Ok(Arc::clone(&known.identity));
        }
        let identity = Arc::new(self.ask(token).await?);
        if self.is_over(&identity) {
            return Err(Box::new(Problem::unauthenticated()));
        }
        self.check_tenant(&identity).await?;
        let known = Known {
            identity: Arc::clone(&identity),
            until: now + self.lasts,
            age,
        };
        self.known.insert(name, Arc::new(known));
        Ok(identity)
    }

    fn is_over(&self, identity: &Identity) -> bool {
        let now = self.env.now().get();
        identity.expires_ms.is_some_and(|end| now >= end)
    }

    async fn ask(&self, token: &str) -> Result<Identity, Refused> {
        let unknown = || Box::new(Problem::unauthenticated());
        if token.starts_with(KEY_PREFIX) {
            let found = self.engine.keys().authenticate(token).await;
            let found =
                found.map_err(|error| Box::new(Problem::of(&error, serde_json::Map::new())))?;
            return found.map(Identity::of_key).ok_or_else(unknown);
        }
        let issuer = self.issuer.as_ref().ok_or_else(unknown)?;
        let claims = issuer
            .verify(token, self.env.monotonic())
            .ok_or_else(unknown)?;
        Ok(Identity {
            grant: claims.grant,
            key: None,
            expires_ms: Some(claims.expires_ms),
            open: false,
        })
    }

    /// Refuses whoever belongs to a tenant that is being erased, or was.
    async fn check_tenant(&self, identity: &Identity) -> Result<(), Refused> {
        match identity.tenant() {
            Some(tenant) => self.check_in_use(tenant).await,
            None => Ok(()),
        }
    }

    /// Refuses what belongs to a tenant that is being erased, or was.
    pub(crate) async fn check_in_use(&self, tenant: &TenantId) -> Result<(), Refused> {
        match self.engine.tenants().status(tenant).await {
            Ok(Status::Active) => Ok(()),
            Ok(status) => {
                let detail = "the tenant is not in use any more";
                let problem = Problem::new(403, "tenant_not_active", detail);
                Err(Box::new(problem.with("tenant_status", status.as_str())))
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "a tenant's status cannot be read");
                Err(Box::new(Problem::of(&error, serde_json::Map::new())))
            }
        }
    }
}

/// What of a request's headers tells who makes it, to be kept while an answer
/// lasts. Copies: a header as it came keeps all that was received with it.
pub(crate) fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(2);
    for name in [header::AUTHORIZATION, header::HOST, header::ORIGIN] {
        for value in headers.get_all(&name) {
            let value = HeaderValue::from_bytes(value.as_bytes());
            kept.append(name.clone(), value.expect("it is one already"));
        }
    }
    kept
}

/// The token of the one `Authorization` header; `None` without one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let fits = |token: &&str| !token.is_empty() && token.len() <= TOKEN_CHARS_MAX;
    match (token.filter(fits), values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Box::new(Problem::unauthenticated())),
    }
}
