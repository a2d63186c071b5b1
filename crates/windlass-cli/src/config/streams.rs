//! The settings of streams: when rows are written, how long a read may be
//! silent, and how many there may be.

use std::str::FromStr;

use windlass::stream::Settings;

use super::setting::ValueError;

/// A setting of streams, which is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StreamSetting {
    LeaseTtlMs,
    ChunkPages,
    ChunkPagesMin,
    ChunkPagesMax,
    ReadPages,
    ChunkRows,
    LatencyMs,
    PollMs,
    StreamsMax,
    PrincipalStreamsMax,
}

impl StreamSetting {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::LeaseTtlMs,
        Self::ChunkPages,
        Self::ChunkPagesMin,
        Self::ChunkPagesMax,
        Self::ReadPages,
        Self::ChunkRows,
        Self::LatencyMs,
        Self::PollMs,
        Self::StreamsMax,
        Self::PrincipalStreamsMax,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LeaseTtlMs => "streams.lease_ttl_ms",
            Self::ChunkPages => "streams.chunk_pages",
            Self::ChunkPagesMin => "streams.chunk_pages_min",
            Self::ChunkPagesMax => "streams.chunk_pages_max",
            Self::ReadPages => "streams.read_pages",
            Self::ChunkRows => "streams.chunk_rows",
            Self::LatencyMs => "streams.latency_ms",
            Self::PollMs => "streams.poll_ms",
            Self::StreamsMax => "streams.streams_max",
            Self::PrincipalStreamsMax => "streams.principal_streams_max",
        }
    }

    /// Sets it, unless that is refused. What is out of range stays as it was
    /// given: only all settings together say what it counts as.
    pub(crate) fn set(self, settings: &mut Settings, text: &str) -> Result<(), ValueError> {
        let mut changed = settings.clone();
        match self {
            Self::LeaseTtlMs => changed.lease_ttl_ms = u64::from_str(text)?,
            Self::ChunkPages => changed.chunk_pages = usize::from_str(text)?,
            Self::ChunkPagesMin => changed.chunk_pages_min = usize::from_str(text)?,
            Self::ChunkPagesMax => changed.chunk_pages_max = usize::from_str(text)?,
            Self::ReadPages => changed.read_pages = usize::from_str(text)?,
            Self::ChunkRows => changed.chunk_rows = usize::from_str(text)?,
            Self::LatencyMs => changed.latency_ms = u64::from_str(text)?,
            Self::PollMs => changed.poll_ms = u64::from_str(text)?,
            Self::StreamsMax => changed.streams_max = usize::from_str(text)?,
            Self::PrincipalStreamsMax => changed.principal_streams_max = usize::from_str(text)?,
        }
        changed.in_range()?;
        *settings = changed;
        Ok(())
    }

    /// What it counts as, as text.
    pub(crate) fn value(self, settings: &Settings) -> String {
        let taken = settings.in_range().map(|(taken, _)| taken);
        let settings = taken.as_ref().unwrap_or(settings);
        match self {
            Self::LeaseTtlMs => settings.lease_ttl_ms.to_string(),
            Self::ChunkPages => settings.chunk_pages.to_string(),
            Self::ChunkPagesMin => settings.chunk_pages_min.to_string(),
            Self::ChunkPagesMax => settings.chunk_pages_max.to_string(),
            Self::ReadPages => settings.read_pages.to_string(),
            Self::ChunkRows => settings.chunk_rows.to_string(),
            Self::LatencyMs => settings.latency_ms.to_string(),
            Self::PollMs => settings.poll_ms.to_string(),
            Self::StreamsMax => settings.streams_max.to_string(),
            Self::PrincipalStreamsMax => settings.principal_streams_max.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &Settings) -> [String; 10] {
        StreamSetting::ALL.map(|setting| setting.value(settings))
    }

    #[test]
    fn what_is_set_is_shown_as_what_it_counts_as() {
        let mut settings = Settings::default();
        let default = [
            "60000", "4", "1", "64", "64", "1000", "50", "1000", "256", "32",
        ];
        assert_eq!(shown(&settings), default);
        let given = ["1", "9", "0", "8", "3", "0", "0", "1", "2", "0"];
        for (setting, text) in StreamSetting::ALL.into_iter().zip(given) {
            let set = setting.set(&mut settings, text);
            set.expect("a number that counts as something");
        }
        let taken = ["1", "8", "1", "8", "8", "1", "0", "10", "2", "1"];
        assert_eq!(shown(&settings), taken);
    }

    #[test]
    fn no_lease_and_no_number_are_refused_and_change_nothing() {
        let mut settings = Settings::default();
        for (setting, text) in [
            (StreamSetting::LeaseTtlMs, "0"),
            (StreamSetting::ChunkRows, "-1"),
            (StreamSetting::LatencyMs, "soon"),
        ] {
            let refused = setting.set(&mut settings, text);
            assert!(refused.is_err(), "{} = {text}", setting.name());
        }
        assert_eq!(settings, Settings::default());
    }
}
