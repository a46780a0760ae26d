//! What is wrong with a filter's configuration: what its parser says, and what its JSON Schema says besides.

use sekisho_core::config;
use serde_json::Value;

use crate::config::Problem;

/// Everything that is wrong with a configuration.
pub(super) fn check(text: &str) -> Vec<Problem> {
    let mut found = config::check(text);
    // Without a document, the parser has said all there is.
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        for problem in config::validate(&config::schema(), &document) {
            // The parser's sentence is the better one, there or further inside.
            if !found.iter().any(|known| is_within(&known.path, &problem.path)) {
                found.push(problem);
            }
        }
    }
    found.into_iter().map(|problem| Problem { path: problem.path, message: problem.message }).collect()
}

/// Whether `path` is `outer` or something inside it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.path.as_str()).collect()
    }

    #[test]
    fn each_place_is_named_once_and_in_the_parsers_words() {
        let text = json!({
            "mesh": {"staleness_ms": 1},
            "providers": [{"name": "p", "issuers": ["i"], "audiences": ["a"], "hs256_secret_env": "X"}],
            "routes": [{"name": "r", "access": "open", "match": {"prefix": "x"}, "extra": 1}]
        });
        let problems = check(&text.to_string());
        let mut found = paths(&problems);
        found.sort_unstable();
        assert_eq!(found, ["mesh.staleness_ms", "routes[0].access", "routes[0].extra", "routes[0].match.prefix"]);
        assert!(problems.iter().any(|problem| problem.message == "is not a whole number from 1000 to 60000"));
    }

    #[test]
    fn a_text_that_is_no_json_is_one_problem() {
        assert_eq!(check("{").len(), 1);
    }
}
