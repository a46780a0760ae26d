//! What a rotation of the encryption keys came to.

use serde_json::json;

use crate::cli::output::Output;
use crate::service::encryption::Rotation;

/// Prints what was done, what no key here opens, and which keys nothing needs any more.
pub(super) fn show(rotation: &Rotation, output: &Output) {
    output.result(|| text(rotation), || json(rotation));
    let closed = rotation.closed();
    if !closed.is_empty() {
        let keys: Vec<String> = closed.iter().map(|(id, count)| format!("{count} under {id}")).collect();
        output.remark(&format!(
            "no key here opens {}: give those keys as SEKISHO_OTHER_ENCRYPTION_KEYS and repeat the command, or let what they \
             sealed go",
            keys.join(", ")
        ));
    }
}

fn text(rotation: &Rotation) -> String {
    let present = rotation.present;
    let mut lines = vec![format!("{present} is the key under which everything is sealed now that could be opened")];
    lines.extend(rotation.places.iter().map(|place| {
        let there = place.under.get(&present).copied().unwrap_or_default();
        format!("{}: {} sealed anew, {there} of {} under it", place.name, place.resealed, place.total())
    }));
    lines.extend(rotation.unneeded.iter().map(|id| {
        format!("{id} is needed by nothing any more: drop it once {present} is REDIS_ENCRYPTION_KEY on every sidecar")
    }));
    lines.join("\n")
}

fn json(rotation: &Rotation) -> serde_json::Value {
    let places = rotation.places.iter().map(|place| {
        let under: serde_json::Map<_, _> =
            place.under.iter().map(|(id, count)| (id.to_string(), json!(count))).collect();
        json!({"name": place.name, "resealed": place.resealed, "under": under, "damaged": place.damaged})
    });
    json!({
        "present": rotation.present.to_string(),
        "places": places.collect::<Vec<_>>(),
        "unneeded": rotation.unneeded.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
