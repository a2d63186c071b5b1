//! What streams tell of changes to whoever keeps the audit. What they tell of
//! reads is another matter: see [`Event`](crate::Event).

use windlass_core::audit::Subject;
use windlass_core::{Act, Ear, StreamId};

use crate::caller::Caller;
use crate::error::StreamError;
use crate::streams::Streams;

impl Streams {
    /// The same streams, of whose removal and trimming `ear` hears.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }

    pub(crate) fn tell<T>(
        &self,
        action: &'static str,
        caller: &Caller,
        stream: &StreamId,
        answer: &Result<T, StreamError>,
    ) {
        let on: [Subject<'_>; 1] = [("stream", stream)];
        let act = Act::new(action, Some(&caller.tenant), Some(&caller.principal), &on);
        self.ear.tell(answer, &act);
    }
}
