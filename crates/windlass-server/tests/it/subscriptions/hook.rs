//! A webhook that keeps what it gets, and answers what it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// One call.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) signature: String,
    pub(super) bytes: Bytes,
}

impl Called {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }
}

/// What the next calls are answered: the last answer goes on for ever.
type Answers = Arc<Mutex<Vec<(u16, String)>>>;

pub(super) struct Hook {
    pub(super) url: String,
    calls: mpsc::UnboundedReceiver<Called>,
    task: JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hook {
    pub(super) async fn answering(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (told, calls) = mpsc::unbounded_channel();
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()));
        let answers: Answers = Arc::new(Mutex::new(answers.collect()));
        let answer = move |headers: HeaderMap, bytes: Bytes| {
            let signature = headers.get("webhook-signature");
            let signature = signature
                .and_then(|it| it.to_str().ok())
                .unwrap_or_default();
            // Nobody may be left who wants to know.
            let _ = told.send(Called {
                signature: signature.to_owned(),
                bytes,
            });
            let answer = next(&answers);
            async move { answer }
        };
        let routes = Router::new().fallback(post(answer));
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("served");
        });
        Self {
            url: format!("http://{address}/hook"),
            calls,
            task,
        }
    }

    pub(super) async fn next(&mut self) -> Called {
        self.calls.recv().await.expect("a call")
    }

    /// Calls that came and that nobody has looked at.
    pub(super) fn left(&mut self) -> usize {
        let mut left = 0;
        while self.calls.try_recv().is_ok() {
            left += 1;
        }
        left
    }
}

fn next(answers: &Answers) -> Response {
    let mut answers = answers.lock().expect("no test panics here");
    let (status, body) = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.remove(0),
    };
    let status = StatusCode::from_u16(status).expect("a status");
    if status.is_redirection() {
        return (status, [(header::LOCATION, body)]).into_response();
    }
    (status, body).into_response()
}
