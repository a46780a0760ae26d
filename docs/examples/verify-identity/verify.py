import jwt  # PyJWT[crypto]


def verifier(jwks_url, audience):
    keys = jwt.PyJWKClient(jwks_url)  # keeps what it fetched, and looks again for a new `kid`
    wanted = {"issuer": "sekisho", "audience": audience, "algorithms": ["EdDSA", "ES256"], "leeway": 5}

    def who_asks(assertion):
        key = keys.get_signing_key_from_jwt(assertion)
        verified = jwt.decode_complete(assertion, key, **wanted, options={"require": ["exp", "iat", "sub"]})
        if verified["header"].get("typ") != "sekisho-identity+jwt":
            raise jwt.InvalidTokenError("this is no assertion")
        return verified["payload"]

    return who_asks
