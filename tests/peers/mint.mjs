// Makes keys and tokens with jose: one request on standard input, one answer on standard output, as README.md
// beside it shows them.
import { json } from "node:stream/consumers";
import { installed } from "./installed.mjs";
import { publicOf } from "./keys.mjs";

const jose = await installed("jose");

// jose generates keys for an algorithm; any one of the type does, since keys are read anew for each token.
const ALGORITHMS = { RSA: "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", Ed25519: "EdDSA" };

async function keyOf(wanted) {
  if (wanted.jwk) return { private: wanted.jwk };
  const options = { extractable: true, modulusLength: wanted.bits ?? 2048 };
  const { publicKey, privateKey } = await jose.generateKeyPair(ALGORITHMS[wanted.type], options);
  return { private: await jose.exportJWK(privateKey), pem: await jose.exportSPKI(publicKey) };
}

async function shown(key) {
  if (key.private.kty === "oct") return key;
  const open = publicOf(key.private);
  const read = () => jose.importJWK(open, ALGORITHMS[open.crv ?? open.kty]);
  return { private: key.private, public: open, pem: key.pem ?? (await jose.exportSPKI(await read())) };
}

async function tokenOf({ key: name, algorithm: alg, header, claims, encrypt }, keys) {
  const key = keys.get(name);
  const protectedHeader = { typ: "JWT", ...header, alg };
  if (encrypt) {
    const { public: recipient } = await shown(key);
    const sealed = new jose.EncryptJWT(claims).setProtectedHeader({ enc: "A256GCM", ...protectedHeader });
    return sealed.encrypt(await jose.importJWK(recipient, alg));
  }
  return new jose.SignJWT(claims).setProtectedHeader(protectedHeader).sign(await jose.importJWK(key.private, alg));
}

const request = await json(process.stdin);
const keys = new Map();
for (const wanted of request.keys) keys.set(wanted.name, await keyOf(wanted));
const tokens = await Promise.all(request.tokens.map((token) => tokenOf(token, keys)));
const named = await Promise.all([...keys].map(async ([name, key]) => [name, await shown(key)]));
process.stdout.write(JSON.stringify({ keys: Object.fromEntries(named), tokens }));
