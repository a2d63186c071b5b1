//! The settings of upkeep: how often, and how much at a time.

use std::str::FromStr;

use windlass::maintenance::MaintenanceOptions;

use super::setting::ValueError;

/// A setting of upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MaintenanceSetting {
    RoundMs,
    StepEntries,
    StepMs,
    LeaseMs,
    OnStart,
}

impl MaintenanceSetting {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::RoundMs,
        Self::StepEntries,
        Self::StepMs,
        Self::LeaseMs,
        Self::OnStart,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundMs => "maintenance.round_ms",
            Self::StepEntries => "maintenance.step_entries",
            Self::StepMs => "maintenance.step_ms",
            Self::LeaseMs => "maintenance.lease_ms",
            Self::OnStart => "maintenance.on_start",
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        !matches!(self, Self::OnStart)
    }

    /// Sets it, unless that is refused.
    pub(crate) fn set(
        self,
        options: &mut MaintenanceOptions,
        text: &str,
    ) -> Result<(), ValueError> {
        let mut changed = options.clone();
        match self {
            Self::RoundMs => changed.round_ms = u64::from_str(text)?,
            Self::StepEntries => changed.step_entries = u64::from_str(text)?,
            Self::StepMs => changed.step_ms = u64::from_str(text)?,
            Self::LeaseMs => changed.lease_ms = u64::from_str(text)?,
            Self::OnStart => changed.on_start = is_yes(text)?,
        }
        changed.check()?;
        *options = changed;
        Ok(())
    }

    /// Its value as text.
    pub(crate) fn value(self, options: &MaintenanceOptions) -> String {
        match self {
            Self::RoundMs => options.round_ms.to_string(),
            Self::StepEntries => options.step_entries.to_string(),
            Self::StepMs => options.step_ms.to_string(),
            Self::LeaseMs => options.lease_ms.to_string(),
            Self::OnStart => yes_or_no(options.on_start).to_owned(),
        }
    }
}

/// A choice in words.
pub(super) fn is_yes(text: &str) -> Result<bool, ValueError> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(ValueError::Word("`yes`, `no`")),
    }
}

/// The choice as it is spelled.
pub(super) const fn yes_or_no(choice: bool) -> &'static str {
    match choice {
        true => "yes",
        false => "no",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(options: &MaintenanceOptions) -> [String; 5] {
        MaintenanceSetting::ALL.map(|setting| setting.value(options))
    }

    #[test]
    fn what_is_set_is_shown_and_is_what_the_engine_takes() {
        let mut options = MaintenanceOptions::default();
        assert_eq!(shown(&options), ["30000", "1000", "20", "30000", "no"]);
        let texts = ["60000", "50", "5", "10000", "yes"];
        for (setting, text) in MaintenanceSetting::ALL.into_iter().zip(texts) {
            let set = setting.set(&mut options, text);
            set.expect("a value that it can have");
        }
        assert_eq!(shown(&options), texts);
        assert!(options.on_start && options.step_ms == 5);
    }

    #[test]
    fn what_is_no_value_is_refused_and_changes_nothing() {
        let mut options = MaintenanceOptions::default();
        for (setting, text) in [
            (MaintenanceSetting::RoundMs, "0"),
            (MaintenanceSetting::StepMs, "0"),
            (MaintenanceSetting::StepEntries, "-1"),
            (MaintenanceSetting::LeaseMs, "10"),
            (MaintenanceSetting::OnStart, "true"),
        ] {
            let refused = setting.set(&mut options, text);
            assert!(refused.is_err(), "{} = {text}", setting.name());
        }
        assert_eq!(options, MaintenanceOptions::default());
    }
}
