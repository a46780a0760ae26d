//! People who sign in: what they, their provider and those who wish them ill can do, by HTTP.

mod attempts;
mod back_channel;
mod banned;
mod crowd;
mod ended;
mod expiry;
mod forged;
mod outages;
mod peers;
pub(crate) mod redirects;
mod refreshed;
mod sign_out;
pub(crate) mod steps;
pub(crate) mod strangers;
mod way;
mod who;

use e2e::world::People;
use e2e::{Plan, Shared};

/// The world of stories that change nothing for others: each has people of its own.
static PEOPLE: Shared = Shared::new(|| Plan { people: Some(People::default()), ..Plan::default() });

/// Where what can be switched on is: signing out here alone, and logouts at the provider that revoke tokens.
static OTHERWISE: Shared = Shared::new(|| {
    let settings = &[("SEKISHO_SIGN_OUT_HERE_ONLY", "1"), ("SEKISHO_PROVIDER_LOGOUT_REVOKES_TOKENS", "1")];
    Plan { people: Some(People { settings, ..People::default() }), ..Plan::default() }
});

/// Where one story after the other makes the provider misbehave.
static MISLED: Shared = Shared::in_turn(|| Plan { people: Some(People::default()), ..Plan::default() });
