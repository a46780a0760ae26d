//! Searches in sorted sets of texts: all scores are 0, and behind the last separator of a member stands the id of what the
//! texts are of.

use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionManager;

use crate::domain::search::Search;
use crate::service::error::StoreError;

/// Between texts, and before the id.
pub(super) const SEPARATOR: char = '\u{1}';

/// Members that one step of a search looks at: a third of a millisecond for Redis.
const SEARCH_STEP: usize = 2_000;

static FIND_TEXTS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/find_texts.lua")));

/// The ids behind the texts that hold `search`, each once; none if there are more than `most`.
pub(super) async fn find(
    redis: &mut ConnectionManager,
    key: &str,
    search: &Search,
    most: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    let (mut bound, mut ids) = ("-".to_owned(), Vec::new());
    loop {
        let mut call = FIND_TEXTS.key(key);
        call.arg(&bound).arg(SEARCH_STEP).arg(search.as_str());
        let (last, members): (String, Vec<String>) = call.invoke_async(redis).await?;
        ids.extend(members.iter().filter_map(|member| id(member)));
        if ids.len() > most {
            return Ok(None);
        }
        if last.is_empty() {
            break;
        }
        bound = format!("({last}");
    }
    // One may be under two texts, if what they tell of changed.
    ids.sort();
    ids.dedup();
    Ok(Some(ids))
}

/// The ids behind the texts of which `first` is the first; none if there are more than `most`.
pub(super) async fn under(
    redis: &mut ConnectionManager,
    key: &str,
    first: &str,
    most: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    let mut range = redis::cmd("ZRANGE");
    // What comes right after the separator bounds them.
    range.arg(key).arg(format!("[{first}{SEPARATOR}")).arg(format!("({first}\u{2}")).arg("BYLEX");
    range.arg("LIMIT").arg(0).arg(most.saturating_add(1));
    let members: Vec<String> = range.query_async(redis).await?;
    let is_all = members.len() <= most;
    Ok(is_all.then(|| members.iter().filter_map(|member| id(member)).collect()))
}

fn id(member: &str) -> Option<String> {
    Some(member.rsplit_once(SEPARATOR)?.1.to_owned())
}
