//! Walks over sorted sets whose scores are times, page by page: behind a member of a page before, wherever that stands now.

use redis::RedisResult;
use redis::aio::ConnectionManager;

use super::scan::{Text, pairs};
use crate::domain::page::Direction;

/// A walk over one sorted set.
pub(super) struct Ranked {
    key: &'static str,
    direction: Direction,
    rank: usize,
}

impl Ranked {
    /// The walk that begins behind this member with this score, or at the start. While others change the set it may begin a
    /// little before: whoever stands there is to be left out.
    pub(super) async fn start(
        redis: &mut ConnectionManager,
        key: &'static str,
        direction: Direction,
        after: Option<(u64, &str)>,
    ) -> RedisResult<Self> {
        let mut walk = Self { key, direction, rank: 0 };
        let Some((score, member)) = after else { return Ok(walk) };
        let mut pipeline = redis::pipe();
        pipeline.zscore(key, member);
        match direction {
            Direction::Asc => pipeline.zrank(key, member),
            Direction::Desc => pipeline.zrevrank(key, member),
        };
        let (present, rank): (Option<f64>, Option<usize>) = pipeline.query_async(redis).await?;
        walk.rank = match rank {
            Some(rank) if present.and_then(whole) == Some(score) => rank + 1,
            _ => walk.seek(redis, score, member).await?,
        };
        Ok(walk)
    }

    /// The rank of the first one behind where this member once stood. Many may have its score, so this halves them.
    async fn seek(&self, redis: &mut ConnectionManager, score: u64, member: &str) -> RedisResult<usize> {
        let mut pipeline = redis::pipe();
        match self.direction {
            Direction::Asc => pipeline.zcount(self.key, "-inf", format!("({score}")).zcount(self.key, "-inf", score),
            Direction::Desc => pipeline.zcount(self.key, format!("({score}"), "+inf").zcount(self.key, score, "+inf"),
        };
        let (mut first, mut end): (usize, usize) = pipeline.query_async(redis).await?;
        while first < end {
            let middle = first + (end - first) / 2;
            let is_before = match self.range(redis, middle, 1).await?.pop() {
                Some((Text(Some(name)), at)) => match self.direction {
                    Direction::Asc => (whole(at), name.as_str()) <= (Some(score), member),
                    Direction::Desc => (whole(at), name.as_str()) >= (Some(score), member),
                },
                _ => false,
            };
            if is_before {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(first)
    }

    /// The next members with their scores; none at the end.
    pub(super) async fn take(
        &mut self,
        redis: &mut ConnectionManager,
        count: usize,
    ) -> RedisResult<Vec<(u64, String)>> {
        loop {
            let members = self.range(redis, self.rank, count.max(1)).await?;
            if members.is_empty() {
                return Ok(Vec::new());
            }
            self.rank += members.len();
            let members = pairs(members).into_iter();
            let members: Vec<_> = members.filter_map(|(member, score)| Some((whole(score)?, member))).collect();
            // None is the end: what cannot be read is not.
            if !members.is_empty() {
                return Ok(members);
            }
        }
    }

    async fn range(&self, redis: &mut ConnectionManager, from: usize, count: usize) -> RedisResult<Vec<(Text, f64)>> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(self.key).arg(from).arg(from + count - 1);
        if self.direction == Direction::Desc {
            range.arg("REV");
        }
        range.arg("WITHSCORES").query_async(redis).await
    }
}

/// The latest time that is a score. Up to 2^53 every whole number has its own.
pub(super) const LATEST: u64 = 8_999_999_999_999_999;

/// A score that we wrote, as the time that it is.
pub(super) fn whole(score: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..9e15).contains(&score).then_some(score as u64)
}

/// A pattern of Redis that a text fits in whatever case its letters of ASCII are.
pub(super) fn any_case(text: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphabetic() => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
        '*' | '?' | '[' | ']' | '\\' | '^' | '-' => format!("\\{c}"),
        c => c.to_string(),
    };
    text.chars().map(letter).collect()
}
