//! `farebox events show`: an event, what was done with it, and how it stands.

use serde_json::Value;

use crate::output::{field, list, table};
use crate::wallet::correct::charged;

/// The event as people read it.
pub(super) fn shown(event: &Value) -> String {
    let mut text = format!(
        "{} of {}, from {}, received {}\n{}",
        field(event, "/id"),
        field(event, "/customer"),
        field(event, "/source"),
        field(event, "/received_at"),
        content(event)
    );
    let rows = list(event, "/records").iter().map(|record| {
        let why = ["/reason", "/detail"].map(|path| field(record, path));
        let why = why.into_iter().find(|text| text != "-").unwrap_or_default();
        let done = match record.get("event") {
            Some(other) => format!("{} of {}", field(record, "/kind"), field(other, "/id")),
            None => field(record, "/kind"),
        };
        vec![field(record, "/at"), done, field(record, "/answer"), why]
    });
    text = format!("{text}\n\n{}", table(&["at", "done", "answer", "why"], &[], rows));
    let Some(standing) = event.get("standing") else {
        return format!("{text}\n\nNothing is charged for it.");
    };
    text = format!("{text}\n\nIt stands {}", field(standing, "/status"));
    let same = ["/type", "/measures", "/attributes"];
    if same
        .iter()
        .any(|path| standing.pointer(path) != event.pointer(path))
    {
        text = format!("{text}, as\n{}", content(standing));
    }
    let charges = list(standing, "/charges");
    if !charges.is_empty() {
        text = format!("{text}\n\n{}", charged(charges));
    }
    let taken = list(standing, "/taken");
    if !taken.is_empty() {
        let columns = ["taken for", "amount", "asset", "from"];
        text = format!("{text}\n\n{}", table(&columns, &[1], taken.iter().map(part)));
    }
    let given = [
        ("/given_back", ["given back of", "amount", "asset", "to", "by"]),
        ("/gave_back", ["gave back of", "amount", "asset", "to", "event"]),
    ];
    for (path, columns) in given {
        let parts = list(standing, path);
        if !parts.is_empty() {
            let rows = parts.iter().map(|given| {
                let mut row = part(given);
                row.push(field(given, "/event/id"));
                row
            });
            text = format!("{text}\n\n{}", table(&columns, &[1], rows));
        }
    }
    text
}

/// Part of a charge, and where it was taken from.
fn part(part: &Value) -> Vec<String> {
    let from = match part.get("grant") {
        Some(_) => format!("grant {}", field(part, "/grant")),
        None => field(part, "/from"),
    };
    vec![
        field(part, "/code"),
        field(part, "/amount"),
        field(part, "/asset"),
        from,
    ]
}

/// What kind of usage, how much, what for: on one line.
pub(super) fn content(event: &Value) -> String {
    let pairs = ["/measures", "/attributes"].map(|path| {
        let members = event
            .pointer(path)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        members
            .map(|(name, value)| format!(" {name}={}", field(value, "")))
            .collect::<String>()
    });
    format!("{}{}", field(event, "/type"), pairs.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_shown_with_its_records_and_as_it_stands() {
        let event = json!({
            "id": "call-1", "source": "api", "customer": "acme", "type": "llm.call",
            "received_at": "2026-11-23T09:30:00Z",
            "measures": {"input_tokens": "1000000"}, "attributes": {"model": "one"},
            "records": [
                {"sequence": 4, "at": "2026-11-23T09:30:00Z", "kind": "usage", "answer": "charged"},
                {"sequence": 5, "at": "2026-11-23T09:31:00Z", "kind": "refund", "answer": "corrected",
                    "reason": "cut short"},
            ],
            "standing": {"status": "charged", "type": "llm.call", "measures": {"input_tokens": "300000"},
                "attributes": {"model": "one"},
                "charges": [{"code": "input-tokens", "asset": "usd", "amount": "0.3", "quantity": "300000"}],
                "taken": [{"code": "input-tokens", "asset": "usd", "amount": "0.1", "from": "grant", "grant": "topup-1"},
                    {"code": "input-tokens", "asset": "usd", "amount": "0.1", "from": "debt"}]},
        });
        insta::assert_snapshot!(shown(&event));
    }

    #[test]
    fn an_event_is_shown_with_what_others_gave_back_of_it() {
        let event = json!({
            "id": "solved-1", "source": "api", "customer": "acme", "type": "ticket.resolved",
            "received_at": "2026-11-23T09:30:00Z", "measures": {}, "attributes": {},
            "records": [
                {"sequence": 4, "at": "2026-11-23T09:30:00Z", "kind": "usage", "answer": "charged"},
                {"sequence": 5, "at": "2026-11-23T09:31:00Z", "kind": "usage", "answer": "charged",
                    "event": {"source": "api", "id": "opened-1"}},
            ],
            "standing": {"status": "charged", "type": "ticket.resolved", "measures": {}, "attributes": {},
                "charges": [{"code": "resolution", "asset": "usd", "amount": "0.99", "quantity": "1"}],
                "taken": [],
                "given_back": [{"event": {"source": "api", "id": "opened-1"}, "code": "resolution", "asset": "usd",
                    "amount": "0.99", "from": "grant", "grant": "topup-1"}],
                "gave_back": [{"event": {"source": "api", "id": "solved-0"}, "code": "resolution", "asset": "usd",
                    "amount": "0.5", "from": "debt"}]},
        });
        insta::assert_snapshot!(shown(&event));
    }
}
