//! Subscriptions of the Durable Streams protocol on the wire.

use serde::{Deserialize, Serialize};

/// How the worker of a subscription hears of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionType {
    /// It is called.
    Webhook,
    /// It reads of it in a stream, and claims it.
    PullWake,
}

/// A subscription to be made, or confirmed in the same words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutSubscription {
    /// How its worker is woken.
    #[serde(rename = "type")]
    pub kind: SubscriptionType,
    /// Paths that it follows: `*` is one segment, `**` any number of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Paths that it follows besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_items = 1000))]
    pub streams: Option<Vec<String>>,
    /// Whom to call, of a `webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<PutWebhook>,
    /// The path of the stream that wakes are appended to, of a `pull-wake`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_stream: Option<String>,
    /// How long a worker holds a wake without a sign of life; 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1000, maximum = 600000))]
    pub lease_ttl_ms: Option<u64>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutWebhook {
    /// A URL of `https`, of a public machine.
    pub url: String,
}

/// A subscription as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Subscription {
    /// Its name.
    pub id: String,
    /// The same.
    pub subscription_id: String,
    /// How its worker is woken.
    #[serde(rename = "type")]
    pub kind: SubscriptionType,
    /// Paths that it follows.
    pub pattern: Option<String>,
    /// Its streams, in the order of their paths.
    pub streams: Vec<SubscribedStream>,
    /// Whether streams that the pattern stands for are left out, since there
    /// are 1,000.
    pub streams_full: bool,
    /// Who is called.
    pub webhook: Option<Webhook>,
    /// The path of the stream that wakes are appended to.
    pub wake_stream: Option<String>,
    /// How long a worker holds a wake without a sign of life.
    pub lease_ttl_ms: u64,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// `failed` while a delivery that failed waits to be tried again.
    pub status: SubscriptionStatus,
    /// When it is tried again (RFC 3339).
    pub next_attempt_at: Option<String>,
    /// The last wake's; 0 before the first.
    pub generation: u64,
    /// For people.
    pub description: Option<String>,
}

/// How a subscription does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Wakes are delivered.
    Active,
    /// The last delivery failed.
    Failed,
}

/// Why a stream is one of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LinkType {
    /// The pattern stands for it.
    Glob,
    /// It was named.
    Explicit,
}

/// A stream of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubscribedStream {
    /// Its path.
    pub path: String,
    /// Why it is one.
    pub link_type: LinkType,
    /// Where to read on: everything before it was worked on.
    pub acked_offset: String,
    /// Where it ends.
    pub tail_offset: String,
    /// Whether there is something to work on.
    pub has_pending: bool,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// The URL.
    pub url: String,
    /// With what the calls are signed.
    pub signing: WebhookSigning,
}

/// With what calls are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookSigning {
    /// `ed25519`.
    pub alg: String,
    /// The name of the key.
    pub kid: String,
    /// Where the public keys are.
    pub jwks_url: String,
}

/// Streams to be linked by their paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubscribeStreams {
    /// The paths.
    #[cfg_attr(feature = "schema", schema(max_items = 1000))]
    pub streams: Vec<String>,
}

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimWake {
    /// The worker's name, for others that come: 1 to 128 bytes.
    pub worker: String,
}

/// A wake in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClaimedWake {
    /// Its name.
    pub wake_id: String,
    /// Its number.
    pub generation: u64,
    /// With which it is acknowledged: `Authorization: Bearer …`.
    pub token: String,
    /// What is pending first, at most 256.
    pub streams: Vec<SubscribedStream>,
    /// How long it lasts without a sign of life.
    pub lease_ttl_ms: u64,
}

/// A wake as it is sent to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredWake {
    /// Of which subscription.
    pub subscription_id: String,
    /// Its name.
    pub wake_id: String,
    /// Its number.
    pub generation: u64,
    /// What is pending first, at most 256.
    pub streams: Vec<SubscribedStream>,
    /// Where it is acknowledged, unless the answer says that it is done.
    pub callback_url: String,
    /// With which it is acknowledged: `Authorization: Bearer …`.
    pub callback_token: String,
}

/// What a worker has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AckWake {
    /// The wake's name.
    pub wake_id: String,
    /// Its number.
    pub generation: u64,
    /// How far it is.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 1000))]
    pub acks: Vec<StreamAck>,
    /// Whether it lets go; otherwise it keeps the wake for another lease.
    #[serde(default)]
    pub done: bool,
}

/// How far a worker is in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamAck {
    /// Its path.
    pub stream: String,
    /// Where to read on: everything before it was worked on.
    pub offset: String,
}

/// What becomes of a wake that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AckedWake {
    /// True.
    pub ok: bool,
    /// Whether another wake follows at once.
    pub next_wake: bool,
}

/// A wake that is let go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseWake {
    /// The wake's name.
    pub wake_id: String,
    /// Its number.
    pub generation: u64,
}

/// The public keys of webhooks (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookKeys {
    /// The keys.
    pub keys: Vec<WebhookKey>,
}

/// A public key (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookKey {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// Its name.
    pub kid: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub purpose: String,
    /// `EdDSA`.
    pub alg: String,
    /// The key.
    pub x: String,
}
