//! Walks over long lists of which not everything is wanted: a page costs a bounded number of looks at rows, however many
//! there are.

use futures_util::future::BoxFuture;

use crate::domain::page::{Direction, Page, Window};
use crate::service::error::StoreError;

/// What a search finds at most before it is answered by looking at one row after the other instead.
pub(super) const FEW: usize = 2_000;
/// Rows that one call looks at, at most. A page may be shorter than asked for, and name the next one.
const LOOKS_MAX: usize = 20_000;
/// Rows that one step of a walk looks at.
const STEP: usize = 500;

/// A place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<P, R> {
    /// Where.
    pub position: P,
    /// What stands there; none if it ended.
    pub row: Option<R>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<R> {
    /// All of it.
    All(Vec<R>),
    /// More than was asked for.
    TooMany,
}

/// The next places behind a position, so many at most.
type Steps<'a, P, R> =
    dyn FnMut(Option<P>, usize) -> BoxFuture<'a, Result<Vec<Standing<P, R>>, StoreError>> + Send + 'a;

/// How a walk goes.
pub(super) struct Walk<'a, P, R> {
    /// Asks for the next places.
    pub(super) steps: Box<Steps<'a, P, R>>,
    /// Behind which it begins.
    pub(super) after: Option<P>,
    /// Most rows of a page.
    pub(super) limit: usize,
    /// Whether not every row is wanted.
    pub(super) is_filtered: bool,
}

impl<P: Clone, R> Walk<'_, P, R> {
    /// The page of what `admits` admits. `cursor` tells of a position.
    pub(super) async fn page(
        mut self,
        admits: impl Fn(&R) -> bool,
        cursor: impl Fn(&P) -> String,
    ) -> Result<Page<R>, StoreError> {
        let limit = self.limit;
        let page = |rows, next: Option<&P>| Page { rows, next: next.map(&cursor), limit };
        let (mut rows, mut last, mut looks) = (Vec::new(), None::<P>, 0);
        while looks < LOOKS_MAX {
            // One more than there is room for shows that there is more.
            let step = if self.is_filtered { STEP } else { (limit + 1).saturating_sub(rows.len()).clamp(1, STEP) };
            let standings = (self.steps)(self.after.clone(), step).await?;
            let Some(end) = standings.last() else { return Ok(page(rows, None)) };
            looks += standings.len();
            self.after = Some(end.position.clone());
            for Standing { position, row } in standings {
                let Some(row) = row.filter(&admits) else { continue };
                if rows.len() == limit {
                    return Ok(page(rows, last.as_ref()));
                }
                rows.push(row);
                last = Some(position);
            }
        }
        Ok(page(rows, self.after.as_ref()))
    }
}

/// The page of `rows`, which are all there are, with their positions.
pub(super) fn cut<P: Ord, R>(
    mut rows: Vec<(P, R)>,
    direction: Direction,
    after: Option<&P>,
    window: &Window,
    cursor: impl Fn(&P) -> String,
) -> Page<R> {
    rows.sort_by(|(one, _), (other, _)| match direction {
        Direction::Asc => one.cmp(other),
        Direction::Desc => other.cmp(one),
    });
    rows.retain(|(position, _)| match (after, direction) {
        (None, _) => true,
        (Some(after), Direction::Asc) => position > after,
        (Some(after), Direction::Desc) => position < after,
    });
    Page::cut(rows, window, |(position, _)| cursor(position)).map(|(_, row)| row)
}
