//! The settings of the cache: where it is, and what its tiers hold.

use std::str::FromStr;

use windlass::cache::{CacheError, Compression, Options};
use windlass::{CacheOptions, StoreLocation};

use super::setting::ValueError;

/// A setting of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CacheSetting {
    Store,
    L1BytesMax,
    L2BytesMax,
    BlobBytesMax,
    EntryBytesGuess,
    GraceMs,
    Compression,
}

/// Where the cache is, if there is one, and what its tiers hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheSettings {
    location: Option<StoreLocation>,
    tiers: Options,
}

impl CacheSettings {
    /// Refuses sizes that do not agree with each other.
    pub(crate) fn check(&self) -> Result<(), CacheError> {
        self.tiers.check()
    }

    /// As the engine takes them.
    pub(crate) fn options(&self) -> Option<CacheOptions> {
        let location = self.location.clone()?;
        Some(CacheOptions {
            location,
            settings: self.tiers.clone(),
        })
    }
}

impl CacheSetting {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Store,
        Self::L1BytesMax,
        Self::L2BytesMax,
        Self::BlobBytesMax,
        Self::EntryBytesGuess,
        Self::GraceMs,
        Self::Compression,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Store => "cache.store",
            Self::L1BytesMax => "cache.l1_bytes_max",
            Self::L2BytesMax => "cache.l2_bytes_max",
            Self::BlobBytesMax => "cache.blob_bytes_max",
            Self::EntryBytesGuess => "cache.entry_bytes_guess",
            Self::GraceMs => "cache.grace_ms",
            Self::Compression => "cache.compression",
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        !matches!(self, Self::Store | Self::Compression)
    }

    /// Sets it, unless that is refused. An empty store is none. Whether the
    /// sizes agree with each other is known once all are read.
    pub(crate) fn set(self, settings: &mut CacheSettings, text: &str) -> Result<(), ValueError> {
        match self {
            Self::Store if text.is_empty() => settings.location = None,
            Self::Store => settings.location = Some(text.parse()?),
            Self::Compression => settings.tiers.compression = compression(text)?,
            _ => *self.field(&mut settings.tiers) = u64::from_str(text)?,
        }
        Ok(())
    }

    fn field(self, tiers: &mut Options) -> &mut u64 {
        match self {
            Self::L1BytesMax => &mut tiers.first.l1_bytes_max,
            Self::L2BytesMax => &mut tiers.l2_bytes_max,
            Self::BlobBytesMax => &mut tiers.first.blob_bytes_max,
            Self::EntryBytesGuess => &mut tiers.first.entry_bytes_guess,
            Self::Store | Self::Compression | Self::GraceMs => &mut tiers.grace_ms,
        }
    }

    /// Its value as text.
    pub(crate) fn value(self, settings: &CacheSettings) -> String {
        match self {
            Self::Store => {
                let location = settings.location.as_ref();
                location.map(ToString::to_string).unwrap_or_default()
            }
            Self::Compression => word(settings.tiers.compression).to_owned(),
            _ => self.field(&mut settings.tiers.clone()).to_string(),
        }
    }
}

fn compression(text: &str) -> Result<Compression, ValueError> {
    let all = [Compression::None, Compression::Lz4];
    let found = all.into_iter().find(|it| word(*it) == text);
    found.ok_or(ValueError::Word("`none`, `lz4`"))
}

const fn word(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_and_is_what_the_engine_takes() {
        let mut settings = CacheSettings::default();
        assert_eq!(settings.options(), None);
        let texts = ["memory:", "100000", "200000", "3000", "400", "5", "lz4"];
        for (setting, text) in CacheSetting::ALL.into_iter().zip(texts) {
            let set = setting.set(&mut settings, text);
            set.expect("a value that it can have");
        }
        let shown = CacheSetting::ALL.map(|setting| setting.value(&settings));
        assert_eq!(shown, texts);
        let options = settings.options().expect("there is a cache");
        assert_eq!(options.location, StoreLocation::Memory);
        let tiers = options.settings;
        let first = tiers.first;
        assert_eq!((first.l1_bytes_max, first.blob_bytes_max), (100_000, 3_000));
        assert_eq!((first.entry_bytes_guess, tiers.grace_ms), (400, 5));
        assert_eq!(tiers.l2_bytes_max, 200_000);
        assert_eq!(tiers.compression, Compression::Lz4);
        let refused = CacheSetting::Compression.set(&mut settings, "zip");
        let refused = refused.expect_err("no such word").to_string();
        assert_eq!(refused, "one of `none`, `lz4` is expected");
        CacheSetting::Store.set(&mut settings, "").expect("none");
        assert_eq!(settings.options(), None);
    }
}
