//! Where a list of workers goes on: behind a node, a number and a replica, whether or not that replica is
//! still there.

use crate::domain::error::Failure;
use crate::service::feed::registry::Worker;

/// A worker's place in the list.
pub(super) type Position = (String, u32, String);

/// Where `worker` stands.
pub(super) fn position(worker: &Worker) -> Position {
    let presence = &worker.presence;
    (presence.node.clone(), presence.worker, presence.replica.to_string())
}

/// The place of `worker` as a cursor. The node comes last, since it may hold anything.
pub(super) fn text(worker: &Worker) -> String {
    let (node, number, replica) = position(worker);
    format!("{replica}.{number}.{node}")
}

/// The place that a cursor names.
///
/// # Errors
/// It names none.
pub(super) fn parse(text: &str) -> Result<Position, Failure> {
    let wrong = || Failure::invalid("cursor", "is none that this list gave out");
    let mut parts = text.splitn(3, '.');
    let (Some(replica), Some(number), Some(node)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    Ok((node.to_owned(), number.parse().map_err(|_| wrong())?, replica.to_owned()))
}
