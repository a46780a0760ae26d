//! People who sign in: what they, their provider and those who wish them ill can do, by HTTP.

mod peers;
