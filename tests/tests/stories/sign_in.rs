//! People who sign in: what they, their provider and those who wish them ill can do, by HTTP.

mod peers;
mod way;

use e2e::world::People;
use e2e::{Plan, Shared};

/// The world of stories that change nothing for others: each has people of its own.
static PEOPLE: Shared = Shared::new(|| Plan { people: Some(People::default()), ..Plan::default() });
