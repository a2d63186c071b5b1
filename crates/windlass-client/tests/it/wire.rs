//! How the wire types are spelled: as the engine spells its own, and strictly
//! where a caller could be misunderstood.

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_client::access::{ApiKey, CreateKey, SetQuota, Tenant};
use windlass_client::problem::Problem;
use windlass_client::queue::{Claim, Overview};
use windlass_client::session::{
    CreateSession, Delegate, Event, Receipt, Session, Settle, TopUp, TreePage, UseTools,
};
use windlass_client::stash::{Answers, Entry, Increment, KeyPage, PutEntry, Steps, Usage};
use windlass_client::state::{
    AttachmentPage, CommitState, Committed, Head, LogPage, Manifest, Node,
};
use windlass_client::store::{BackupStatus, Health, Maintained};

/// `text` is exactly how what it says is written.
fn exactly<T: Serialize + DeserializeOwned>(text: &str) {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let written = serde_json::to_string(&read).expect("wire types are JSON");
    assert_eq!(written, text);
}

const SESSION: &str = concat!(
    r#"{"id":"s1","revision":4,"tenant":"acme","principal":"runtime","agent":"researcher","parent":"s0","above":["s0"],"#,
    r#""shared":true,"chain":["planner"],"intent":"compare","tools":{"only":["search","read_*"]},"credentials":"all","#,
    r#""ceiling":"internal","rate":{"limit":5,"window_ms":60000,"kind":"fixed"},"created_at":1,"expires_at":3600001,"#,
    r#""status":"closed","ended_at":9,"ended_through":"s0","budget":{"calls":{"limit":10,"used":2,"lent":3},"#,
    r#""tokens":{"limit":null,"used":0},"cost_micros":{"limit":7,"used":9}},"calls_made":2,"reservations_open":1,"#,
    r#""changed_at":9,"clamped":["budget.calls"]}"#,
);

#[test]
fn answers_are_written_as_the_engine_writes_them() {
    exactly::<Session>(SESSION);
    exactly::<TreePage>(&format!(
        r#"{{"nodes":[{{"depth":1,"session":{SESSION}}}],"next_cursor":null,"unreadable":[{{"id":"s9","why":"torn"}}]}}"#
    ));
    exactly::<Receipt>(
        r#"{"first_call":1,"last_call":2,"left":{"calls":8,"tokens":null,"cost_micros":5,"time_ms":1},"low":true}"#,
    );
    for event in [
        r#"{"number":1,"at":5,"kind":"use","call":1,"tool":"search","operation":"runtime/op-1"}"#,
        r#"{"number":1,"at":5,"kind":"use","call":1,"tool":"search","credentials":["k"],"sensitivity":"restricted","charge":{"tokens":1,"cost_micros":0},"reserved":true}"#,
        r#"{"number":2,"at":5,"kind":"settle","call":1,"charge":{"tokens":1,"cost_micros":2}}"#,
        r#"{"number":3,"at":5,"kind":"refund","call":1}"#,
        r#"{"number":4,"at":5,"kind":"lapse","call":1}"#,
        r#"{"number":5,"at":5,"kind":"top_up","calls":1,"tokens":0,"cost_micros":0}"#,
        r#"{"number":6,"at":5,"kind":"close"}"#,
        r#"{"number":7,"at":5,"kind":"delegate","session":"s2","calls":1,"tokens":4,"shared":true}"#,
    ] {
        exactly::<Event>(event);
    }
    exactly::<Usage>(
        r#"{"live":{"keys":1,"value_bytes":2,"charged_bytes":388},"expired":{"keys":0,"value_bytes":0,"charged_bytes":0}}"#,
    );
    exactly::<KeyPage>(
        r#"{"keys":[{"key":"k","group":null,"size":4,"created":1,"updated":2,"expires":3,"version":4}],"next_cursor":"x"}"#,
    );
    exactly::<Health>(
        r#"{"database":"SQLite 3","survives_power_loss":true,"settled":true,"wal_bytes":0,"oldest_reader_ms":null}"#,
    );
    exactly::<BackupStatus>(concat!(
        r#"{"last":{"name":"20231114T221320Z-00000000","begun_at":1,"took_ms":2,"entries":3,"bytes":4,"file_bytes":5,"#,
        r#""verified":true},"failed":{"at":6,"code":"backup_unwritable"}}"#,
    ));
    exactly::<Maintained>(concat!(
        r#"{"sessions":{"scanned":1,"expired":1,"closed":0,"removed":0,"operations_removed":0,"truncated":false,"unreadable":[]},"#,
        r#""stashes":{"scanned":1,"removed":1,"bytes":2,"pieces_removed":0,"operations_removed":0,"truncated":false,"#,
        r#""unreadable":[{"tenant":"t","session":"s","why":"torn"}]},"#,
        r#""checkpoints":{"scanned":1,"packed":2,"dropped":3,"turns_removed":4,"truncated":true,"#,
        r#""unreadable":[{"session":"s","why":"torn"}]},"#,
        r#""attachments":{"scanned":1,"removed":2,"bytes":3,"truncated":false,"unreadable":[["due/1","torn"]]},"#,
        r#""garbage":{"lineages":1,"collected":{"roots":1,"scanned":2,"kept":3,"deleted":4,"bytes":5,"elapsed_ms":6,"#,
        r#""truncated":true,"reasons":[{"reason":"unreadable","what":"blob","why":"torn"},{"reason":"another_run"},"#,
        r#"{"reason":"too_much"},{"reason":"limit"}]}},"queue":{"scanned":1,"operations_removed":2,"sources_removed":3,"#,
        r#""queues_removed":4,"leases_removed":5,"truncated":false,"unreadable":[{"id":"s","why":"torn"}]},"#,
        r#""streams":{"scanned":1,"cursors_removed":2,"streams_removed":3,"operations_removed":4,"truncated":false,"unreadable":[["due/1","torn"]]},"#,
        r#""audit":{"trimmed":5,"truncated":true,"unreadable":[]}}"#,
    ));
    exactly::<ApiKey>(concat!(
        r#"{"id":"0123456789abcdef","label":"ci","scope":"tenant","tenant":"acme","principal":"runtime","reach":"own","#,
        r#""groups":{"only":["g"]},"verbs":["session.*"],"created_at":1,"expires_at":null,"revoked_at":null,"#,
        r#""rotated_at":null,"overlap_until":null}"#,
    ));
    exactly::<Tenant>(
        r#"{"tenant":"acme","status":"active","quota":{"sessions":5},"keys":2,"usage":{"sessions":1,"stash_bytes":0}}"#,
    );
    exactly::<Problem>(
        r#"{"type":"x#busy","title":"-","status":503,"code":"busy","detail":"-","outcome":"unknown","limit":3}"#,
    );
}

