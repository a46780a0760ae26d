//! Pages of a list: how many, after which, and where the next one begins.

use serde::Deserialize;

use crate::domain::error::Failure;

/// Most rows of an answer, also of one whose asker named no limit. The answer says so.
pub const BOUND: usize = 10_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Rows after this position only; from the start without it.
    pub after: Option<String>,
    /// At most so many rows.
    pub limit: usize,
}

impl Window {
    /// The part that `limit` and `cursor` of a request name; without them, everything up to [`BOUND`].
    ///
    /// # Errors
    /// The limit is not 1 to [`BOUND`].
    pub fn choose(limit: Option<usize>, cursor: Option<String>) -> Result<Self, Failure> {
        match limit.unwrap_or(BOUND) {
            limit @ 1..=BOUND => Ok(Self { after: cursor.filter(|cursor| !cursor.is_empty()), limit }),
            _ => Err(Failure::invalid("limit", format!("must be 1 to {BOUND}"))),
        }
    }
}

/// From where to where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The smallest first.
    Asc,
    /// The greatest first: the newest, of times.
    #[default]
    Desc,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The cursor of the next page, if there is more.
    pub next: Option<String>,
    /// How many rows there could have been.
    pub limit: usize,
}

impl<T> Page<T> {
    /// The page of `rows` that were read with a limit one above `window.limit`: one too many shows
    /// that there is more. `cursor` tells the position of a row.
    #[must_use]
    pub fn cut(mut rows: Vec<T>, window: &Window, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > window.limit;
        rows.truncate(window.limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { rows, next, limit: window.limit }
    }

    /// The same page of something else.
    #[must_use]
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(convert).collect(), next: self.next, limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_too_many_shows_that_there_is_more() {
        let window = Window::choose(Some(2), None).unwrap();
        let page = Page::cut(vec![1, 2, 3], &window, ToString::to_string);
        assert_eq!((page.rows, page.next.as_deref()), (vec![1, 2], Some("2")));
        let page = Page::cut(vec![1, 2], &window, ToString::to_string);
        assert_eq!((page.rows, page.next), (vec![1, 2], None));
    }

    #[test]
    fn a_limit_is_1_to_the_bound() {
        assert_eq!(Window::choose(None, Some(String::new())).unwrap(), Window { after: None, limit: BOUND });
        assert!(Window::choose(Some(0), None).is_err());
        assert!(Window::choose(Some(BOUND + 1), None).is_err());
    }
}
