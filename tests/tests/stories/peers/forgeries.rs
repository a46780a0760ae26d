//! Tokens that nobody signed who may: tampered with, signed with another key, or with an algorithm that the key
//! is not for (RFC 8725 §2.1, §3.1). They are made from what PyJWT and jose made.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use e2e::peers::mint::MAKERS;
use e2e::peers::minted::{ALGORITHMS, claims, header};
use e2e::peers::{Maker, Minted};
use e2e::token::compact;
use e2e::{Shared, World, story};
use serde_json::{Value, json};

use super::table::{Batch, Case, encoded, expect_refusals};
use super::{BY_HOST, IN_WASM};

const SIGNATURE: &[&str] = &["token_signature"];
/// The first thing that is wrong with such a token may depend on who looks.
const KEY_OR_ALGORITHM: &[&str] = &["token_key", "token_algorithm", "token_signature"];

#[test]
fn a_token_that_was_tampered_with_is_refused_whatever_the_algorithm() {
    in_both_worlds(async |world| expect_refusals(world, &tampered()?).await);
}

#[test]
fn a_token_of_a_key_that_is_not_published_is_refused_whatever_the_algorithm() {
    in_both_worlds(async |world| {
        for maker in MAKERS {
            expect_refusals(world, &of_strangers(maker)?).await?;
        }
        Ok(())
    });
}

#[test]
fn a_key_verifies_no_algorithm_but_its_own() {
    in_both_worlds(async |world| {
        for maker in MAKERS {
            expect_refusals(world, &of_confused_keys(maker)?).await?;
        }
        Ok(())
    });
}

#[test]
fn a_public_key_is_nobodys_secret() {
    in_both_worlds(async |world| {
        for maker in MAKERS {
            expect_refusals(world, &of_public_secrets(Minted::by(maker))?).await?;
        }
        Ok(())
    });
}

#[test]
fn no_issuer_speaks_for_another() {
    in_both_worlds(async |world| {
        for (signer, claimed) in [(Maker::PyJwt, Maker::Jose), (Maker::Jose, Maker::PyJwt)] {
            let claims = claims(claimed.issuer(), "ann@example.com");
            let mut batch = Batch::of(signer);
            // Both share their secrets with the filter, and these are the same here.
            for (algorithm, _) in ALGORITHMS.into_iter().filter(|(_, kind)| *kind != "oct") {
                let what = format!("{algorithm} of {signer:?} in the name of {claimed:?}");
                batch.add(what, Minted::by(signer).key(algorithm)?, (algorithm, header(algorithm)), &claims, SIGNATURE);
            }
            expect_refusals(world, &batch.cases()?).await?;
        }
        Ok(())
    });
}

fn in_both_worlds(tell: impl AsyncFn(&World) -> Result<()>) {
    for world in [&BY_HOST, &IN_WASM] as [&'static Shared; 2] {
        story(world, async |world| tell(world).await);
    }
}

/// Every algorithm of PyJWT, each of its tokens damaged in other ways.
fn tampered() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (algorithm, _) in ALGORITHMS {
        let token = Minted::by(Maker::PyJwt).tokens(algorithm)?[0].text;
        let parts = Parts::of(token)?;
        let signature = URL_SAFE_NO_PAD.decode(parts.signature)?;
        let length = signature.len();
        let mut add =
            |what: &str, token: String| cases.push(Case::new(format!("{algorithm}: {what}"), token, SIGNATURE));
        for (what, at) in [("first", 0), ("middle", length / 2), ("last", length - 1)] {
            let mut signature = signature.clone();
            signature[at] ^= 1;
            add(&format!("the {what} byte of the signature"), parts.signed_with(&signature));
        }
        add("a byte less of signature", parts.signed_with(&signature[..length - 1]));
        add("a byte more of signature", parts.signed_with(&[&signature[..], &[0]].concat()));
        add("half the signature", parts.signed_with(&signature[..length / 2]));
        add("no signature", parts.signed_with(&[]));
        // Libraries have taken r = s = 0 for an ECDSA signature of anything.
        add("zeros for a signature", parts.signed_with(&vec![0; length]));
        let mut claims = parts.claims()?;
        claims["email"] = "root@example.com".into();
        add("other claims", format!("{}.{}.{}", parts.header, encoded(&claims), parts.signature));
        let mut other = header(algorithm);
        other["alg"] = algorithm.into();
        other["cty"] = "text/plain".into();
        add("another header", format!("{}.{}.{}", encoded(&other), parts.claims, parts.signature));
    }
    Ok(cases)
}

