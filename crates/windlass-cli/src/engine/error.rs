//! What a server said, as the command says it.

use serde_json::Value;
use windlass::core::{Coded, ErrorKind};
use windlass_client::{BrokenAnswer, ClientError};

use crate::failure::Failure;

/// A call to a server that failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ServerError(ClientError);

impl ServerError {
    /// The figures that the server gave.
    pub(crate) fn figures(&self) -> Value {
        let figures = self.0.problem().map(|problem| &problem.figures);
        match figures.filter(|figures| !figures.is_empty()) {
            Some(figures) => figures.clone().into_iter().collect(),
            None => Value::Null,
        }
    }
}

impl Coded for ServerError {
    /// The server's own code. A command fails once, so what is kept for ever
    /// is one word.
    fn code(&self) -> &'static str {
        self.0.code().to_owned().leak()
    }

    fn kind(&self) -> ErrorKind {
        kind_of(&self.0)
    }
}

/// The kind that the same failure has in this process, so that a script that
/// reads exit codes need not know where the store is.
fn kind_of(error: &ClientError) -> ErrorKind {
    let Some(problem) = error.problem() else {
        return match error {
            ClientError::Read(failure) => match failure.code.as_str() {
                "cancelled" => ErrorKind::Conflict,
                "expired" | "lease_revoked" => ErrorKind::Refused,
                _ => ErrorKind::Unavailable,
            },
            ClientError::Protocol {
                why: BrokenAnswer::Digest { .. },
                ..
            } => ErrorKind::Corrupt,
            ClientError::Protocol { .. } | ClientError::Random(_) => ErrorKind::Environment,
            ClientError::Invalid { .. } => ErrorKind::Invalid,
            _ if error.is_outcome_unknown() => ErrorKind::Indeterminate,
            _ => ErrorKind::Unavailable,
        };
    };
    match (problem.status, problem.code.as_str()) {
        (404, _) => ErrorKind::NotFound,
        (410, "cancelled") => ErrorKind::Conflict,
        (409 | 412 | 422, _) => ErrorKind::Conflict,
        (401 | 403 | 410 | 429, _) => ErrorKind::Refused,
        (400..=407 | 411 | 413..=499, _) => ErrorKind::Invalid,
        (500, "corrupt" | "corrupt_record" | "store_corrupt") => ErrorKind::Corrupt,
        (503, "environment" | "store_environment" | "no_randomness") => ErrorKind::Environment,
        (408 | 502..=504, _) if error.is_outcome_unknown() => ErrorKind::Indeterminate,
        (408 | 502..=504, _) => ErrorKind::Unavailable,
        // What a server cannot say is in its log, for whoever runs it.
        _ => ErrorKind::Environment,
    }
}

/// Waits for an answer of a server.
pub(super) async fn ask<T>(
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, Failure> {
    Ok(call.await.map_err(ServerError)?)
}

#[cfg(test)]
mod tests {
    use windlass_client::problem::{Outcome, Problem};

    use super::*;
    use crate::failure::Exit;

    fn exit(status: u16, code: &str, outcome: Option<Outcome>) -> Exit {
        let said = format!(r#"{{"status":{status},"code":"{code}"}}"#);
        let mut problem: Problem = serde_json::from_str(&said).unwrap();
        problem.outcome = outcome;
        let error = ServerError(ClientError::Problem(Box::new(problem)));
        assert_eq!(error.code(), code);
        Failure::from(error).exit()
    }

    #[test]
    fn a_refusal_ends_the_command_as_it_would_without_a_server() {
        let table = [
            (400, "invalid_request", Exit::Invalid),
            (401, "unauthenticated", Exit::Refused),
            (403, "budget_exceeded", Exit::Refused),
            (404, "not_found", Exit::NotFound),
            (405, "method_not_allowed", Exit::Invalid),
            (408, "request_timeout", Exit::Unavailable),
            (409, "already_closed", Exit::Conflict),
            (410, "expired", Exit::Refused),
            (410, "cancelled", Exit::Conflict),
            (412, "version_mismatch", Exit::Conflict),
            (413, "value_too_large", Exit::Invalid),
            (422, "operation_conflict", Exit::Conflict),
            (429, "rate_limited", Exit::Refused),
            (431, "head_too_large", Exit::Invalid),
            (500, "corrupt_record", Exit::Corrupt),
            (500, "internal", Exit::Environment),
            (503, "busy", Exit::Unavailable),
            (503, "environment", Exit::Environment),
        ];
        for (status, code, expected) in table {
            assert_eq!(exit(status, code, None), expected, "{code}");
        }
        let unknown = exit(503, "indeterminate", Some(Outcome::Unknown));
        assert_eq!(unknown, Exit::Unavailable);
    }
}
