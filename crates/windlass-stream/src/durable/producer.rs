//! Producers: who may append, and whether it was appended before.
//!
//! What is known of a producer is written by the commit that appends its rows,
//! which checks the stream's head. So there is never one without the other, and
//! a retry is told apart from a new append whatever became of the first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::Format;

use crate::error::StreamError;
use crate::limits::PRODUCER_ID_BYTES_MAX;

/// The greatest epoch and number: all programs can hold it exactly.
pub const PRODUCER_NUMBER_MAX: u64 = (1 << 53) - 1;

/// One append of a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Who, by a name of 1 to 256 bytes of its own choice.
    pub id: Arc<str>,
    /// Its how manieth life; a later one shuts out earlier ones.
    pub epoch: u64,
    /// The how manieth append of that life, from 0 on.
    pub number: u64,
}

impl Producer {
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        let refuse = |field, problem| Err(StreamError::Invalid { field, problem });
        if self.id.is_empty() || self.id.len() > PRODUCER_ID_BYTES_MAX {
            return refuse("producer id", "has 1 to 256 bytes");
        }
        if self.epoch.max(self.number) > PRODUCER_NUMBER_MAX {
            return refuse("producer", "has an epoch or number beyond 2^53 - 1");
        }
        Ok(())
    }

    /// Whether it appends, as far as the producer is known.
    ///
    /// # Errors
    ///
    /// `StaleEpoch`, `SequenceGap`; `Invalid` for an epoch that does not begin
    /// at 0.
    pub(crate) fn decide(&self, known: Option<&Known>) -> Result<Turn, StreamError> {
        let expected = match known {
            None => 0,
            Some(known) if self.epoch < known.epoch => {
                let current = known.epoch;
                return Err(StreamError::StaleEpoch { current });
            }
            Some(known) if self.epoch > known.epoch => {
                if self.number > 0 {
                    return Err(StreamError::Invalid {
                        field: "producer number",
                        problem: "is not 0 in a new epoch",
                    });
                }
                0
            }
            Some(known) => known.number + 1,
        };
        if self.number > expected {
            let received = self.number;
            return Err(StreamError::SequenceGap { expected, received });
        }
        Ok(match known {
            Some(known) if self.number < expected => Turn::Repeated {
                highest: known.number,
                closing: known.closing && known.number == self.number,
            },
            _ => Turn::New,
        })
    }

    pub(crate) fn noted(&self, closing: bool) -> Known {
        Known {
            v: Format,
            id: Arc::clone(&self.id),
            epoch: self.epoch,
            number: self.number,
            closing,
        }
    }
}

/// What an append of a producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has to be appended.
    New,
    /// It was appended before.
    Repeated {
        /// The last append of the epoch.
        highest: u64,
        /// Whether this very append closed the stream.
        closing: bool,
    },
}

/// What is stored of a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    pub(crate) v: Format,
    pub(crate) id: Arc<str>,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    /// Whether the last append closed the stream.
    pub(crate) closing: bool,
}

/// What is stored of all writers of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Book {
    pub(crate) v: Format,
    /// How many producers are known.
    pub(crate) producers: u64,
    /// The last sequence that a writer gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<Arc<str>>,
}

impl Book {
    /// That of a stream that nobody has written to yet.
    pub(crate) const NEW: Self = Self {
        v: Format,
        producers: 0,
        sequence: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_core::Coded;

    fn append(epoch: u64, number: u64) -> Producer {
        let id = "p".into();
        Producer { id, epoch, number }
    }

    #[test]
    fn each_append_of_an_epoch_counts_once_and_in_order() {
        let known = append(2, 5).noted(true);
        let table = [
            (append(2, 6), Ok(Turn::New)),
            (append(3, 0), Ok(Turn::New)),
            (
                append(2, 5),
                Ok(Turn::Repeated {
                    highest: 5,
                    closing: true,
                }),
            ),
            (
                append(2, 0),
                Ok(Turn::Repeated {
                    highest: 5,
                    closing: false,
                }),
            ),
            (append(2, 7), Err("producer_sequence_gap")),
            (append(1, 0), Err("producer_epoch_stale")),
            (append(1, 6), Err("producer_epoch_stale")),
            (append(3, 1), Err("invalid_request")),
        ];
        for (append, expected) in table {
            let decided = append.decide(Some(&known)).map_err(|error| error.code());
            assert_eq!(decided, expected, "{append:?}");
        }
        for (append, expected) in [
            (append(0, 0), Ok(Turn::New)),
            (append(7, 0), Ok(Turn::New)),
            (append(0, 1), Err("producer_sequence_gap")),
        ] {
            let decided = append.decide(None).map_err(|error| error.code());
            assert_eq!(decided, expected, "{append:?}");
        }
    }
}
