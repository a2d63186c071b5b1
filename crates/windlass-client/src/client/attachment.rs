//! The calls about the attachments of a session.

use bytes::Bytes;

use super::ClientError;
use super::call::Call;
use super::state::StateClient;
use crate::state::{
    AppendBytes, Attachment, AttachmentPage, AttachmentsQuery, Dropped, FinishAttachment,
    NewAttachment, RangeQuery,
};

impl StateClient {
    /// Announces an attachment, which has no bytes yet. One that is announced
    /// twice, because an answer was lost, goes by itself when it is not used.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn begin_attachment(
        &self,
        request: &NewAttachment,
    ) -> Result<Attachment, ClientError> {
        let call = Call::post(&self.path(&["attachments"]), request).unkeyed();
        self.client().ask(call).await
    }

    /// Adds bytes to an attachment.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `attachment_offset` says in `size` where to go on,
    /// also after an attempt whose answer was lost.
    pub async fn append_bytes(
        &self,
        attachment: &str,
        request: &AppendBytes,
    ) -> Result<Attachment, ClientError> {
        let path = self.path(&["attachments", attachment, "bytes"]);
        self.client()
            .ask(Call::post(&path, request).unkeyed())
            .await
    }

    /// Says that all bytes of an attachment are there.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `digest_mismatch`.
    pub async fn finish_attachment(
        &self,
        attachment: &str,
        request: &FinishAttachment,
    ) -> Result<Attachment, ClientError> {
        let path = self.path(&["attachments", attachment, "finish"]);
        self.client()
            .ask(Call::post(&path, request).unkeyed())
            .await
    }

    /// An attachment, without its bytes.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none.
    pub async fn attachment(&self, attachment: &str) -> Result<Attachment, ClientError> {
        let call = Call::get(&self.path(&["attachments", attachment]));
        self.client().ask(call).await
    }

    /// Some of the attachments, in the order they were announced.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn attachments(
        &self,
        query: &AttachmentsQuery,
    ) -> Result<AttachmentPage, ClientError> {
        let call = Call::get(&self.path(&["attachments"])).query(query);
        self.client().ask(call).await
    }

    /// Some bytes of an attachment, as many as settings allow an answer.
    ///
    /// # Errors
    ///
    /// As [`StateClient::attachment`].
    pub async fn attached_bytes(
        &self,
        attachment: &str,
        range: &RangeQuery,
    ) -> Result<Bytes, ClientError> {
        let path = self.path(&["attachments", attachment, "bytes"]);
        let call = Call::get(&path).query(range);
        Ok(self.client().ask_content(call).await?.1)
    }

    /// Takes an attachment away, and says whether there was one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn drop_attachment(&self, attachment: &str) -> Result<Dropped, ClientError> {
        let call = Call::delete(&self.path(&["attachments", attachment]));
        self.client().ask(call.unkeyed()).await
    }
}
