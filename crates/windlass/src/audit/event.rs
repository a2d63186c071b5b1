//! An event: who did what to what, when, and how it ended.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_core::{Act, Millis, Outcome};

use super::chain::{Chain, ChainHash};
use super::limits::{FIGURES_MAX, SUBJECTS_MAX, TEXT_BYTES_MAX};
use super::who::Who;

/// What stands for the rest of a text that was cut.
const CUT: char = '…';

/// One event of the audit. Never holds a secret, a token or contents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When it was told, which is after it happened.
    pub at: Millis,
    /// Whose it is.
    pub chain: Chain,
    /// Who asked, where that is known.
    pub principal: Option<String>,
    /// The key with which it was asked, where there was one.
    pub key: Option<String>,
    /// The request it was part of, where there was one.
    pub request: Option<String>,
    /// The part and the deed, as `session.closed`.
    pub action: Cow<'static, str>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Why not, as an error code.
    pub code: Option<Cow<'static, str>>,
    /// What it was about, by role, as `session` and its id.
    pub on: Vec<(Cow<'static, str>, String)>,
    /// How many, how large.
    pub figures: Vec<(Cow<'static, str>, u64)>,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It did what was asked.
    Done,
    /// A rule refused it.
    Refused,
    /// It failed, and may have happened.
    Failed,
}

impl AuditOutcome {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl AuditEvent {
    /// An event about nothing in particular, that ended well.
    #[must_use]
    pub fn new(at: Millis, chain: Chain, action: &'static str) -> Self {
        Self {
            at,
            chain,
            principal: None,
            key: None,
            request: None,
            action: Cow::Borrowed(action),
            outcome: AuditOutcome::Done,
            code: None,
            on: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// The event that an act is, of which `who` asked.
    pub(super) fn of(at: Millis, act: &Act<'_>, outcome: Outcome, who: &Who) -> Self {
        let (outcome, code) = match outcome {
            Outcome::Done => (AuditOutcome::Done, None),
            Outcome::Refused(code) => (AuditOutcome::Refused, Some(code)),
            Outcome::Failed(code) => (AuditOutcome::Failed, Some(code)),
        };
        let principal = act.principal.or(who.principal.as_ref());
        let on = act.on.iter().take(SUBJECTS_MAX);
        let figures = act.figures.iter().take(FIGURES_MAX);
        Self {
            principal: principal.map(|principal| principal.as_str().to_owned()),
            key: who.key.as_deref().map(text),
            request: who.request.as_deref().map(text),
            outcome,
            code: code.map(Cow::Borrowed),
            on: on
                .map(|(role, what)| (Cow::Borrowed(*role), text(what)))
                .collect(),
            figures: figures
                .map(|(name, figure)| (Cow::Borrowed(*name), *figure))
                .collect(),
            ..Self::new(at, Chain::of(act.tenant), act.action)
        }
    }

    /// The same event about one more thing.
    #[must_use]
    pub fn about(mut self, role: &'static str, what: &dyn fmt::Display) -> Self {
        if self.on.len() < SUBJECTS_MAX {
            self.on.push((Cow::Borrowed(role), text(what)));
        }
        self
    }

    /// The same event with one more figure.
    #[must_use]
    pub fn figure(mut self, name: &'static str, figure: u64) -> Self {
        if self.figures.len() < FIGURES_MAX {
            self.figures.push((Cow::Borrowed(name), figure));
        }
        self
    }

    /// The same event, refused.
    #[must_use]
    pub fn refused(mut self, code: &'static str) -> Self {
        self.outcome = AuditOutcome::Refused;
        self.code = Some(Cow::Borrowed(code));
        self
    }
}

/// A text of an event: what is beyond its bound is cut and marked, and control
/// characters become spaces, which keeps an event within a few KiB whatever
/// its texts are.
fn text(what: impl fmt::Display) -> String {
    let mut text: String = what
        .to_string()
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if text.len() > TEXT_BYTES_MAX {
        let room = TEXT_BYTES_MAX - CUT.len_utf8();
        text.truncate(text.floor_char_boundary(room));
        text.push(CUT);
    }
    text
}

/// An event as it stands in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainedEvent {
    /// Its number: 1 for the first of the chain.
    pub seq: u64,
    /// The hash of it and of all before it.
    pub hash: ChainHash,
    /// The event.
    pub event: AuditEvent,
}

/// The stored text of an event. The order of its fields is that of the
/// declaration, so the same event has the same text everywhere.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<'a> {
    pub(super) seq: u64,
    at: Millis,
    #[serde(borrow)]
    chain: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    action: Cow<'static, str>,
    outcome: AuditOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    on: Pairs<String>,
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    figures: Pairs<u64>,
}

/// The text of `event` as number `seq` of its chain.
pub(super) fn encode(seq: u64, event: &AuditEvent) -> Vec<u8> {
    let event = event.clone();
    let stored = Stored {
        seq,
        at: event.at,
        chain: Cow::Borrowed(event.chain.as_str()),
        principal: event.principal,
        key: event.key,
        request: event.request,
        action: event.action,
        outcome: event.outcome,
        code: event.code,
        on: Pairs(event.on),
        figures: Pairs(event.figures),
    };
    serde_json::to_vec(&stored).expect("an event has a form in JSON")
}

/// The number and the event that a text is of; `None` for what is none.
pub(super) fn decode(text: &[u8]) -> Option<(u64, AuditEvent)> {
    let stored: Stored<'_> = serde_json::from_slice(text).ok()?;
    let event = AuditEvent {
        at: stored.at,
        chain: stored.chain.parse().ok()?,
        principal: stored.principal,
        key: stored.key,
        request: stored.request,
        action: stored.action,
        outcome: stored.outcome,
        code: stored.code,
        on: stored.on.0,
        figures: stored.figures.0,
    };
    Some((stored.seq, event))
}

/// Names with their values, written as an object in their own order.
#[derive(Clone, Debug)]
pub(super) struct Pairs<T>(Vec<(Cow<'static, str>, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pairs<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Reader<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A>(self, mut map: A) -> Result<Pairs<T>, A::Error>
            where
                A: serde::de::MapAccess<'de>,
            {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    pairs.push((Cow::Owned(name), value));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Reader(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::EVENT_BYTES_MAX;
    use super::*;

    fn event() -> AuditEvent {
        AuditEvent::new(Millis::new(7), Chain::System, "key.revoked")
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let mut event = event()
            .about("session", &"s1")
            .about("agent", &"a\"b")
            .figure("rows", 3)
            .refused("not_allowed");
        event.principal = Some("runtime".to_owned());
        event.key = Some("0123".to_owned());
        let text = encode(9, &event);
        assert_eq!(decode(&text), Some((9, event)));
        assert_eq!(
            String::from_utf8(text).expect("JSON"),
            r#"{"seq":9,"at":7,"chain":"system","principal":"runtime","key":"0123","action":"key.revoked","outcome":"refused","code":"not_allowed","on":{"session":"s1","agent":"a\"b"},"figures":{"rows":3}}"#
        );
    }

    #[test]
    fn long_texts_are_cut_with_a_mark_and_an_event_stays_within_its_bound() {
        let worst = "\"".repeat(10_000);
        let mut event = event();
        for _ in 0..20 {
            event = event
                .about("session", &worst)
                .figure("bytes_of_all", u64::MAX);
        }
        assert_eq!(event.on.len(), SUBJECTS_MAX);
        assert!(event.on[0].1.ends_with(CUT), "{:?}", event.on[0]);
        assert_eq!(event.on[0].1.len(), TEXT_BYTES_MAX);
        let length = encode(u64::MAX, &event).len();
        assert!(length <= EVENT_BYTES_MAX, "{length}");
        let split = text("é".repeat(TEXT_BYTES_MAX));
        assert!(split.len() <= TEXT_BYTES_MAX, "{}", split.len());
        assert_eq!(text("a\nb"), "a b");
    }

    #[test]
    fn what_is_no_event_is_none() {
        for wrong in [r"{}", r#"{"seq":1}"#, "", "[]"] {
            assert_eq!(decode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
