//! Where a setting comes from: the environment, a file that the environment names (`NAME_FILE`, for
//! secrets), or the YAML file; the first that has it wins. It finds texts, and judges none of them.

use std::collections::BTreeMap;

use serde_norway::Value;

use super::problem::Problems;

/// A setting: its path in the YAML file, and its environment variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) env: &'static str,
    pub(super) form: Form,
}

/// What a setting looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A text, a number, or a list of texts.
    Text,
    /// A text that must not be shown; it may also come from a file, as `NAME_FILE` or `path_file`.
    Secret,
    /// Anything: JSON in the environment, and in the file as it stands there.
    Json,
}

impl Key {
    fn is_secret(&self) -> bool {
        self.form == Form::Secret
    }
}

/// A setting's text, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// For messages: the environment variable or the path.
    pub(super) place: String,
    pub(super) text: String,
}

/// The texts of all `keys` that are set.
pub(super) fn collect(
    keys: &[Key],
    yaml: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> BTreeMap<&'static str, Found> {
    let file = yaml.map(|text| flatten(text, keys, problems)).unwrap_or_default();
    let mut found = BTreeMap::new();
    for key in keys {
        // Compose files pass unset variables on as empty ones.
        let env = |name: &str| env(name).filter(|text| !text.is_empty());
        let of_file = |path: &str| file.get(path).cloned();
        let file_variable = format!("{}_FILE", key.env);
        let file_path = format!("{}_file", key.path);
        let setting = match (env(key.env), key.is_secret().then(|| env(&file_variable)).flatten()) {
            (Some(_), Some(_)) => {
                problems.push(key.env, format!("set either {} or {file_variable}, not both", key.env));
                None
            }
            (Some(text), None) => Some(Found { place: key.env.to_owned(), text }),
            (None, Some(path)) => read(&file_variable, &path, problems),
            (None, None) => match (of_file(key.path), key.is_secret().then(|| of_file(&file_path)).flatten()) {
                (Some(text), _) => Some(Found { place: key.path.to_owned(), text }),
                (None, Some(path)) => read(&file_path, &path, problems),
                (None, None) => None,
            },
        };
        found.extend(setting.map(|setting| (key.path, setting)));
    }
    found
}

fn read(place: &str, path: &str, problems: &mut Problems) -> Option<Found> {
    match std::fs::read_to_string(path) {
        // Editors and `echo` end a file with a line end that is no part of the secret.
        Ok(text) => Some(Found { place: place.to_owned(), text: text.trim_end_matches(['\r', '\n']).to_owned() }),
        Err(error) => {
            problems.push(place, format!("cannot read `{path}`: {error}"));
            None
        }
    }
}

/// The file's values by dotted path, as the environment writes them: lists joined by commas, structures as JSON.
fn flatten(text: &str, keys: &[Key], problems: &mut Problems) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    match serde_norway::from_str::<Value>(text) {
        Ok(Value::Null) => {}
        Ok(value) => walk("", &value, keys, &mut flat, problems),
        // The parser's message holds a line and a column, never a value.
        Err(error) => problems.push("(file)", format!("is not YAML: {error}")),
    }
    flat
}

fn walk(path: &str, value: &Value, keys: &[Key], flat: &mut BTreeMap<String, String>, problems: &mut Problems) {
    let known = |path: &str| {
        keys.iter().any(|key| key.path == path || (key.is_secret() && path.strip_suffix("_file") == Some(key.path)))
    };
    let section = |path: &str| path.is_empty() || keys.iter().any(|key| key.path.starts_with(&format!("{path}.")));
    let is_structure = keys.iter().any(|key| key.path == path && key.form == Form::Json);
    match value {
        _ if is_structure && !value.is_null() => match serde_json::to_string(value) {
            Ok(json) => drop(flat.insert(path.to_owned(), json)),
            Err(error) => problems.push(path, format!("has no form in JSON: {error}")),
        },
        Value::Mapping(mapping) if section(path) => {
            for (name, inner) in mapping {
                let Some(name) = name.as_str() else {
                    problems.push(path, "has a key that is no text");
                    continue;
                };
                let inner_path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                walk(&inner_path, inner, keys, flat, problems);
            }
        }
        _ if !known(path) && !section(path) => problems.push(path, "is not a setting of the sidecar"),
        Value::Null => {}
        _ => match scalar(value).or_else(|| list(value)) {
            Some(text) if known(path) => {
                flat.insert(path.to_owned(), text);
            }
            Some(_) => problems.push(if path.is_empty() { "(file)" } else { path }, "must hold settings by name"),
            None => problems.push(path, "must be a text, a number, or a list of texts"),
        },
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some("0".to_owned()),
        _ => None,
    }
}

fn list(value: &Value) -> Option<String> {
    let texts = value.as_sequence()?.iter().map(scalar).collect::<Option<Vec<_>>>()?;
    Some(texts.join(","))
}
