//! What the host proved that it can verify: a proxy without `verify_signature`, or one that answers *yes* to
//! everything, is not trusted with anything.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::algorithm::{Algorithm, Hash};

/// Signatures verified by the proxy, in native code.
pub trait HostCrypto: std::fmt::Debug {
    /// Whether `signature` over `text` is that of the public key (SubjectPublicKeyInfo, DER). RSA signatures are
    /// PKCS#1, ECDSA signatures are in DER. None: the host cannot tell.
    fn verify(&self, hash: Hash, public_key_spki_der: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// A host that can verify nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostCrypto for NoHost {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// For which algorithms a host proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostAbility(u16);

impl HostAbility {
    /// Nothing is left to the host.
    pub const NONE: Self = Self(0);

    /// Puts known signatures to the host, good ones and bad ones. It is trusted with an algorithm only if it
    /// told them apart.
    #[must_use]
    pub fn prove(host: &dyn HostCrypto) -> Self {
        let proved = PROOFS.iter().filter(|proof| proof.convinces(host));
        Self(proved.fold(0, |all, proof| all | bit(proof.algorithm)))
    }

    /// Whether the host verifies signatures of this algorithm.
    #[must_use]
    pub fn has(self, algorithm: Algorithm) -> bool {
        self.0 & bit(algorithm) != 0
    }

    /// The algorithms that the host verifies.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.has(*algorithm))
    }
}

fn bit(algorithm: Algorithm) -> u16 {
    1 << algorithm.index()
}

/// A signature that is known to be good.
struct Proof {
    algorithm: Algorithm,
    /// Base64 of its DER.
    key: &'static str,
    /// Base64.
    signature: &'static str,
}

impl Proof {
    /// Whether the host accepts the signature, and neither the same over another text nor another one.
    fn convinces(&self, host: &dyn HostCrypto) -> bool {
        let decode = |text| BASE64_STANDARD.decode(text).unwrap_or_default();
        let (key, signature) = (decode(self.key), decode(self.signature));
        let mut other = signature.clone();
        // The last bit belongs to the signature's number, so this is a signature of sound form.
        if let Some(last) = other.last_mut() {
            *last ^= 1;
        }
        let hash = self.algorithm.hash();
        host.verify(hash, &key, &signature, TEXT) == Some(true)
            && host.verify(hash, &key, &other, TEXT) == Some(false)
            && host.verify(hash, &key, &signature, OTHER_TEXT) == Some(false)
    }
}

const TEXT: &[u8] = b"sekisho: does this host verify signatures?";
const OTHER_TEXT: &[u8] = b"sekisho: does this host verify signatures!";

/// Made with another implementation (OpenSSL), from keys that were thrown away.
const PROOFS: [Proof; 6] = [
    Proof { algorithm: Algorithm::Rs256, key: RSA_KEY, signature: RS256 },
    Proof { algorithm: Algorithm::Rs384, key: RSA_KEY, signature: RS384 },
    Proof { algorithm: Algorithm::Rs512, key: RSA_KEY, signature: RS512 },
    Proof { algorithm: Algorithm::Es256, key: P256_KEY, signature: ES256 },
    Proof { algorithm: Algorithm::Es384, key: P384_KEY, signature: ES384 },
    Proof { algorithm: Algorithm::Es512, key: P521_KEY, signature: ES512 },
];

const RSA_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1rz3xBjeeSxYtuCgJAps6R1LdWEq3kdIE97boqsnZtO/GI13TyxwFeLEoQA4FGWSJ/\
    l333VojnirHb9Yb+75raf6gLoJqju5SHANSRPVKRemBssP3ADjNrX+j0lkBJlAyAmC2OQNuvLKmCd4+ta5BYMpr9yfdU9RQLiJnSokyDXYdxBu\
    1oar2glgM5kmNM9vjCrhy5PzjmO8ZBzOMoaZg5th7GKBi4FYp4gjGVHz7s3WZfMuf+azPofH+jChylMjMEGeOcwwsw3s1lhVGtKZsjFCk2uI/J\
    RaxI4ASJzT1c3RXf7M87SuW8Z4NnYv9rVK9p+I5bF50YpeX79shvChLwIDAQAB";
const RS256: &str = "qdslS6oidce1kX2hoYiqhYABUWGO8GzQzsKb9nKI/NeHjCHvJEsHvUSWXRYmzoxosP5mbBZKxjcaXCOvZP5uCq5yj3EqCRtvqrGH698Lz9U88X\
    KCKay01ApM62oLwK3jPBZu5gNTlGkM6Ll7Sf1PSZI45IegfNpGNbxy6K9BEsFU7j8RPlbUrY2mLrBGek1KuoW9l4sYg029rrrsSOraem5koyg4\
    P4xQmgu6C3XxSEZ/iI6LMlK62+DLQQFMjY89bFXeZxChLe/Go6DY8VTg/VRiJjgMR6YoxpDvVm7sTLY6JoScL7Oa+BM1G2f6zMosWi09Gtv8td\
    RMgSY1czcuRQ==";
const RS384: &str = "a3ODlA4lQu6g1msyJkkpySz4EQLfku5G1Ndp7EtM5DQqP+MxqRVo9j4dLZYS0yXzhjisJzUSv6SLGa1Qc7vPRzOKs7KRsYWtFQywuQjMNWN8n/\
    ri1dGcJq06Ip3J2OsoDbE7cIK+MsO3p4O5V5WfR8EL16Tc1od5dss0DpzmJovrrCb1b03iWfdXicWfYlHpQ0cOt8yd2vzRb54gAZ1lirLBKNMl\
    RLc87gnFuJdGpYdS9MIjT0znZ3HvKs7SnjyjpD4p3kXje4LqVfoYmKsTlipxR8SCHe10Cc2GhBzhC6fH9uoFjKGeoLO5MMT1Bw1gh31DAd7rNs\
    hxtw/Z0sE8uw==";
const RS512: &str = "zc8pf10+lSqlyKZkb2WSvcCtNHGLkVgjam03UNXSLs+rwiEl+1jh5R45CLdWmah4gx0fq6jH8b1uSW7QEvJO3HnG9mwaokJ+7bRqogKUhHSPYB\
    I4xgEJ6nadldy0EhhUbWbodFyY+GkND1ZZ5HwoRrv2bwGHDjFFYB2+dVzyOGIvQRrIePZkSSHI+lxg3LA2gDVn+rkNZ9Cxh1o3OP1d+W66Ag4o\
    bMyGAjKW9UjnjidTik0iszxOZsR8WHdv7bwCfcm46FNz6/JmS3MBtAtZVDxdHcUKNLZZ/nJIPKCGv12ecs5AOcAUptM6gKDAKIklOxkPT2G9Dt\
    Yg9UGt4TynWg==";
const P256_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEV3nuvHFyVLcTdIWa0+YE8fU178Om0WMjRMcdWARtznIqYZaVux9sU5NJxw3bJU3Zygs2OFHACZ\
    8NS7CUCvaj4A==";
const ES256: &str = "MEUCIQDOoXltn/T5JSMzBBQQpg66NCfJslI19UENUNCUq3nypQIgIJn4Pse425PiE+T3t3oHZHek7H06reKQY7iYoxZgdzA=";
const P384_KEY: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAESdLAYkRX3SPqaRfkkgkm0EvuKdG80Ogdf2661LPpT+7d7ktsbcNkiQunL6u1nj1pukG/3/uBWlArRT\
    gVUnJRN6eJSoucwyREM8dprxbx90s9ooDz1DQBN3tZhTVIKjl5";
const ES384: &str = "MGUCMQCs4BdiXHWAtIutWh2Q423ltu4fKkSZYdJc3WPzDldy1bxynQ63T/NURjkAKYW8//ECMGyMPybhpfYpnwUaaeneIEJblZZthsjgMOnA77\
    6LSWWaG9i8nHs0lACgjNWjNChYsg==";
const P521_KEY: &str = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAZ6wicSbJQuRBmyJxvJotc5B7AEEQDbGgIigyJjOcXfMsYjiW31SWZ/uUcc0GIFxmZO7eqb28W9\
    AyTK76Zd9npKQApwOrJTUhRUQ25O2IfXp/Jq32sRPSNEdvR9oG/f+4dveXruWD4aTxadEtdzqVbH3a7PwG9U9nZ6XNdvgnET1c/3I=";
const ES512: &str = "MIGIAkIBNt2UpjUxcH8nfAzsu3bpTMIALwOiMhwsiGoNb5Wz73AaXjRYp0H3t2Cx4OA0eaRswfWUrqlU/xwgqQ+O2sILL7ACQgGVbiQd5tqwGh\
    PeDIHHbdJhcnyCARqWSOlCYXzOIZIGb4Ao2MTirCG16rAC2RU0nEsQvXQlrnLVCsKYJRLjAlg7HA==";