/// By keys of the right type: under the name of a published key, under another name, and without one.
fn of_strangers(maker: Maker) -> Result<Vec<Case>> {
    let claims = claims(maker.issuer(), "ann@example.com");
    let mut batch = Batch::of(maker);
    for (algorithm, _) in ALGORITHMS {
        let key = Minted::by(maker).stranger(algorithm)?;
        for (what, header, codes) in [
            ("the name of a published key", header(algorithm), SIGNATURE),
            ("a name that no key has", json!({"kid": "nobody"}), KEY_OR_ALGORITHM),
            ("no name", json!({}), SIGNATURE),
        ] {
            batch.add(format!("{algorithm} of {maker:?}, {what}"), key, (algorithm, header), &claims, codes);
        }
    }
    batch.cases()
}

/// By the private key that is published for one algorithm, with another that it could be used for.
fn of_confused_keys(maker: Maker) -> Result<Vec<Case>> {
    let claims = claims(maker.issuer(), "ann@example.com");
    let mut batch = Batch::of(maker);
    for (own, kind) in ALGORITHMS.into_iter().filter(|(_, kind)| ["RSA", "oct"].contains(kind)) {
        let key = Minted::by(maker).key(own)?;
        for (other, _) in ALGORITHMS.into_iter().filter(|(other, of)| *of == kind && *other != own) {
            let what = format!("{other} with the key of {maker:?} for {own}");
            batch.add(what, key, (other, header(own)), &claims, KEY_OR_ALGORITHM);
        }
    }
    batch.cases()
}

/// What everybody knows of each published key, taken for the secret of HS256, which this issuer uses as well.
fn of_public_secrets(set: &Minted) -> Result<Vec<Case>> {
    let claims = claims(set.maker().issuer(), "ann@example.com").to_string();
    let mut cases = Vec::new();
    for (algorithm, _) in ALGORITHMS.into_iter().filter(|(_, kind)| *kind != "oct") {
        let key = set.key(algorithm)?;
        let (pem, jwk) = (key.pem.as_deref().context("no PEM")?, key.public.as_ref().context("no public key")?);
        let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>())?;
        let material = jwk.get("n").or(jwk.get("x")).and_then(Value::as_str).context("no key material")?;
        for (what, secret) in [
            ("PEM", pem.as_bytes().to_vec()),
            ("PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
            ("DER", der),
            ("JWK", jwk.to_string().into_bytes()),
            ("modulus or point", URL_SAFE_NO_PAD.decode(material)?),
            ("modulus or point as text", material.as_bytes().to_vec()),
        ] {
            for header in [json!({"alg": "HS256", "kid": algorithm}), json!({"alg": "HS256"})] {
                let token = compact(&secret, &header.to_string(), &claims);
                let what = format!("{header} with the {what} of the {algorithm} key of {:?}", set.maker());
                cases.push(Case::new(what, token, KEY_OR_ALGORITHM));
            }
        }
    }
    Ok(cases)
}

struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self> {
        let mut parts = token.split('.');
        let mut next = || parts.next().context("not three parts");
        Ok(Self { header: next()?, claims: next()?, signature: next()? })
    }

    fn signed_with(&self, signature: &[u8]) -> String {
        format!("{}.{}.{}", self.header, self.claims, URL_SAFE_NO_PAD.encode(signature))
    }

    fn claims(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.claims)?)?)
    }
}
