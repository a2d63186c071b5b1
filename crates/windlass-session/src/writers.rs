//! Who wrote the last revisions of a head; see [`windlass_core::writers`].

pub(crate) use windlass_core::writers::{Writer, WriterId, Writers, Written};
