//! Which key signed a token: those of its provider that could have, tried one after the other.

use std::rc::Rc;

use super::algorithm::{Algorithm, Family};
use super::jws::Header;
use super::key::{Outcome, VerifyingKey};
use super::{Context, Invalid, Provider, Unverified};
use crate::sources::{CANDIDATES_MAX, Found, Otherwise, Wanted};

/// A signature and what it is over.
pub(super) struct Signed<'a> {
    pub(super) header: &'a Header,
    pub(super) text: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// The key of `provider` that the signature belongs to.
    pub(super) fn signer(
        &self,
        provider: &Provider,
        context: &mut Context<'_>,
    ) -> Result<Rc<VerifyingKey>, Unverified> {
        if !provider.accepts(self.header.algorithm) {
            return Err(Invalid::Algorithm.into());
        }
        let fetched = self.fetched(provider, context);
        let candidates = self.own(provider).chain(fetched.iter().flat_map(|found| &found.keys));
        let count = candidates.clone().take(CANDIDATES_MAX + 1).count();
        if count > CANDIDATES_MAX {
            return Err(Invalid::Key.into());
        }
        let mut unable = false;
        for key in candidates {
            match key.verify(self.header.algorithm, self.text, self.signature, &mut context.crypto, context.now) {
                Outcome::Fits => return Ok(Rc::clone(key)),
                Outcome::Differs => {}
                Outcome::Busy => return Err(Unverified::Busy),
                Outcome::Unable => unable = true,
            }
        }
        if unable {
            return Err(Unverified::KeysUnavailable);
        }
        Err(self.nobody(provider, fetched.map(|found| found.otherwise), count))
    }

    fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The keys of the configuration that the token may mean: a key need not have a name (RFC 7517 §4.5), and
    /// neither need a token (RFC 7515 §4.1.4).
    fn own<'p>(&self, provider: &'p Provider) -> impl Iterator<Item = &'p Rc<VerifyingKey>> + Clone {
        let (algorithm, listed) = (self.algorithm(), provider.algorithms.as_deref());
        let meant = move |key: &&Rc<VerifyingKey>| {
            key.is_for(algorithm, listed)
                && (self.key_id().is_none() || key.id().is_none() || key.id() == self.key_id())
        };
        provider.keys.iter().filter(meant)
    }

    /// What the provider's source has, unless the configuration itself names the key.
    fn fetched(&self, provider: &Provider, context: &Context<'_>) -> Option<Found> {
        let named = |key: &Rc<VerifyingKey>| key.id().is_some() && key.id() == self.key_id();
        // No secret is fetched.
        if self.algorithm().family() == Family::Hmac || provider.keys.iter().any(named) {
            return None;
        }
        let wanted = Wanted { kid: self.key_id(), algorithm: self.algorithm(), listed: provider.algorithms.as_deref() };
        let source = provider.source.as_deref()?;
        Some(context.sources.lookup(source, &wanted, context.announced, context.now))
    }

    /// Why no key verified it.
    fn nobody(&self, provider: &Provider, otherwise: Option<Otherwise>, tried: usize) -> Unverified {
        let source = provider.source.as_ref().map(Rc::clone);
        match (otherwise, source) {
            (Some(Otherwise::AskForSet), Some(source)) => Unverified::NeedsKeys { source, kid: None },
            (Some(Otherwise::AskForKey), Some(source)) => {
                Unverified::NeedsKeys { source, kid: self.header.key_id.clone() }
            }
            (Some(Otherwise::Unavailable), _) => Unverified::KeysUnavailable,
            _ if tried > 0 => Invalid::Signature.into(),
            (Some(Otherwise::Refuse(invalid)), _) => invalid.into(),
            _ => {
                let fits = |key: &Rc<VerifyingKey>| key.is_for(self.algorithm(), provider.algorithms.as_deref());
                let known = provider.keys.iter().any(fits);
                // With the right kind of key at hand it is the name that is not known.
                if known { Invalid::Key.into() } else { Invalid::Algorithm.into() }
            }
        }
    }
}
