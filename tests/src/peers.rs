//! Implementations that nobody here wrote, against which the stories hold ours: PyJWT and jose make tokens
//! and verify assertions, oidc-provider publishes keys and signs people in (`tests/peers/README.md`).

pub mod load;
pub mod mint;
pub mod minted;
pub mod oauth2_proxy;
pub mod provider;
pub mod sign_in;
pub mod verify;

pub use mint::Maker;
pub use minted::{ALGORITHMS, Minted};
pub use provider::Provider;
pub use sign_in::SignInProvider;
