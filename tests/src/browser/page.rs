//! What a browser has come to: an answer, the steps to it, and the forms and links in it.

use std::fmt;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::{Captures, Regex};
use reqwest::{Method, Url};

use crate::Answer;

/// One request and its answer.
#[derive(Clone)]
pub struct Step {
    /// How it was asked.
    pub method: Method,
    /// What was asked for.
    pub url: Url,
    /// The cookies that went with it.
    pub cookies: Option<String>,
    /// What came of it.
    pub answer: Answer,
}

/// An answer that a browser shows, or would follow.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it is.
    pub url: Url,
    /// What it is.
    pub answer: Answer,
    /// How one came here, this page included.
    pub steps: Vec<Step>,
}

/// A form, as it can be sent.
#[derive(Debug, Clone)]
pub struct Form {
    /// How it is sent.
    pub method: Method,
    /// Where it is sent to; relative to its page.
    pub action: String,
    /// Names and values of what is sent if nobody changes it.
    pub fields: Vec<(String, String)>,
    /// Names and values of its buttons: one of them may be sent.
    pub buttons: Vec<(String, String)>,
}

impl Page {
    /// Where it sends its reader, if it is a redirect.
    ///
    /// # Errors
    /// It is one to no address.
    pub fn redirect(&self) -> Result<Option<Url>> {
        if !matches!(self.answer.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let location = self.answer.header("location").with_context(|| format!("a redirect to nowhere: {self:?}"))?;
        Ok(Some(self.url.join(location).with_context(|| location.to_owned())?))
    }

    /// The addresses of its links.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let tags = LINK.captures_iter(&self.answer.body);
        tags.filter_map(|tag| attribute(group(&tag, 1), "href")).collect()
    }

    /// Its forms.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        FORM.captures_iter(&self.answer.body).map(|form| self.form(group(&form, 1), group(&form, 2))).collect()
    }

    /// Its first form that has all of `fields`.
    ///
    /// # Errors
    /// There is none.
    pub fn form_with(&self, fields: &[(&str, &str)]) -> Result<Form> {
        let has = |form: &Form, name: &str| form.fields.iter().chain(&form.buttons).any(|(known, _)| known == name);
        let found = self.forms().into_iter().find(|form| fields.iter().all(|(name, _)| has(form, name)));
        found.with_context(|| format!("no form with {fields:?} at {self:?}"))
    }

    fn form(&self, head: &str, inside: &str) -> Form {
        let (mut fields, mut buttons) = (Vec::new(), Vec::new());
        let id = attribute(head, "id");
        let outside = CONTROL.captures_iter(&self.answer.body).filter(|tag| {
            let owner = attribute(group(tag, 2), "form");
            owner.is_some() && owner == id
        });
        for tag in CONTROL.captures_iter(inside).chain(outside) {
            let attributes = group(&tag, 2);
            let Some(name) = attribute(attributes, "name") else { continue };
            let value = attribute(attributes, "value").unwrap_or_default();
            let kind = attribute(attributes, "type").unwrap_or_default();
            let is_button = group(&tag, 1).eq_ignore_ascii_case("button") || kind == "submit";
            if is_button { buttons.push((name, value)) } else { fields.push((name, value)) }
        }
        let is_post = attribute(head, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let method = if is_post { Method::POST } else { Method::GET };
        Form { method, action: attribute(head, "action").unwrap_or_default(), fields, buttons }
    }
}

impl Form {
    /// What is sent when `fields` are filled in.
    ///
    /// # Errors
    /// It has no such field.
    pub fn filled_in(&self, fields: &[(&str, &str)]) -> Result<String> {
        let mut sent = self.fields.clone();
        for (name, value) in fields {
            let field = sent.iter_mut().find(|(known, _)| known == name);
            match (field, self.buttons.iter().any(|(known, _)| known == name)) {
                (Some((_, old)), _) => (*value).clone_into(old),
                (None, true) => sent.push(((*name).to_owned(), (*value).to_owned())),
                (None, false) => bail!("the form has no {name}: {self:?}"),
            }
        }
        Ok(encoded(&sent))
    }
}

/// A form's fields as they are sent.
#[must_use]
pub fn encoded(fields: &[(String, String)]) -> String {
    let url = Url::parse_with_params("http://localhost/", fields);
    url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {}", self.method, self.url, self.answer.status)?;
        for name in ["location", "set-cookie"] {
            for (_, value) in self.answer.headers.iter().filter(|(known, _)| known == name) {
                write!(f, "\n    {name}: {value}")?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "the patterns are constants")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static FORM: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<form\b([^>]*)>(.*?)</form>"));
static CONTROL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<(input|button|select|textarea)\b([^>]*)>"));
static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<a\b([^>]*)>"));
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#));
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| pattern("&#([0-9]+);"));

fn group<'a>(captures: &Captures<'a>, index: usize) -> &'a str {
    captures.get(index).map_or("", |found| found.as_str())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let found = ATTRIBUTE.captures_iter(tag).find(|attribute| group(attribute, 1).eq_ignore_ascii_case(name))?;
    Some(unescaped(&[2, 3, 4].map(|index| group(&found, index)).concat()))
}

fn unescaped(text: &str) -> String {
    let character = |found: &Captures<'_>| {
        let code = group(found, 1).parse().ok().and_then(char::from_u32);
        code.map_or_else(|| group(found, 0).to_owned(), String::from)
    };
    let text = NUMBERED.replace_all(text, character);
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.into_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_with_what_belongs_to_them_elsewhere() -> Result<()> {
        let body = r#"<a href="/a?b&amp;c=1">x</a><form id=f method="POST" action='/go?x=1&amp;y=2'>
            <input type="hidden" name="state" value="&#34;&lt;1&gt;"><input name=login></form>
            <button form="f" type="submit" name="logout" value="yes">Out</button>"#;
        let answer = Answer { status: 200, headers: Vec::new(), body: body.to_owned() };
        let page = Page { url: Url::parse("http://localhost/")?, answer, steps: Vec::new() };
        assert_eq!(page.links(), ["/a?b&c=1"]);
        let form = page.form_with(&[("login", "")])?;
        assert_eq!((form.method.as_str(), form.action.as_str()), ("POST", "/go?x=1&y=2"));
        assert_eq!(
            form.filled_in(&[("login", "ann+1@x"), ("logout", "yes")])?,
            "state=%22%3C1%3E&login=ann%2B1%40x&logout=yes"
        );
        assert!(form.filled_in(&[("other", "")]).is_err());
        Ok(())
    }
}
