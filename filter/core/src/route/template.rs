//! Path templates: `/users/{id}/files/{*rest}`. A name in braces stands for one segment, one with a star for all
//! that follow, at least one.

/// A path segment by segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// The name for what follows them.
    rest: Option<String>,
    /// Whether texts are compared without the case of ASCII letters.
    ignores_case: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Capture(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self { segments: Vec::new(), rest: None, ignores_case: false };
        let inner = text.strip_prefix('/').ok_or("does not start with `/`")?;
        for segment in inner.split('/') {
            if template.rest.is_some() {
                return Err("has something behind a name with a star, which takes all that follows".into());
            }
            match captured(segment)? {
                None => template.segments.push(Segment::Literal(segment.to_owned())),
                Some(name) if template.names().any(|known| known == name.trim_start_matches('*')) => {
                    return Err(format!("uses the name `{name}` twice"));
                }
                Some(name) => match name.strip_prefix('*') {
                    Some(rest) => template.rest = Some(rest.to_owned()),
                    None => template.segments.push(Segment::Capture(name.to_owned())),
                },
            }
        }
        Ok(template)
    }

    /// What every path starts with that matches: `/` and the first segment, if that is a text and case matters.
    pub(super) fn literal_start(&self) -> String {
        match self.segments.first() {
            Some(Segment::Literal(text)) if !self.ignores_case => format!("/{text}"),
            _ => "/".to_owned(),
        }
    }

    /// How many slashes every path has at least that matches.
    pub(super) fn slashes_min(&self) -> usize {
        self.segments.len() + usize::from(self.rest.is_some())
    }

    /// The names that a match captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let captures = self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        captures.chain(self.rest.as_deref())
    }

    /// The same for an upstream that does not tell the case of letters. What names stand for keeps its own.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self { ignores_case: true, ..self }
    }

    /// Whether it matches a path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.walk(path, |_, _| ())
    }

    /// What `name` stands for in a path that matches.
    #[must_use]
    pub fn capture<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut found = None;
        let matched = self.walk(path, |known, value| {
            if known == name {
                found = Some(value);
            }
        });
        found.filter(|_| matched)
    }

    /// Every segment has a character: an empty one is refused in the middle of a path, and nobody's id at its end.
    fn walk<'p>(&self, path: &'p str, mut capture: impl FnMut(&str, &'p str)) -> bool {
        let Some(mut left) = path.strip_prefix('/') else { return false };
        let mut is_over = false;
        for segment in &self.segments {
            if is_over {
                return false;
            }
            let (value, behind) = match left.split_once('/') {
                Some((value, behind)) => (value, behind),
                None => {
                    is_over = true;
                    (left, "")
                }
            };
            match segment {
                Segment::Literal(wanted) if !self.is(wanted, value) => return false,
                Segment::Capture(_) if value.is_empty() => return false,
                Segment::Literal(_) => {}
                Segment::Capture(name) => capture(name, value),
            }
            left = behind;
        }
        match &self.rest {
            None => is_over,
            Some(_) if is_over || left.is_empty() => false,
            Some(name) => {
                capture(name, left);
                true
            }
        }
    }
}

impl Template {
    fn is(&self, wanted: &str, value: &str) -> bool {
        wanted == value || (self.ignores_case && value.eq_ignore_ascii_case(wanted))
    }
}

/// The name between the braces of a segment; none if it has none.
fn captured(segment: &str) -> Result<Option<&str>, String> {
    let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        let is_literal = !segment.contains(['{', '}']);
        return if is_literal { Ok(None) } else { Err(format!("`{segment}` is neither text nor one `{{name}}`")) };
    };
    let name = inner.strip_prefix('*').unwrap_or(inner);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("`{segment}` names nothing: a name has letters, digits and `_`"));
    }
    Ok(Some(inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_template_matches_segment_by_segment() {
        for (template, path, expected) in [
            ("/users/{id}", "/users/7", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users", false),
            ("/users/{id}", "/users/7/", false),
            ("/users/{id}", "/users/7/posts", false),
            ("/users/{id}", "/Users/7", false),
            ("/users/{id}/", "/users/7/", true),
            ("/users/{id}/", "/users/7", false),
            ("/users/{id}/posts/{post}", "/users/7/posts/x y", true),
            ("/files/{*rest}", "/files/a/b/c", true),
            ("/files/{*rest}", "/files/a/", true),
            ("/files/{*rest}", "/files/", false),
            ("/files/{*rest}", "/files", false),
            ("/{*rest}", "/a", true),
            ("/{*rest}", "/", false),
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a", true),
        ] {
            assert_eq!(Template::parse(template).unwrap().matches(path), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_a_name_stands_for_can_be_asked() {
        let template = Template::parse("/t/{tenant}/{*file}").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["tenant", "file"]);
        assert_eq!(template.capture("/t/acme/a/b", "tenant"), Some("acme"));
        assert_eq!(template.capture("/t/acme/a/b", "file"), Some("a/b"));
        assert_eq!(template.capture("/t/acme/a/b", "other"), None);
        assert_eq!(template.capture("/t/acme", "tenant"), None, "no match, no name");
    }

    #[test]
    fn without_regard_to_case_texts_match_and_names_keep_theirs() {
        let template = Template::parse("/Users/{id}").unwrap().ignoring_case();
        assert_eq!(template.capture("/USERS/Ann", "id"), Some("Ann"));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in
            ["users", "", "/{}", "/{*}", "/{a b}", "/x{id}", "/{id}x", "/{a}/{a}", "/{*a}/b", "/{a}/{*a}", "/}{"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
