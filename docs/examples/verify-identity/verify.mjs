import { createRemoteJWKSet, jwtVerify } from "jose";

export function verifier(jwksUrl, audience) {
  const keys = createRemoteJWKSet(new URL(jwksUrl)); // keeps what it fetched, and looks again for a new `kid`
  const wanted = {
    issuer: "sekisho", audience, algorithms: ["EdDSA", "ES256"], typ: "sekisho-identity+jwt",
    requiredClaims: ["exp", "iat", "sub"], clockTolerance: 5,
  };
  return async (assertion) => (await jwtVerify(assertion, keys, wanted)).payload;
}
