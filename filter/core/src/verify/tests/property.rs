//! Whatever is accepted here, an independent verifier (jwt-simple) accepts, too: tokens of every algorithm that it
//! has (all but ES512), with headers and claims of all kinds, rightly signed or not, whole or touched somewhere.

use std::cell::Cell;
use std::collections::HashSet;

use ed25519_dalek::Signer as _;
use jwt_simple::prelude::*;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::{BigUint, Pss, RsaPrivateKey, rand_core};
use sha2::{Digest as _, Sha384, Sha512};

use super::*;

const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

fn bytes(value: &Value) -> Vec<u8> {
    B64.decode(value.as_str().unwrap()).unwrap()
}

fn private(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("private.json")).unwrap();
    all[name].clone()
}

/// Salts of PSS need not be random here.
struct Counter(u64);

impl rand_core::RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, dest);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand_core::CryptoRng for Counter {}

fn rsa_key() -> RsaPrivateKey {
    let (public, private) = (jwk("rsa"), private("rsa"));
    let number = |value: &Value| BigUint::from_bytes_be(&bytes(value));
    let primes = vec![number(&private["p"]), number(&private["q"])];
    RsaPrivateKey::from_components(number(&public["n"]), number(&public["e"]), number(&private["d"]), primes).unwrap()
}

