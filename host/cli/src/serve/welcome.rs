//! What a person sees when the server is up, and what the first of them can do next.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::first_key::FirstKey;

/// The lines for a person, who called the program as `program`. The key appears here and nowhere else.
pub fn text(program: &str, address: SocketAddr, data: &Path, first: Option<&FirstKey>) -> String {
    let mut text = format!("Farebox listens on http://{address}, data in {}", data.display());
    if let Some(first) = first {
        text.push_str("\n\n");
        text.push_str(&next_steps(program, address, first));
    }
    text
}

/// One line for a program.
pub fn json(address: SocketAddr, data: &Path, first: Option<&FirstKey>) -> Value {
    json!({
        "event": "listening",
        "address": address.to_string(),
        "url": format!("http://{address}"),
        "data": data,
        "tenant": first.map(|first| first.tenant.to_string()),
        "admin_key": first.map(|first| first.key.clone()),
    })
}

fn next_steps(program: &str, address: SocketAddr, first: &FirstKey) -> String {
    let FirstKey { tenant, key } = first;
    format!(
        r#"This is the first start. The operator's key, for tenant `{tenant}` and for making others, shown now and never again:

    {key}

Next, in another terminal:

    export FAREBOX_KEY={key} FAREBOX_SERVER=http://{address}

  1. a customer
    curl -X PUT $FAREBOX_SERVER/v1/customers/acme -H "Authorization: Bearer $FAREBOX_KEY" \
      -H 'Content-Type: application/json' -d '{{"name": "Acme"}}'

  2. a plan, put in force, and the customer on it
    {program} plan new tokens --standard per-token
    {program} plan push tokens --activate
    curl $FAREBOX_SERVER/v1/subscriptions -H "Authorization: Bearer $FAREBOX_KEY" \
      -H 'Content-Type: application/json' -d '{{"id": "sub-1", "customer": "acme", "plan": "tokens"}}'

  3. value for its wallet
    {program} wallet grant acme usd 20

  4. ask before a call is made; settle it when it is done
    curl $FAREBOX_SERVER/v1/authorize -H "Authorization: Bearer $FAREBOX_KEY" \
      -H 'Content-Type: application/json' -d '{{"id": "call-1", "customer": "acme", "event": {{
        "type": "llm.call", "attributes": {{"model": "gpt-5.5"}},
        "measures": {{"input_tokens": 1200, "output_tokens": 800}}}}}}'

The API is documented at http://{address}/docs"#
    )
}

#[cfg(test)]
mod tests {
    use farebox_record::ids::TenantId;

    use super::*;

    fn first() -> FirstKey {
        FirstKey {
            tenant: TenantId::new("default").unwrap(),
            key: "fbx_secret".to_string(),
        }
    }

    #[test]
    fn the_first_start_says_what_to_do_next() {
        let address = "127.0.0.1:8080".parse().unwrap();
        insta::assert_snapshot!(text(
            "farebox",
            address,
            Path::new("./farebox-data"),
            Some(&first())
        ));
    }

    #[test]
    fn later_starts_show_no_key() {
        let address = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(
            text("farebox", address, Path::new("./farebox-data"), None),
            "Farebox listens on http://127.0.0.1:8080, data in ./farebox-data"
        );
        assert_eq!(json(address, Path::new("d"), None)["admin_key"], Value::Null);
    }
}
