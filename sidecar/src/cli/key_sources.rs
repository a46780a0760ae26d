//! `sekisho keys sources`.

use sekisho_protocol::keyset::Jwk;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::service::keysets::Keysets;
use crate::service::keysets::overview::Overview;

pub(super) async fn run(keysets: &Keysets, output: &Output) -> Result<(), Exit> {
    let sources = keysets.overview().await?;
    output.result(|| text(&sources), || json!({"count": sources.len(), "sources": sources_json(&sources)}));
    Ok(())
}

fn text(sources: &[Overview]) -> String {
    sources.iter().map(source_text).collect::<Vec<_>>().join("\n")
}

/// One line for the source, and one for each of its keys. Names come from outside: nothing in them may act on a
/// terminal.
fn source_text(source: &Overview) -> String {
    let record = &source.record;
    let place = source.place.as_ref().map_or_else(String::new, |place| format!("  {}", place.escape_debug()));
    let age = source.age.map_or_else(String::new, |age| format!(", fetched {} s ago", age.as_secs()));
    let left_out = match record.origin.left_out {
        0 => String::new(),
        some => format!(", {some} more of no use"),
    };
    let (name, standing, count) = (&source.source, source.standing_word(), record.keys.len());
    let mut lines =
        vec![format!("{name}{place}  {standing}, revision {}, {count} keys{left_out}{age}", record.revision)];
    lines.extend(record.origin.failure.iter().map(|failure| format!("  failing: {}", failure.escape_debug())));
    lines.extend(record.keys.iter().map(key_text));
    lines.join("\n")
}

fn key_text(key: &Jwk) -> String {
    let or_dash = |text: &Option<String>| text.as_deref().unwrap_or("-").escape_debug().to_string();
    let kind = key.crv.as_ref().unwrap_or(&key.kty).escape_debug();
    format!("  {}  {kind}  {}", or_dash(&key.kid), or_dash(&key.alg))
}

/// As the HTTP API shows it.
fn sources_json(sources: &[Overview]) -> Value {
    let key = |key: &Jwk| json!({"kid": key.kid, "kty": key.kty, "crv": key.crv, "alg": key.alg});
    let source = |source: &Overview| {
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
    };
    sources.iter().map(source).collect()
}
