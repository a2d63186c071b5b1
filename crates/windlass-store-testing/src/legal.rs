//! Which pages are a legal answer to a read.
//!
//! A page may be shorter than asked for, so there is more than one. What is
//! not left to the store: a page is the beginning of what the scan is about;
//! `more` says exactly whether something is left; a read stays within its
//! limits; and a page is empty only if nothing is there or nothing more fits.

use windlass_store::limits::{READ_BYTES_MAX, READ_ENTRIES_MAX};
use windlass_store::{Page, Scan};

use crate::model::{self, Model};
use crate::verdict::{Trial, brief, ensure, ensure_equal};

/// Looks that `pages` are a legal answer to `scans` on a store that holds
/// what `model` does.
pub(crate) fn ensure_legal(model: &Model, scans: &[Scan], pages: &[Page]) -> Trial {
    ensure_equal(&pages.len(), &scans.len(), || "the number of pages".into())?;
    let (mut count, mut bytes) = (0, 0);
    for (scan, page) in scans.iter().zip(pages) {
        ensure_page(model, scan, page)?;
        if page.entries.is_empty() && page.more {
            let first = model.first_matching(scan, 1);
            let fits = first
                .iter()
                .any(|first| model::fits(count, bytes, model::size(first)));
            ensure(!fits, || {
                format!("an empty page although an entry fits, for {}", brief(scan))
            })?;
        }
        count += page.entries.len();
        bytes += page.entries.iter().map(model::size).sum::<usize>();
    }
    ensure(count <= READ_ENTRIES_MAX, || {
        format!("{count} entries in one read")
    })?;
    ensure(bytes <= READ_BYTES_MAX || count == 1, || {
        format!("{bytes} bytes of {count} entries in one read")
    })
}

fn ensure_page(model: &Model, scan: &Scan, page: &Page) -> Trial {
    let (given, there) = (page.entries.len(), model.count(&scan.range));
    ensure(given <= scan.limit, || {
        format!("{given} entries, for {}", brief(scan))
    })?;
    let expected = model.first_matching(scan, given);
    ensure_equal(&page.entries, &expected, || {
        format!("the entries for {}", brief(scan))
    })?;
    ensure(page.more == (given < there), || {
        let more = page.more;
        format!(
            "`more` is {more} after {given} of {there} entries, for {}",
            brief(scan)
        )
    })
}
