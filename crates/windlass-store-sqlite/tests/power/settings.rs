//! How long the loops of these tests are.

/// The number in an environment variable, or `default` where there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says how long the loops are"
)]
pub(crate) fn count(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("`{variable}` is no number: {text}")),
        Err(_) => default,
    }
}
