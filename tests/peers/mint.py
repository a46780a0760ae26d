"""Makes keys and tokens with cryptography and PyJWT: one request on standard input, one answer on standard
output, as README.md beside it shows them."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import algorithms, encode

CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
# How PyJWT reads and writes a JWK, by the JWK's type.
FORMATS = {
    "RSA": algorithms.RSAAlgorithm,
    "EC": algorithms.ECAlgorithm,
    "OKP": algorithms.OKPAlgorithm,
    "oct": algorithms.HMACAlgorithm,
}


def generate(wanted):
    """A new private key, and how it is written as a JWK."""
    kind = wanted["type"]
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=wanted.get("bits", 2048)), FORMATS["RSA"]
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate(), FORMATS["OKP"]
    return ec.generate_private_key(CURVES[kind]()), FORMATS["EC"]


def key_of(wanted):
    if "jwk" not in wanted:
        return generate(wanted)
    form = FORMATS[wanted["jwk"]["kty"]]
    return form.from_jwk(json.dumps(wanted["jwk"])), form


def shown(key, form):
    if form is FORMATS["oct"]:
        return {"private": form.to_jwk(key, as_dict=True)}
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"private": jwk(key, form), "public": jwk(public, form), "pem": pem}


def jwk(key, form):
    # PyJWT adds what a key is for; that is left to whoever publishes it.
    return {name: value for name, value in form.to_jwk(key, as_dict=True).items() if name != "key_ops"}


def main():
    request = json.load(sys.stdin)
    keys = {wanted["name"]: key_of(wanted) for wanted in request["keys"]}
    tokens = [
        encode(token["claims"], keys[token["key"]][0], algorithm=token["algorithm"], headers=token.get("header"))
        for token in request["tokens"]
    ]
    json.dump({"keys": {name: shown(*key) for name, key in keys.items()}, "tokens": tokens}, sys.stdout)


main()
