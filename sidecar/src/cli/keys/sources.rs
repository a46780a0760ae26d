//! The identity providers in `sekisho keys list`.

use sekisho_protocol::keyset::Jwk;
use serde_json::{Value, json};

use crate::cli::shown::safe;
use crate::service::keysets::overview::Overview;

/// One line for the provider, and one for each of its keys. Names come from outside: nothing in them may act on a
/// terminal.
pub(super) fn text(source: &Overview) -> String {
    let record = &source.record;
    let place = safe(&source.place);
    let age = source.age.map_or_else(String::new, |age| format!(", fetched {} s ago", age.as_secs()));
    let left_out = match record.origin.left_out {
        0 => String::new(),
        some => format!(", {some} more of no use"),
    };
    let (name, standing, count) = (&source.source, source.standing_word(), record.keys.len());
    let mut lines =
        vec![format!("{name}  {place}  {standing}, revision {}, {count} keys{left_out}{age}", record.revision)];
    lines.extend(record.origin.failure.iter().map(|failure| format!("  failing: {}", safe(failure))));
    lines.extend(record.keys.iter().map(key_text));
    lines.join("\n")
}

fn key_text(key: &Jwk) -> String {
    let or_dash = |text: &Option<String>| safe(text.as_deref().unwrap_or("-"));
    let kind = safe(key.crv.as_ref().unwrap_or(&key.kty));
    format!("  {}  {kind}  {}", or_dash(&key.kid), or_dash(&key.alg))
}

/// As the HTTP API shows it.
pub(super) fn json(source: &Overview) -> Value {
    let key = |key: &Jwk| json!({"kid": key.kid, "kty": key.kty, "crv": key.crv, "alg": key.alg});
    let record = &source.record;
    json!({
        "source": source.source,
        "place": source.place,
        "standing": source.standing_word(),
        "revision": record.revision,
        "age_s": source.age.map(|age| age.as_secs()),
        "failure": record.origin.failure,
        "keys": record.keys.iter().map(key).collect::<Vec<_>>(),
        "left_out": record.origin.left_out,
    })
}
