//! What happens in a session, as it happens, across broken connections.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::answer::media_type;
use super::call::Call;
use super::error::BrokenAnswer;
use super::retry::{Failed, again};
use super::send::luck;
use super::sse::{Message, Parser};
use super::{Client, ClientError};
use crate::session::{End, EndReason, Event, EventsQuery};

/// The media type of a live stream.
const MEDIA_TYPE: &str = "text/event-stream";

/// The events of a session, in order, each once, without gaps.
///
/// A connection that breaks, or is quiet for too long, is made again from
/// after the last event that was given out. Dropping the future of
/// [`Events::next`] loses nothing.
#[derive(Debug)]
pub struct Events {
    client: Client,
    session: String,
    /// The number of the last event that was given out.
    after: u64,
    connection: Option<Connection>,
    /// Whether a connection was made before: from then on the server is told
    /// where to go on in the header that the standard has for it.
    resumes: bool,
    /// Failures since the last message.
    failures: u32,
    /// The least wait before connecting again, as the server asked.
    least: Duration,
    /// When to connect again.
    due: Option<Instant>,
    end: Option<EndReason>,
}

#[derive(Debug)]
struct Connection {
    response: Response,
    parser: Parser,
    messages: VecDeque<Message>,
}

impl Events {
    pub(super) fn new(client: Client, session: &str, after: u64) -> Self {
        Self {
            client,
            session: session.to_owned(),
            after,
            connection: None,
            resumes: false,
            failures: 0,
            least: Duration::ZERO,
            due: None,
            end: None,
        }
    }

    /// The number of the last event that was given out: where another stream
    /// would go on.
    #[must_use]
    pub const fn after(&self) -> u64 {
        self.after
    }

    /// Why there are no more events; `None` while there may be.
    #[must_use]
    pub const fn end(&self) -> Option<EndReason> {
        self.end
    }

    /// The next event; `None` once there will be no more, for the reason in
    /// [`Events::end`].
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the server refuses, or cannot be reached for as many
    /// attempts in a row as the settings allow. Asking again goes on from the
    /// same place.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if self.end.is_some() {
                return Ok(None);
            }
            match self.step().await {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err((error, failed)) => self.fail(error, failed)?,
            }
        }
    }

    /// Connects, or takes the next message.
    async fn step(&mut self) -> Result<Option<Event>, (ClientError, Failed)> {
        if let Some(due) = self.due {
            tokio::time::sleep_until(due).await;
            self.due = None;
        }
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
            self.resumes = true;
        }
        match self.message().await? {
            Some(message) => self.hear(&message),
            None => Ok(None),
        }
    }

    async fn connect(&self) -> Result<Connection, (ClientError, Failed)> {
        let query = EventsQuery {
            after: (!self.resumes).then_some(self.after),
            limit: None,
        };
        let call = Call::get(&["v1", "sessions", &self.session, "events"]).query(&query);
        let place = self
            .resumes
            .then(|| ("last-event-id", HeaderValue::from(self.after)));
        let response = self.client.inner.open(&call, MEDIA_TYPE, place).await?;
        if media_type(response.headers()).as_deref() != Some(MEDIA_TYPE) {
            return Err((broken(BrokenAnswer::MediaType), Failed::Final));
        }
        Ok(Connection {
            response,
            parser: Parser::default(),
            messages: VecDeque::new(),
        })
    }

    /// The next message that is whole; `None` if the bytes that came finished
    /// none.
    async fn message(&mut self) -> Result<Option<Message>, (ClientError, Failed)> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        if let Some(message) = connection.messages.pop_front() {
            return Ok(Some(message));
        }
        let after = self.client.inner.settings.quiet;
        let came = tokio::time::timeout(after, connection.response.chunk()).await;
        let came = came.map_err(|_| {
            let outcome = None;
            (ClientError::Timeout { outcome, after }, Failed::Unknown)
        })?;
        match came {
            Ok(Some(bytes)) => {
                let taken = connection.parser.take(&bytes, &mut connection.messages);
                let max = super::limits::MESSAGE_BYTES_MAX;
                let too_large = |_| (broken(BrokenAnswer::TooLarge { max }), Failed::Final);
                taken.map_err(too_large)?;
                Ok(connection.messages.pop_front())
            }
            Ok(None) => Err((broken(BrokenAnswer::Ended), Failed::Unknown)),
            Err(source) => {
                let source = source.without_url();
                let error = ClientError::Transport {
                    sent: true,
                    outcome: None,
                    source,
                };
                Err((error, Failed::Unknown))
            }
        }
    }

    /// What a message says.
    fn hear(&mut self, message: &Message) -> Result<Option<Event>, (ClientError, Failed)> {
        self.failures = 0;
        if let Some(ms) = message.retry_ms {
            let most = self.client.inner.settings.retry_after_max;
            self.least = Duration::from_millis(ms).min(most);
        }
        match message.event.as_str() {
            "event" => self.take(read(message)?),
            "end" => {
                let End { reason } = read(message)?;
                if reason != EndReason::Draining {
                    self.end = Some(reason);
                    self.connection = None;
                    return Ok(None);
                }
                // Another server may be there, or this one again, soon.
                Err((broken(BrokenAnswer::Ended), Failed::Unknown))
            }
            _ => Ok(None),
        }
    }

    /// Gives an event out if it is the next; one that was given out before is
    /// passed over.
    fn take(&mut self, event: Event) -> Result<Option<Event>, (ClientError, Failed)> {
        if event.number <= self.after {
            return Ok(None);
        }
        if event.number != self.after + 1 {
            let why = BrokenAnswer::Gap {
                expected: self.after + 1,
                found: event.number,
            };
            return Err((broken(why), Failed::Final));
        }
        self.after = event.number;
        Ok(Some(event))
    }

    /// Drops the connection, and says when to make it again or that it is of
    /// no use.
    fn fail(&mut self, error: ClientError, failed: Failed) -> Result<(), ClientError> {
        self.connection = None;
        let settings = &self.client.inner.settings;
        let least = again(failed, settings.retry_after_max);
        let Some(least) = least.filter(|_| self.failures < settings.retries) else {
            self.failures = 0;
            return Err(error);
        };
        let least = least.max(self.least);
        let wait = settings.backoff.wait(self.failures, least, luck()?);
        self.due = Some(Instant::now() + wait);
        self.failures += 1;
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(message: &Message) -> Result<T, (ClientError, Failed)> {
    serde_json::from_str(&message.data).map_err(|error| {
        let why = BrokenAnswer::Body {
            line: error.line(),
            column: error.column(),
        };
        (broken(why), Failed::Final)
    })
}

const fn broken(why: BrokenAnswer) -> ClientError {
    ClientError::Protocol { outcome: None, why }
}
