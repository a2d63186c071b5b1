//! The settings of the audit: how much is told, and how long it is kept.

use std::str::FromStr;

use windlass::audit::{AuditOptions, Detail};

use super::setting::ValueError;

/// A setting of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AuditSetting {
    Detail,
    KeepMs,
    KeepEvents,
}

/// What is audited, if anything is.
#[derive(Clone, Debug)]
pub(crate) struct AuditSettings {
    on: bool,
    options: AuditOptions,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            on: true,
            options: AuditOptions::default(),
        }
    }
}

impl AuditSettings {
    /// As the engine takes them.
    pub(crate) fn options(&self) -> Option<AuditOptions> {
        self.on.then(|| self.options.clone())
    }
}

impl AuditSetting {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Detail, Self::KeepMs, Self::KeepEvents];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Detail => "audit.detail",
            Self::KeepMs => "audit.keep_ms",
            Self::KeepEvents => "audit.keep_events",
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        !matches!(self, Self::Detail)
    }

    /// Sets it, unless that is refused. A bound of 0 is none.
    pub(crate) fn set(self, settings: &mut AuditSettings, text: &str) -> Result<(), ValueError> {
        let mut changed = settings.clone();
        let bound = |text| u64::from_str(text).map(|bound| Some(bound).filter(|it| *it > 0));
        match self {
            Self::Detail => (changed.on, changed.options.detail) = detail(text)?,
            Self::KeepMs => changed.options.keep.ms = bound(text)?,
            Self::KeepEvents => changed.options.keep.events = bound(text)?,
        }
        changed.options.check()?;
        *settings = changed;
        Ok(())
    }

    /// Its value as text.
    pub(crate) fn value(self, settings: &AuditSettings) -> String {
        let keep = settings.options.keep;
        match self {
            Self::Detail if !settings.on => "off".to_owned(),
            Self::Detail => match settings.options.detail {
                Detail::Security => "security".to_owned(),
                Detail::Full => "full".to_owned(),
            },
            Self::KeepMs => keep.ms.unwrap_or(0).to_string(),
            Self::KeepEvents => keep.events.unwrap_or(0).to_string(),
        }
    }
}

fn detail(text: &str) -> Result<(bool, Detail), ValueError> {
    match text {
        "off" => Ok((false, Detail::Security)),
        "security" => Ok((true, Detail::Security)),
        "full" => Ok((true, Detail::Full)),
        _ => Err(ValueError::Word("`off`, `security`, `full`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &AuditSettings) -> [String; 3] {
        AuditSetting::ALL.map(|setting| setting.value(settings))
    }

    #[test]
    fn what_is_set_is_shown_and_is_what_the_engine_takes() {
        let mut settings = AuditSettings::default();
        assert_eq!(shown(&settings), ["security", "34560000000", "10000000"]);
        for (setting, text) in AuditSetting::ALL.into_iter().zip(["full", "0", "5"]) {
            let set = setting.set(&mut settings, text);
            set.expect("a value that it can have");
        }
        assert_eq!(shown(&settings), ["full", "0", "5"]);
        let options = settings.options().expect("it is on");
        assert_eq!(options.detail, Detail::Full);
        assert_eq!((options.keep.ms, options.keep.events), (None, Some(5)));
        AuditSetting::Detail
            .set(&mut settings, "off")
            .expect("a word");
        assert_eq!(settings.options(), None);
    }

    #[test]
    fn what_is_no_value_is_refused_and_changes_nothing() {
        let mut settings = AuditSettings::default();
        for (setting, text) in [
            (AuditSetting::Detail, "some"),
            (AuditSetting::KeepMs, "-1"),
            (AuditSetting::KeepMs, "999999999999999"),
        ] {
            let refused = setting.set(&mut settings, text);
            assert!(refused.is_err(), "{} = {text}", setting.name());
        }
        assert_eq!(shown(&settings), shown(&AuditSettings::default()));
    }
}
