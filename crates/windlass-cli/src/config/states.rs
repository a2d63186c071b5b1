//! The settings of states: what is compressed, and what is kept for how long.

use std::str::FromStr;

use windlass::checkpoint::{Config, Profile};

use super::setting::ValueError;

/// A setting of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StateSetting {
    Profile,
    KeepMs,
    KeepLast,
    GraceMs,
    CachedStates,
}

const PROFILES: [(Profile, &str); 3] = [
    (Profile::LowLatency, "low-latency"),
    (Profile::Balanced, "balanced"),
    (Profile::Compact, "compact"),
];

impl StateSetting {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Profile,
        Self::KeepMs,
        Self::KeepLast,
        Self::GraceMs,
        Self::CachedStates,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Profile => "states.profile",
            Self::KeepMs => "states.keep_ms",
            Self::KeepLast => "states.keep_last",
            Self::GraceMs => "states.grace_ms",
            Self::CachedStates => "states.cached_states",
        }
    }

    /// Whether its value is a number.
    pub(crate) const fn is_number(self) -> bool {
        !matches!(self, Self::Profile)
    }

    /// Sets it, if `text` is a value that it can have.
    pub(crate) fn set(self, config: &mut Config, text: &str) -> Result<(), ValueError> {
        let mut changed = config.clone();
        match self {
            Self::Profile => changed.compression = profile(text)?.into(),
            Self::KeepMs => changed.retention.keep_ms = u64::from_str(text)?,
            Self::KeepLast => changed.retention.keep_last = u64::from_str(text)?,
            Self::GraceMs => changed.grace_ms = u64::from_str(text)?,
            Self::CachedStates => changed.cached_states = usize::from_str(text)?,
        }
        changed.check()?;
        *config = changed;
        Ok(())
    }

    /// Its value as text.
    pub(crate) fn value(self, config: &Config) -> String {
        match self {
            Self::Profile => {
                let is_set = |(profile, _): &&(Profile, _)| config.compression == (*profile).into();
                let found = PROFILES.iter().find(is_set);
                found.map_or_else(String::new, |(_, name)| (*name).to_owned())
            }
            Self::KeepMs => config.retention.keep_ms.to_string(),
            Self::KeepLast => config.retention.keep_last.to_string(),
            Self::GraceMs => config.grace_ms.to_string(),
            Self::CachedStates => config.cached_states.to_string(),
        }
    }
}

fn profile(text: &str) -> Result<Profile, ValueError> {
    let found = PROFILES.iter().find(|(_, name)| *name == text);
    let (profile, _) = found.ok_or(ValueError::Word("`low-latency`, `balanced`, `compact`"))?;
    Ok(*profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_and_what_cannot_be_changes_nothing() {
        let mut config = Config::default();
        let shown = |config: &Config| StateSetting::ALL.map(|setting| setting.value(config));
        let default = ["balanced", "604800000", "100", "3600000", "4096"];
        assert_eq!(shown(&config), default);
        let set = ["compact", "1000", "5", "0", "16"];
        for (setting, text) in StateSetting::ALL.into_iter().zip(set) {
            setting.set(&mut config, text).expect("a value it can have");
        }
        assert_eq!(shown(&config), set);
        for (setting, text) in StateSetting::ALL
            .into_iter()
            .zip(["small", "-1", "0", "x", "0"])
        {
            let refused = setting.set(&mut config, text);
            assert!(refused.is_err(), "{} = {text}", setting.name());
        }
        assert_eq!(shown(&config), set);
    }
}
