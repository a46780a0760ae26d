//! All pages of a list, as one answer.

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::Ready;
use super::call::Caller;
use crate::cli::Exit;

/// The answer that one page without an end would have been.
pub(super) async fn all(caller: &Caller<'_>, ready: &Ready<'_>) -> Result<Option<Value>, Exit> {
    let mut whole = caller.call(ready).await?;
    let mut seen = Vec::new();
    while let Some(cursor) = whole.as_ref().and_then(next).map(str::to_owned) {
        if seen.contains(&cursor) {
            return Err(anyhow::anyhow!("the list does not end: its cursor came twice").into());
        }
        let page = caller.at(ready, &after(&ready.target, &cursor)).await?;
        seen.push(cursor);
        if let (Some(whole), Some(page)) = (&mut whole, page) {
            append(whole, page);
        }
    }
    Ok(whole)
}

fn next(page: &Value) -> Option<&str> {
    page.get("next_cursor").and_then(Value::as_str)
}

/// `target` with this cursor in place of any other.
fn after(target: &str, cursor: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let cursor: String = byte_serialize(cursor.as_bytes()).collect();
    let query: Vec<String> = others.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    format!("{path}?{}", query.join("&"))
}

/// Lists grow, their count with them; everything else is as the last page says.
fn append(whole: &mut Value, page: Value) {
    let (Some(whole), Value::Object(page)) = (whole.as_object_mut(), page) else { return };
    for (name, value) in page {
        match (whole.get_mut(&name), value) {
            (Some(Value::Array(before)), Value::Array(more)) => before.extend(more),
            (Some(Value::Number(before)), Value::Number(more)) if name == "count" => {
                let sum = before.as_u64().unwrap_or(0) + more.as_u64().unwrap_or(0);
                whole.insert(name, json!(sum));
            }
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_takes_the_place_of_the_one_before() {
        for (target, expected) in [
            ("/a", "/a?cursor=x%3Ay"),
            ("/a?limit=2", "/a?limit=2&cursor=x%3Ay"),
            ("/a?cursor=old&limit=2", "/a?limit=2&cursor=x%3Ay"),
        ] {
            assert_eq!(after(target, "x:y"), expected);
        }
    }

    #[test]
    fn pages_become_one() {
        let mut whole = json!({"rows": [1], "count": 1, "limit": 1, "next_cursor": "a"});
        append(&mut whole, json!({"rows": [2, 3], "count": 2, "limit": 1, "next_cursor": null}));
        assert_eq!(whole, json!({"rows": [1, 2, 3], "count": 3, "limit": 1, "next_cursor": null}));
    }
}
