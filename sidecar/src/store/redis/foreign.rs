//! Reading what other programs may have written: a value of the wrong type is no value, not an error
//! that would make a whole list unreadable.

use redis::aio::ConnectionManager;
use redis::{Pipeline, RedisResult, Value};

use crate::service::error::StoreError;

/// The code of Redis's answer to a command for another type.
const WRONG_TYPE: &str = "WRONGTYPE";

/// The answers to `pipeline`, one for each command; nil for a value of the wrong type.
///
/// # Errors
/// Every other one: Redis can't be reached, is loading, or the like.
pub(super) async fn read(mut pipeline: Pipeline, redis: &mut ConnectionManager) -> Result<Vec<Value>, StoreError> {
    pipeline.ignore_errors();
    let answers: Vec<RedisResult<Value>> = pipeline.query_async(redis).await?;
    let lenient = |answer: RedisResult<Value>| match answer {
        Err(error) if error.code() == Some(WRONG_TYPE) => Ok(Value::Nil),
        answer => Ok(answer?),
    };
    answers.into_iter().map(lenient).collect()
}
