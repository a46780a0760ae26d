// An OpenID provider of npm's oidc-provider, and a second port by which a story commands it:
// `provider.mjs --port P --control Q --keys FILE --algorithm ALG [--mute]`. A mute one signs, but publishes nothing.
//
// It signs access tokens (RFC 9068) for whoever asks with the client credentials below. oidc-provider has no
// notion of rotation: its keys are fixed when it is made, and an operator restarts it. Here another one is made
// with other keys, which takes over the same port between two requests. The keys are kept in FILE, so that
// a provider that was killed comes back with them.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { installed } from "./installed.mjs";
import { publicOf } from "./keys.mjs";
import { misbehave } from "./misbehave.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string" },
    control: { type: "string" },
    keys: { type: "string" },
    algorithm: { type: "string" },
    mute: { type: "boolean", default: false },
  },
});
const { exportJWK, generateKeyPair } = await installed("jose");
const { Provider } = await installed("oidc-provider");

const ISSUER = `http://127.0.0.1:${options.port}`;
const CLIENT = {
  client_id: "stories",
  client_secret: "known to every story",
  token_endpoint_auth_method: "client_secret_post",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: options.algorithm,
};
const AUDIENCE = "urn:sekisho:stories";
const LIFETIME_S = 600;

// What is published, and which of it signs.
let keys = { published: [], signing: undefined };
let serve;

async function newKey() {
  const { privateKey } = await generateKeyPair(options.algorithm, { extractable: true });
  const kid = `key-${Date.now()}-${keys.published.length}`;
  return { ...(await exportJWK(privateKey)), kid, alg: options.algorithm, use: "sig" };
}

// Publishes `published` from the next request on, and signs with the one that `signing` names.
function become(published, signing) {
  keys = { published, signing };
  writeFileSync(options.keys, JSON.stringify(keys));
  const provider = new Provider(ISSUER, {
    jwks: { keys: published },
    clients: [CLIENT],
    scopes: ["api:read", "api:write"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resource(signing) },
    },
    // Who a token is for is the caller's choice: one provider serves many users of many stories.
    extraTokenClaims: (ctx) => claimsOf(ctx.oidc.body),
  });
  provider.on("server_error", (_, error) => console.error(error));
  serve = provider.callback();
}

const resource = (kid) => ({
  scope: "api:read api:write",
  audience: AUDIENCE,
  accessTokenFormat: "jwt",
  accessTokenTTL: LIFETIME_S,
  jwt: { sign: { alg: options.algorithm, kid } },
});

const claimsOf = ({ email }) => (email ? { email, email_verified: true } : {});

// What was asked for, in order, with the time of each request.
const visits = [];
const DOCUMENTS = {
  "/.well-known/openid-configuration": "discovery",
  "/.well-known/oauth-authorization-server": "discovery",
  "/jwks": "jwks",
};
// As little as is right, for answers that are wrong in another respect.
const RIGHT = {
  discovery: () => ({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }),
  jwks: () => ({ keys: keys.published.map(publicOf) }),
};
// How the answers of each kind of document go wrong, if they do.
const MUTE = { status: 503 };
const behaviour = options.mute ? { discovery: MUTE, jwks: MUTE } : {};

const provider = createServer((request, response) => {
  const document = DOCUMENTS[new URL(request.url, ISSUER).pathname];
  if (document) visits.push({ what: document, at_ms: Date.now() });
  const how = behaviour[document];
  if (how) return misbehave(how, response, { well: () => serve(request, response), document: RIGHT[document]() });
  return serve(request, response);
});

const orders = {
  // A new key is published, and signs at once or only after a later order.
  async "POST /rotate"({ use }) {
    const key = await newKey();
    become([...keys.published, key], use === "at once" ? key.kid : keys.signing);
    return { kid: key.kid };
  },
  // The newest key signs.
  "POST /use"() {
    become(keys.published, keys.published.at(-1).kid);
    return { kid: keys.signing };
  },
  // All keys but the one that signs are taken back.
  "POST /retire"() {
    become(keys.published.filter(({ kid }) => kid === keys.signing), keys.signing);
    return { kid: keys.signing };
  },
  "POST /behave"({ what, how }) {
    behaviour[what] = how;
    return {};
  },
  "GET /visits": () => visits,
  "GET /keys": () => ({ signing: keys.signing, published: keys.published.map(({ kid }) => kid) }),
};

const control = createServer(async (request, response) => {
  const order = orders[`${request.method} ${request.url}`];
  // Whatever else arrives here was led here by a redirect or by a token: nobody should ask for it.
  if (!order) visits.push({ what: "elsewhere", at_ms: Date.now() });
  const body = request.method === "POST" && order ? await json(request) : {};
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(order ? await order(body) : { keys: [] }));
});

if (existsSync(options.keys)) {
  const { published, signing } = JSON.parse(readFileSync(options.keys, "utf8"));
  become(published, signing);
} else {
  const key = await newKey();
  become([key], key.kid);
}
provider.listen(Number(options.port), "127.0.0.1");
control.listen(Number(options.control), "127.0.0.1");
