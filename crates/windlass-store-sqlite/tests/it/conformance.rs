//! P1 to P19 of the storage trait.

use windlass_store_testing::conformance;

use crate::fixture::Files;

conformance!(Files::new());

/// The same where callers read by themselves.
mod on_caller {
    use windlass_store_sqlite::{Options, Reads};
    use windlass_store_testing::conformance;

    use crate::fixture::Files;

    conformance!(Files::with(Options {
        reads: Reads::OnCaller {
            page_cache_kib: 1_024
        },
        ..Options::default()
    }));
}
