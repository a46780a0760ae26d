//! Raw → [`Target`]: whom assertions are for, and what signs them.

use std::rc::Rc;

use sekisho_protocol::identity::APP_AUDIENCE;
use sekisho_protocol::keys;

use super::field::Field;
use super::parse::Parser;
use super::raw::RawIdentity;
use crate::identity::assertion::Target;
use crate::identity::key::{AssertionKey, KeyPair};
use crate::secret::Secret;

/// RFC 7518 §3.2: a key of HS256 has at least the size of its hash.
const KEY_MIN_BYTES: usize = 32;
/// How a configuration names the key that is derived for the app API alone.
pub(super) const DERIVED: &[(&str, ())] = &[("mesh", ())];

impl Parser<'_> {
    /// A target; `mesh_secret` is none if it is wrong, which is a problem already.
    pub(super) fn identity(
        &mut self,
        path: &str,
        mut raw: RawIdentity,
        mesh_secret: Option<&Secret>,
    ) -> Option<Rc<Target>> {
        self.problems.unknown(path, &raw.unknown);
        let name = self.problems.text(format_args!("{path}.name"), std::mem::take(&mut raw.name));
        let audience = self.problems.text(format_args!("{path}.audience"), std::mem::take(&mut raw.audience));
        let is_app = audience.as_deref() == Some(APP_AUDIENCE);
        let key = self.assertion_key(path, raw, is_app, mesh_secret);
        Some(Rc::new(Target::new(name?, audience?, key?)))
    }

    fn assertion_key(
        &mut self,
        path: &str,
        raw: RawIdentity,
        is_app: bool,
        mesh_secret: Option<&Secret>,
    ) -> Option<AssertionKey> {
        const APP_ONLY: &str = "the app API believes assertions under `\"key\": \"mesh\"` only";
        match (raw.key, raw.hs256_secret_env, raw.algorithm) {
            (Field::Absent, Field::Absent, Field::Absent) => {
                self.problems.push(path, "has none of `algorithm`, `hs256_secret_env` and `key`");
                None
            }
            (Field::Absent, Field::Absent, algorithm) => {
                let at = format!("{path}.algorithm");
                if is_app {
                    self.problems.push(&at, APP_ONLY);
                }
                let words = KeyPair::ALL.map(|pair| (pair.as_str(), pair));
                let pair = self.problems.choice(at, algorithm, KeyPair::EdDsa, &words);
                mesh_secret.map(|secret| AssertionKey::derived(pair, secret.expose()))
            }
            (Field::Absent, variable, Field::Absent) => {
                let at = format!("{path}.hs256_secret_env");
                if is_app {
                    self.problems.push(&at, APP_ONLY);
                }
                let variable = self.problems.text(&at, variable)?;
                self.secret(&at, &variable, KEY_MIN_BYTES).map(|secret| AssertionKey::hs256(&secret))
            }
            (key, Field::Absent, Field::Absent) => {
                let at = format!("{path}.key");
                self.problems.choice(&at, key, (), DERIVED);
                // Rule E6: whoever holds the app's key can be anybody there, so no upstream may hold it.
                if !is_app {
                    self.problems.push(at, format_args!("`mesh` is for the audience `{APP_AUDIENCE}` alone"));
                }
                let derived = |secret: &Secret| Secret::new(keys::app_identity_key(secret.expose()).to_vec());
                mesh_secret.map(|secret| AssertionKey::hs256(&derived(secret)))
            }
            _ => {
                self.problems.push(path, "has more than one of `algorithm`, `hs256_secret_env` and `key`");
                None
            }
        }
    }
}
