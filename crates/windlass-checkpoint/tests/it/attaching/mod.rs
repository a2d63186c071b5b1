//! Attachments: announced, filled, finished, taken by a commit; or forsaken
//! and gone.

mod damage;
mod ends;
mod filling;
mod taking;

use bytes::Bytes;
use windlass_checkpoint::{Attachment, CheckpointError, NewAttachment};
use windlass_store::{KeyRange, StoreExt};
use windlass_store_testing::Random;

use crate::support::{World, caller, id};

/// Bytes that nothing makes smaller.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut random = Random::new(seed);
    let words = std::iter::repeat_with(|| random.next().to_le_bytes());
    words.flatten().take(length).collect::<Vec<u8>>().into()
}

impl World {
    async fn begin(&self, session: &str) -> Attachment {
        let (who, session) = (caller(), id(session));
        let new = NewAttachment::default();
        let begun = self.states.begin_attachment(&who, &session, new).await;
        begun.expect("an attachment that may begin")
    }

    async fn append(
        &self,
        session: &str,
        attachment: &str,
        start: u64,
        bytes: &Bytes,
    ) -> Result<Attachment, CheckpointError> {
        let (who, session) = (caller(), id(session));
        self.states
            .append_attachment(&who, &session, attachment, start, bytes)
            .await
    }

    /// An attachment with these bytes, finished.
    async fn whole(&self, session: &str, bytes: &Bytes) -> Attachment {
        let begun = self.begin(session).await;
        let filled = self.append(session, &begun.id, 0, bytes).await;
        assert_eq!(filled.expect("bytes that fit").size, bytes.len() as u64);
        let finished = self
            .states
            .finish_attachment(&caller(), &id(session), &begun.id, None)
            .await;
        finished.expect("all bytes are there")
    }

    async fn bytes_of(
        &self,
        session: &str,
        attachment: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Vec<u8>>, CheckpointError> {
        let (who, session) = (caller(), id(session));
        let Some(mut reader) = self
            .states
            .open_attachment(&who, &session, attachment, range)
            .await?
        else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(piece) = reader.next().await? {
            assert!(!piece.is_empty());
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// All keys of attachments, and of the index of what is due for them.
    async fn attachment_keys(&self) -> Vec<String> {
        let all = self
            .ground
            .scan_all(KeyRange::all())
            .await
            .expect("a readable store");
        let keys = all
            .into_iter()
            .map(|it| String::from_utf8(it.key.to_vec()).expect("text"));
        keys.filter(|key| key.contains("attach")).collect()
    }
}
