//! Whether the filters of an Envoy look for the cookie that sidecars set. If not, whoever signs in is sent to sign in again,
//! for ever.

use serde_json::Value;

use super::{Health, Verdict};
use crate::domain::sign_in::COOKIE;

/// The cookie of sessions, by what Envoy says of its configuration.
pub(in super::super) fn session_cookie(ours: &str, answer: Result<(u16, String), String>) -> Verdict {
    const NAME: &str = "session cookie";
    let told = match answer {
        Ok((200, body)) => serde_json::from_str(&body).map_err(|_| "its answer is no JSON".to_owned()),
        Ok((status, _)) => Err(format!("it answers {status}")),
        Err(error) => Err(error),
    };
    let mut theirs = Vec::new();
    match told {
        Ok(told) => look(&told, &mut theirs),
        Err(why) => return Verdict::new(NAME, Health::Warn, format!("Envoy does not tell its configuration: {why}")),
    }
    match theirs.iter().find(|cookie| *cookie != ours) {
        Some(other) => Verdict::new(
            NAME,
            Health::Fail,
            format!(
                "the filter looks for `{other}`, and sidecars set `{ours}`: let `sessions.cookie` be that, or change SEKISHO_SIGN_IN_INSECURE"
            ),
        ),
        None if theirs.is_empty() => {
            let detail =
                "people sign in, and no filter takes sessions: add `sessions` to its configuration (docs/sign-in.md)";
            Verdict::new(NAME, Health::Warn, detail)
        }
        None => Verdict::new(NAME, Health::Ok, format!("the filter looks for `{ours}`")),
    }
}

/// The cookies of all filters in a piece of Envoy's configuration.
fn look(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(item, found)),
        Value::Object(object) => {
            if object.contains_key("vm_config")
                && let Some(text) = object.get("configuration").and_then(|text| text.get("value")?.as_str())
                && let Ok(policy) = serde_json::from_str::<Value>(text)
                && let Some(sessions) = policy.get("sessions").and_then(Value::as_object)
            {
                found.push(sessions.get("cookie").and_then(Value::as_str).unwrap_or(COOKIE).to_owned());
            }
            object.values().for_each(|member| look(member, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump(policies: &[Value]) -> Result<(u16, String), String> {
        let filter = |policy: &Value| {
            json!({"name": "sekisho", "typed_config": {"config": {
                "vm_config": {"runtime": "envoy.wasm.runtime.v8"},
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": policy.to_string()}}}})
        };
        let filters: Vec<Value> = policies.iter().map(filter).collect();
        Ok((200, json!({"configs": [{"static_listeners": [{"listener": {"http_filters": filters}}]}]}).to_string()))
    }

    #[test]
    fn a_filter_that_looks_for_another_cookie_is_told_with_what_to_do() {
        for (policies, expected) in [
            (vec![json!({"sessions": {"cookie": "sekisho"}})], Health::Ok),
            (vec![json!({"sessions": {}})], Health::Fail),
            (vec![json!({"sessions": {"cookie": "sekisho"}}), json!({"sessions": {"cookie": "other"}})], Health::Fail),
            (vec![json!({"sessions": {"cookie": "sekisho"}}), json!({"routes": []})], Health::Ok),
            (vec![json!({"routes": []})], Health::Warn),
            (vec![json!("no object")], Health::Warn),
            (vec![], Health::Warn),
        ] {
            let verdict = session_cookie("sekisho", dump(&policies));
            assert_eq!(verdict.status, expected, "{policies:?} {verdict:?}");
        }
        assert_eq!(session_cookie(COOKIE, dump(&[json!({"sessions": {}})])).status, Health::Ok);
        for answer in [Err("nobody is there".to_owned()), Ok((404, String::new())), Ok((200, "{".to_owned()))] {
            assert_eq!(session_cookie(COOKIE, answer).status, Health::Warn);
        }
    }
}
