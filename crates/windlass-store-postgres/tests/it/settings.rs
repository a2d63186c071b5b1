//! How long the loops are: a small number each, unless the environment says
//! otherwise.

/// A number that a longer run sets in the environment.
pub(crate) fn setting(name: &str, otherwise: usize) -> usize {
    variable(name).map_or(otherwise, |text| {
        text.parse().expect("the variable holds a number")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the gates say how long a loop is, and a parent its child's role"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
