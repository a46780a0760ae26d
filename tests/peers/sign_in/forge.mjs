// Tokens that differ from the provider's own in what a story says:
// `{ claims, without, header, signature }`, where `signature` is `right`, `broken`, `stranger`, `none` or `secret`.
import { installed } from "../installed.mjs";

const { SignJWT, UnsecuredJWT, decodeJwt, generateKeyPair, importJWK } = await installed("jose");

// `signer` is the key that signs and the client's secret.
export async function sign(claims, changes, signer) {
  const changed = { ...claims, ...changes.claims };
  for (const name of changes.without ?? []) delete changed[name];
  const { alg, kid } = signer.jwk;
  const header = { alg, kid, ...changes.header };
  const signed = (key, head = header) => new SignJWT(changed).setProtectedHeader(head).sign(key);
  switch (changes.signature ?? "right") {
    case "right":
      return signed(await importJWK(signer.jwk, alg));
    case "broken": {
      const token = await signed(await importJWK(signer.jwk, alg));
      const at = token.lastIndexOf(".") + 10;
      return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    }
    // With another key under the name of ours.
    case "stranger":
      return signed((await generateKeyPair(alg)).privateKey);
    case "none":
      return new UnsecuredJWT(changed).encode();
    // RFC 8725 §2.1: a key of one kind taken for another, here the secret that both sides know.
    case "secret":
      return signed(new TextEncoder().encode(signer.secret), { ...header, alg: "HS256" });
    default:
      throw new Error(`no signature is ${changes.signature}`);
  }
}

// The same for a token that is there already.
export const resign = (token, changes, signer) => sign(decodeJwt(token), changes, signer);