#[test]
fn answers_about_states_and_queues_are_written_as_the_engine_writes_them() {
    exactly::<Claim>(concat!(
        r#"{"session":"s","token":7,"owner":"w","until":9,"ttl_ms":5,"work":[{"id":"i","payloads":[{"kind":"a","json":null},"#,
        r#"{"kind":"b","bytes":"aGk="}],"delivery":"after_turn","slot":"join","priority":4,"attempt":1,"attempts_max":5,"#,
        r#""enqueued_at":1,"reason":"torn"}]}"#,
    ));
    exactly::<Overview>(concat!(
        r#"{"sessions":[{"session":"s","pending":1,"claimed":2,"dead":3,"oldest":null}],"next_cursor":null,"#,
        r#""unreadable":[]}"#,
    ));
    exactly::<Head>(concat!(
        r#"{"revision":2,"commit":"c","at":1,"manifest":"m","leaf":null,"nodes":0,"usage":{"tokens":3},"#,
        r#""lineage":"l","base":{"session":"s","revision":1}}"#,
    ));
    exactly::<Committed>(r#"{"revision":1,"commit":"c","manifest":"m","leaf":4,"nodes":4}"#);
    exactly::<LogPage>(concat!(
        r#"{"commits":[{"revision":2,"commit":"c","at":1,"principal":"p","turn":null,"manifest":"m","leaf":1,"nodes":1,"#,
        r#""usage":{},"note":"n","origin":{"fork":{"session":"s","revision":2}},"put":["a"],"removed":["b"],"#,
        r#""attachments":[]}],"before":2}"#,
    ));
    exactly::<AttachmentPage>(concat!(
        r#"{"attachments":[{"id":"a","kind":null,"name":"n","created":1,"touched":2,"size":3,"whole":null,"#,
        r#""revision":4}],"after":"a"}"#,
    ));
    exactly::<Manifest>(
        r#"{"v":1,"parts":{"p":{"blob":"b","size":3,"form":"bytes","kind":"k","number":-1,"compressible":false}}}"#,
    );
    for node in [
        r#"{"number":1,"parent":null,"revision":1,"kind":"m","json":null}"#,
        r#"{"number":2,"parent":1,"revision":1,"kind":"m","json":{ "b":1.50,  "a":[] }}"#,
        r#"{"number":3,"parent":1,"revision":1,"kind":"m","bytes":"AP8Q"}"#,
        r#"{"number":4,"parent":1,"revision":1,"kind":"m"}"#,
    ] {
        exactly::<Node>(node);
    }
}

#[test]
fn values_of_a_stash_are_passed_on_digit_by_digit() {
    for value in [
        "1.50",
        "1e400",
        "12345678901234567890123",
        r#"{"b":1,"a":[ ]}"#,
        r#""\u0041""#,
        "null",
    ] {
        exactly::<Entry>(&format!(
            r#"{{"key":"k","value":{value},"ttl_left_ms":9,"group":"g","size":4,"created":1,"updated":2,"expires":3,"version":4}}"#
        ));
        exactly::<PutEntry>(&format!(r#"{{"value":{value},"ttl_ms":5}}"#));
        exactly::<Steps>(&format!(
            r#"{{"operations":[{{"put":{{"key":"k","value":{value},"condition":{{"version":3}}}}}},{{"get":{{"key":"k"}}}},{{"delete":{{"key":"k"}}}},{{"touch":{{"key":"k","ttl_ms":1}}}},{{"increment":{{"key":"n","by":-1}}}}]}}"#
        ));
    }
    exactly::<Answers>(
        r#"{"answers":[{"entry":null},{"deleted":true},{"touched":null},{"number":{"value":-1,"metadata":{"group":null,"size":2,"created":1,"updated":2,"expires":3,"version":4}}}]}"#,
    );
}

#[test]
fn requests_say_no_more_than_was_said() {
    exactly::<CreateSession>(r#"{"agent":"a","intent":"b"}"#);
    exactly::<CreateSession>(concat!(
        r#"{"id":"s","agent":"a","intent":"b","tools":"all","credentials":{"only":[]},"ceiling":"restricted","#,
        r#""time_limit_ms":1000,"budget":{"calls":1,"tokens":2,"cost_micros":3},"#,
        r#""rate":{"limit":0,"window_ms":10000,"kind":"sliding"},"chain":["x"],"cap":2}"#,
    ));
    exactly::<UseTools>(r#"{"agent":"a","items":[{"tool":"t"}]}"#);
    exactly::<UseTools>(
        r#"{"agent":"a","items":[{"tool":"t","credentials":["c"],"sensitivity":"public","charge":{"tokens":1,"cost_micros":0},"reserve":true}]}"#,
    );
    exactly::<Settle>(r#"{"agent":"a","outcome":"refund"}"#);
    exactly::<Settle>(r#"{"agent":"a","outcome":{"cost":{"tokens":1,"cost_micros":2}}}"#);
    exactly::<Delegate>(
        r#"{"by":"a","child":{"agent":"b","intent":"c"},"funding":"shared","ends_with_parent":true}"#,
    );
    exactly::<CreateKey>(r#"{"label":"l","principal":"p","verbs":["*"]}"#);
}

#[test]
fn a_request_with_a_field_that_is_not_known_is_refused() {
    fn refused<T: DeserializeOwned + std::fmt::Debug>(text: &str) {
        let refused = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(refused.contains("unknown field"), "{text}: {refused}");
    }
    refused::<CreateSession>(r#"{"agent":"a","intent":"b","tool":["all"]}"#);
    refused::<CreateSession>(r#"{"agent":"a","intent":"b","budget":{"call":1}}"#);
    refused::<CreateSession>(r#"{"agent":"a","intent":"b","rate":{"limit":1,"window":1}}"#);
    refused::<UseTools>(r#"{"agent":"a","items":[{"tool":"t","charge":{"token":1}}]}"#);
    refused::<Settle>(r#"{"agent":"a","outcome":"refund","cost":1}"#);
    refused::<TopUp>(r#"{"call":1}"#);
    refused::<PutEntry>(r#"{"value":1,"ttl":1}"#);
    refused::<Increment>(r#"{"by":1,"ttl":1}"#);
    refused::<Steps>(r#"{"operations":[{"put":{"key":"k","value":1,"if":"absent"}}]}"#);
    refused::<SetQuota>(r#"{"session":1}"#);
    refused::<CreateKey>(r#"{"label":"l","principal":"p","verbs":[],"admin":true}"#);
}

#[test]
fn a_commit_is_written_as_it_was_read_and_refuses_what_it_does_not_know() {
    exactly::<CommitState>(concat!(
        r#"{"expected":0,"parts":{"gone":null,"null":{"json":null},"p":{"json":{ "b":1.50 },"kind":"k"},"#,
        r#""q":{"bytes":"aGk=","large":true},"r":{"blob":"b","form":"bytes","number":7}},"replace_nodes":true,"#,
        r#""tombstones":[1],"nodes":[{"kind":"m","json":null},{"kind":"m","parent":"root","bytes":""},"#,
        r#"{"kind":"m","parent":{"node":3},"json":1},{"kind":"m","parent":{"new":0},"json":1}],"leaf":4,"#,
        r#""usage":{"calls":1},"attachments":["a"],"note":"n"}"#,
    ));
    exactly::<CommitState>("{}");
    for text in [
        r#"{"part":{}}"#,
        r#"{"parts":{"p":{"text":"x"}}}"#,
        r#"{"parts":{"p":{"bytes":"aGk"}}}"#,
        r#"{"nodes":[{"json":1}]}"#,
        r#"{"usage":{"call":1}}"#,
    ] {
        let refused = serde_json::from_str::<CommitState>(text);
        let refused = refused.expect_err("no commit").to_string();
        assert!(!refused.contains("aGk"), "{refused}");
    }
}
