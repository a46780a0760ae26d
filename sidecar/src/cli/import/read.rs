//! Files of an installation that is to be replaced → options by name. An `oauth2_proxy.cfg` is TOML; an `.env` has a line
//! for each variable, and `OAUTH2_PROXY_…` among them are options of oauth2-proxy, too.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// What was found in the files.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Options of oauth2-proxy, as they are called in its file.
    pub(super) options: BTreeMap<String, Given>,
    /// Other variables of the environment.
    pub(super) variables: BTreeMap<String, Given>,
}

/// The values of an option; most have one. They may be secrets, and are never printed unless asked for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given(pub(super) Vec<Zeroizing<String>>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(…)")
    }
}

impl Given {
    fn one(text: &str) -> Self {
        Self(vec![Zeroizing::new(text.to_owned())])
    }

    /// All values in one text, as a comma list.
    pub(super) fn joined(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(","))
    }

    /// Each value; a text in the environment may hold several, told apart by commas.
    pub(super) fn each(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Options whose name in the environment and on the command line is singular, and in the file plural.
const PLURALS: [(&str, &str); 6] = [
    ("email_domain", "email_domains"),
    ("cookie_domain", "cookie_domains"),
    ("whitelist_domain", "whitelist_domains"),
    ("allowed_group", "allowed_groups"),
    ("upstream", "upstreams"),
    ("skip_auth_route", "skip_auth_routes"),
];

impl Found {
    /// Adds what is in the text of a file. What an earlier one said is overruled.
    ///
    /// # Errors
    /// Why it is neither kind of file, with the number of the line.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        match toml::from_str::<toml::Table>(text) {
            // An `.env` with every value in quotes is TOML, too.
            Ok(table) if !table.is_empty() && !table.keys().all(|name| is_variable(name)) => self.add_table(&table),
            Ok(_) => self.add_lines(text),
            Err(error) => self.add_lines(text).map_err(|line| match error.span() {
                // The parser's own message would show the line, which may hold a secret.
                Some(span) => {
                    let line = text.get(..span.start).map_or(0, |before| before.matches('\n').count()) + 1;
                    format!("is neither an oauth2_proxy.cfg (TOML) nor an .env: line {line} is wrong")
                }
                None => line,
            }),
        }
    }

    fn add_table(&mut self, table: &toml::Table) -> Result<(), String> {
        for (name, value) in table {
            let values = match value {
                toml::Value::Array(values) => values.iter().map(scalar).collect::<Option<Vec<_>>>(),
                value => scalar(value).map(|text| vec![text]),
            };
            let Some(values) = values else {
                return Err(format!("`{name}` is neither a text, a number, a switch nor a list of those"));
            };
            self.option(name, Given(values));
        }
        Ok(())
    }

    fn add_lines(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_variable(name.trim())) else {
                return Err(format!("is neither an oauth2_proxy.cfg (TOML) nor an .env: line {number} is wrong"));
            };
            let (name, given) = (name.trim(), Given::one(unquoted(value.trim())));
            match name.strip_prefix("OAUTH2_PROXY_") {
                Some(option) => self.option(&option.to_ascii_lowercase(), given),
                None => drop(self.variables.insert(name.to_owned(), given)),
            }
        }
        Ok(())
    }

    fn option(&mut self, name: &str, given: Given) {
        let plural = PLURALS.iter().find(|(singular, _)| *singular == name).map(|(_, plural)| *plural);
        // What is empty says nothing.
        if given.0.iter().any(|text| !text.is_empty()) {
            self.options.insert(plural.unwrap_or(name).to_owned(), given);
        }
    }
}

fn scalar(value: &toml::Value) -> Option<Zeroizing<String>> {
    match value {
        toml::Value::String(text) => Some(Zeroizing::new(text.clone())),
        toml::Value::Integer(number) => Some(Zeroizing::new(number.to_string())),
        toml::Value::Boolean(flag) => Some(Zeroizing::new(flag.to_string())),
        _ => None,
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// A value without its quotes, or without the remark behind it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end())
}

/// The whole seconds of a duration as Go writes it (`168h0m0s`); none if it is not one.
pub(super) fn seconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at_checked(digits)?;
        let length = match unit.as_bytes() {
            [b'm', b's', ..] => return None,
            [b'h', ..] => 3_600,
            [b'm', ..] => 60,
            [b's', ..] => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        rest = unit.get(1..)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        let mut found = Found::default();
        found.add(text).unwrap();
        found
    }

    #[test]
    fn both_kinds_of_files_are_told_apart_and_say_the_same() {
        let cfg = found(
            "# a remark\ncookie_name = \"sso\"\nemail_domains = [\n  \"a.x\",\n  \"b.x\"\n]\ncookie_secure = true\n",
        );
        let env = found(
            "OAUTH2_PROXY_COOKIE_NAME=sso\nexport OAUTH2_PROXY_EMAIL_DOMAIN=a.x,b.x\nOAUTH2_PROXY_COOKIE_SECURE='true' # yes\n",
        );
        for found in [&cfg, &env] {
            assert_eq!(found.options["email_domains"].each().collect::<Vec<_>>(), ["a.x", "b.x"]);
            assert_eq!(*found.options["cookie_name"].joined(), "sso");
            assert_eq!(*found.options["cookie_secure"].joined(), "true");
            assert!(found.variables.is_empty());
        }
        let quoted = found_variables("JWT_SECRET=\"a # b\"\nREDIS_HOST=\"r\"\n");
        assert_eq!(quoted, [("JWT_SECRET", "a # b"), ("REDIS_HOST", "r")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    fn found_variables(text: &str) -> Vec<(String, String)> {
        found(text).variables.iter().map(|(name, given)| (name.clone(), given.joined().to_string())).collect()
    }

    #[test]
    fn what_is_neither_is_told_by_its_line_and_never_shown() {
        for text in ["client_secret = \"hunter2\nx", "JWT_SECRET=a\nhunter2", "a = { b = \"hunter2\" }", "hunter2"] {
            let problem = Found::default().add(text).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        assert!(format!("{:?}", found("JWT_SECRET=hunter2")).contains("Given(…)"));
    }

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("168h0m0s", Some(604_800)),
            ("24h", Some(86_400)),
            ("1h30m", Some(5_400)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("500ms", None),
            ("7d", None),
            ("h", None),
            ("", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