fn tag<M: Mac + KeyInit>(secret: u8, length: usize, text: &[u8]) -> Vec<u8> {
    let mac = <M as KeyInit>::new_from_slice(&vec![secret; length]).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// The signature of `text` under the fixtures' private keys.
fn signature(algorithm: Algorithm, text: &[u8]) -> Vec<u8> {
    use rsa::sha2::{Sha256 as Rsa256, Sha384 as Rsa384, Sha512 as Rsa512};
    let digests = || (Sha256::digest(text), Sha384::digest(text), Sha512::digest(text));
    let (d256, d384, d512) = digests();
    let pkcs1 = |padding, digest: &[u8]| rsa_key().sign(padding, digest).unwrap();
    let pss = |padding, digest: &[u8]| rsa_key().sign_with_rng(&mut Counter(7), padding, digest).unwrap();
    match algorithm {
        Algorithm::Hs256 => tag::<Hmac<Sha256>>(b'j', 32, text),
        Algorithm::Hs384 => tag::<Hmac<Sha384>>(b'k', 48, text),
        Algorithm::Hs512 => tag::<Hmac<Sha512>>(b'l', 64, text),
        Algorithm::Rs256 => pkcs1(Pkcs1v15Sign::new::<Rsa256>(), &d256),
        Algorithm::Rs384 => pkcs1(Pkcs1v15Sign::new::<Rsa384>(), &d384),
        Algorithm::Rs512 => pkcs1(Pkcs1v15Sign::new::<Rsa512>(), &d512),
        Algorithm::Ps256 => pss(Pss::new::<Rsa256>(), &d256),
        Algorithm::Ps384 => pss(Pss::new::<Rsa384>(), &d384),
        Algorithm::Ps512 => pss(Pss::new::<Rsa512>(), &d512),
        Algorithm::Es256 => {
            let key = p256::ecdsa::SigningKey::from_slice(&bytes(&private("p256")["d"])).unwrap();
            let signature: p256::ecdsa::Signature = key.sign_prehash(&d256).unwrap();
            signature.to_bytes().to_vec()
        }
        Algorithm::Es384 => {
            let key = p384::ecdsa::SigningKey::from_slice(&bytes(&private("p384")["d"])).unwrap();
            let signature: p384::ecdsa::Signature = key.sign_prehash(&d384).unwrap();
            signature.to_bytes().to_vec()
        }
        Algorithm::Es512 => {
            let key = p521::ecdsa::SigningKey::from_slice(&bytes(&private("p521")["d"])).unwrap();
            let signature: p521::ecdsa::Signature = key.sign_prehash(&d512).unwrap();
            signature.to_bytes().to_vec()
        }
        Algorithm::EdDsa => {
            let seed = bytes(&private("ed25519")["d"]).try_into().unwrap();
            ed25519_dalek::SigningKey::from_bytes(&seed).sign(text).to_bytes().to_vec()
        }
    }
}

/// Whether jwt-simple accepts the token under the fixtures' key of this algorithm.
fn independent(algorithm: Algorithm, token: &str) -> Result<(), String> {
    let set = |text: &str| Some(HashSet::from([text.to_owned()]));
    let options = VerificationOptions {
        allowed_issuers: set("https://issuer.example"),
        allowed_audiences: set("litellm-api"),
        time_tolerance: Some(Duration::from_secs(30)),
        artificial_time: Some(UnixTimeStamp::from_secs(NOW)),
        ..VerificationOptions::default()
    };
    let rsa = || (bytes(&jwk("rsa")["n"]), bytes(&jwk("rsa")["e"]));
    let point = |name: &str| [vec![4], bytes(&jwk(name)["x"]), bytes(&jwk(name)["y"])].concat();
    macro_rules! by {
        ($key:expr) => {{
            let claims: Result<JWTClaims<NoCustomClaims>, _> = $key.verify_token(token, Some(options));
            claims.map(drop)
        }};
    }
    let (n, e) = rsa();
    let result = match algorithm {
        Algorithm::Hs256 => by!(HS256Key::from_bytes(&[b'j'; 32])),
        Algorithm::Hs384 => by!(HS384Key::from_bytes(&[b'k'; 48])),
        Algorithm::Hs512 => by!(HS512Key::from_bytes(&[b'l'; 64])),
        Algorithm::Rs256 => by!(RS256PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Rs384 => by!(RS384PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Rs512 => by!(RS512PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Ps256 => by!(PS256PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Ps384 => by!(PS384PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Ps512 => by!(PS512PublicKey::from_components(&n, &e).unwrap()),
        Algorithm::Es256 => by!(ES256PublicKey::from_bytes(&point("p256")).unwrap()),
        Algorithm::Es384 => by!(ES384PublicKey::from_bytes(&point("p384")).unwrap()),
        Algorithm::Es512 => return Err("jwt-simple has no ES512".into()),
        Algorithm::EdDsa => by!(Ed25519PublicKey::from_bytes(&bytes(&jwk("ed25519")["x"])).unwrap()),
    };
    result.map_err(|error| error.to_string())
}

fn desk() -> Desk {
    let mut all = json!({"hs256_secret_env": "JWT", "hs384_secret_env": "JWT384", "hs512_secret_env": "JWT512"});
    all["jwks"] = jwks();
    let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
    all["algorithms"] = json!(names);
    Desk::with(all)
}

/// Something written in a header beside `alg`.
fn header_members() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(""),
        1 => proptest::sample::select(vec![
            r#","typ":"JWT""#, r#","typ":"at+jwt""#, r#","typ":"logout+jwt""#, r#","typ":"JOSE""#, r#","typ":7"#,
            r#","kid":"rsa""#, r#","kid":"nobody""#, r#","kid":7"#, r#","cty":"JWT""#, r#","cty":"x""#, r#","crit":["exp"]"#,
            r#","crit":[]"#, r#","b64":false"#, r#","zip":"DEF""#, r#","jku":"https://evil.example""#, r#","alg":"none""#,
            r#","\u0061lg":"HS256""#, r#","x":{"y":[1,2]}"#, r#","x":{"y":1,"y":2}"#,
        ]),
    ]
}

/// What a header says its algorithm is, if not the truth.
fn lies() -> impl Strategy<Value = Option<&'static str>> {
    let names = vec!["none", "None", "HS256", "HS384", "RS256", "PS256", "ES256", "EdDSA", "Ed25519", "hs256", ""];
    prop_oneof![8 => Just(None), 1 => proptest::sample::select(names).prop_map(Some)]
}

/// A claim as it is written, and in between whatever else there is.
fn claim(name: &'static str, good: String) -> impl Strategy<Value = String> {
    let written = proptest::sample::select(vec![
        "null",
        "0",
        "-1",
        "1.5",
        "1e3",
        "1800000000",
        "1800000031",
        "1799999969",
        "1799999970",
        "253402300799",
        "253402300800",
        "18446744073709551615",
        "\"\"",
        "\"1800003600\"",
        "\"https://issuer.example\"",
        "\"litellm-api\"",
        "[\"litellm-api\"]",
        "[\"x\",\"litellm-api\"]",
        "[]",
        "{}",
        "true",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "[[[[[[1]]]]]]",
    ]);
    prop_oneof![
        40 => Just(format!("\"{name}\":{good},")),
        1 => Just(String::new()),
        2 => written.prop_map(move |written| format!("\"{name}\":{written},")),
        1 => Just(format!("\"{name}\":{good},\"{name}\":{good},")),
    ]
}

fn payload() -> impl Strategy<Value = String> {
    (
        claim("iss", "\"https://issuer.example\"".into()),
        claim("aud", "\"litellm-api\"".into()),
        claim("sub", "\"ann\"".into()),
        claim("exp", (NOW + 60).to_string()),
        claim("iat", (NOW - 60).to_string()),
        claim("nbf", (NOW - 60).to_string()),
        claim("jti", "\"t\"".into()),
    )
        .prop_map(|(iss, aud, sub, exp, iat, nbf, jti)| format!("{{{iss}{aud}{sub}{exp}{iat}{nbf}{jti}\"z\":0}}"))
}

/// A change of the finished token: nothing, or bytes exchanged, left out, put in, or repeated.
fn touch() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
    prop_oneof![3 => Just(Vec::new()), 2 => proptest::collection::vec((0..4_u8, any::<usize>(), any::<u8>()), 1..3)]
}

fn touched(token: String, changes: &[(u8, usize, u8)]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/";
    let mut bytes = token.into_bytes();
    for (kind, at, byte) in changes {
        let (at, byte) = (at % bytes.len().max(1), ALPHABET[usize::from(*byte) % ALPHABET.len()]);
        match kind {
            0 if !bytes.is_empty() => bytes[at] = byte,
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn tokens_that_are_right_are_accepted_by_both() {
    let payload = json!({"iss": "https://issuer.example", "aud": "litellm-api", "sub": "ann", "exp": NOW + 60});
    for algorithm in ALGORITHMS {
        let text = format!("{}.{}", B64.encode(format!(r#"{{"alg":"{algorithm}"}}"#)), B64.encode(payload.to_string()));
        let token = format!("{text}.{}", B64.encode(signature(algorithm, text.as_bytes())));
        assert_eq!(desk().verify(&token).err(), None, "{algorithm}");
        assert_eq!(independent(algorithm, &token), Ok(()), "{algorithm}");
        assert_eq!(independent(algorithm, &made(algorithm)), Ok(()), "{algorithm}");
    }
}

#[test]
fn what_is_accepted_here_an_independent_verifier_accepts() {
    let cases = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let algorithm = proptest::sample::select(ALGORITHMS.to_vec());
    let strategy = (algorithm, lies(), header_members(), payload(), touch());
    let accepted = Cell::new(0);
    let result = TestRunner::new(cases).run(&strategy, |(algorithm, lie, members, payload, changes)| {
        let header = format!(r#"{{"alg":"{}"{members}}}"#, lie.unwrap_or(algorithm.as_str()));
        let text = format!("{}.{}", B64.encode(header), B64.encode(&payload));
        let token = touched(format!("{text}.{}", B64.encode(signature(algorithm, text.as_bytes()))), &changes);
        if desk().verify(&token).is_ok() {
            accepted.set(accepted.get() + 1);
            prop_assert_eq!(independent(algorithm, &token), Ok(()), "{} {}", algorithm, payload);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(accepted.get() > 60, "only {} tokens were accepted: that shows little", accepted.get());
}
