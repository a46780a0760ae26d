// An OpenID provider of npm's oidc-provider at which people sign in, and a second port by which a story commands it:
// `sign_in_provider.mjs --port P --control Q --secrets FILE --redirect URI… --after-sign-out URI… --backchannel URI`.
//
// FILE gets, line by line, every code and token that leaves. A login is a page with a form; `sign_in/` has the parts.
import { createServer } from "node:http";
import { json, text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { beforeItLeaves, callbackOf, tokenAnswer } from "./sign_in/answers.mjs";
import { clientOf, configurationOf } from "./sign_in/configuration.mjs";
import { logoutToken, send, sessionsOf } from "./sign_in/logout.mjs";
import { forgetSessionsOf, revokeGrantsOf } from "./sign_in/memory.mjs";
import { interact } from "./sign_in/pages.mjs";
import { claimsOf, describe, subjectOf } from "./sign_in/people.mjs";
import { installed } from "./installed.mjs";
import { publicOf } from "./keys.mjs";
import { misbehave } from "./misbehave.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string" },
    control: { type: "string" },
    secrets: { type: "string" },
    redirect: { type: "string", multiple: true },
    "after-sign-out": { type: "string", multiple: true },
    backchannel: { type: "string" },
    "client-id": { type: "string" },
    "client-secret": { type: "string" },
    "client-auth": { type: "string", default: "client_secret_basic" },
    algorithm: { type: "string", default: "RS256" },
  },
});
const { exportJWK, generateKeyPair } = await installed("jose");
const { Provider } = await installed("oidc-provider");

const ISSUER = `http://127.0.0.1:${options.port}`;
const client = clientOf(options);
// What a story may change at any time.
const settings = {
  access_ttl_s: 3600,
  id_token_ttl_s: 3600,
  refresh_tokens: "offline_access", // or "always", or "never"
  rotate: true,
  claims_in: "id_token", // or "userinfo"
  login_as: null, // an address: nobody is asked for a name
};
// How tokens and callbacks differ from what is right: see `sign_in/answers.mjs`.
const wrong = {};
// How the answers of each endpoint go wrong, and how many more times.
const behaviour = {};
// What was asked for, in order.
const visits = [];
let keys = [];
let provider;
let serve;

const signer = () => ({ jwk: keys[0], secret: options["client-secret"] });

// The newest key signs.
async function rotate() {
  const { privateKey } = await generateKeyPair(options.algorithm, { extractable: true });
  const kid = `key-${keys.length + 1}`;
  keys = [{ ...(await exportJWK(privateKey)), kid, alg: options.algorithm, use: "sig" }, ...keys];
  provider = new Provider(ISSUER, configurationOf(client, keys, settings));
  provider.on("server_error", (_, error) => console.error(error));
  serve = provider.callback();
  return { kid };
}

const ENDPOINTS = {
  "/.well-known/openid-configuration": "discovery",
  "/jwks": "jwks",
  "/auth": "authorization",
  "/token": "token",
  "/me": "userinfo",
  "/session/end": "end_session",
};
// The two kinds of questions to the token endpoint are counted, and go wrong, each by itself.
const GRANTS = { authorization_code: "exchange", refresh_token: "refresh" };
// As little as is right, for answers that are wrong in another respect.
const RIGHT = {
  discovery: () => ({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }),
  jwks: () => ({ keys: keys.map(publicOf) }),
};

async function visited(request, url) {
  let what = ENDPOINTS[url.pathname];
  if (what === "token") {
    // Read here and not there: oidc-provider takes it as a middleware would have left it.
    request.body = await text(request);
    what = GRANTS[new URLSearchParams(request.body).get("grant_type")] ?? what;
  }
  const parameters = what === "authorization" ? Object.fromEntries(url.searchParams) : undefined;
  if (what) visits.push({ what, at_ms: Date.now(), parameters });
  return what;
}

// The order of the story for `what`, if it still holds.
function orderFor(what) {
  const order = behaviour[what];
  if (!order || order.times === 0) return undefined;
  if (order.times) order.times -= 1;
  return order.how;
}

function answer(request, response, url) {
  if (url.pathname.startsWith("/interaction/")) return interact(provider, settings, request, response);
  const context = { wrong, signer: signer(), secrets: options.secrets, redirects: options.redirect };
  beforeItLeaves(response, (body) => {
    const location = response.getHeader("location");
    if (location) response.setHeader("location", callbackOf(location, context));
    return url.pathname === "/token" ? tokenAnswer(body, context) : body;
  });
  return serve(request, response);
}

const front = createServer(async (request, response) => {
  const url = new URL(request.url, ISSUER);
  // Browsers ask for it unasked, and complain if there is none.
  if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
  try {
    const what = await visited(request, url);
    const how = orderFor(what);
    if (!how) return await answer(request, response, url);
    const well = () => answer(request, response, url);
    return misbehave(how, response, { well, document: RIGHT[what]?.() });
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    return response.end();
  }
});

const listen = () => new Promise((resolve) => front.listen(Number(options.port), "127.0.0.1", resolve));

const orders = {
  "POST /settings": (changes) => Object.assign(settings, changes),
  // Gives what is said of them.
  "POST /person"(person) {
    describe(person);
    return claimsOf(person.email);
  },
  "POST /wrong": (changes) => Object.assign(wrong, changes),
  "POST /behave"({ what, how, times }) {
    behaviour[what] = how && { how, times };
    return {};
  },
  // Nobody listens, and no connection is left.
  "POST /down": () =>
    new Promise((resolve) => {
      front.close(() => resolve({}));
      front.closeAllConnections();
    }),
  async "POST /up"() {
    await listen();
    return {};
  },
  "POST /rotate": rotate,
  "POST /revoke": ({ email }) => ({ grants: revokeGrantsOf(subjectOf(email)) }),
  "POST /forget"({ email }) {
    forgetSessionsOf(subjectOf(email));
    return {};
  },
  "POST /sessions": ({ email }) => sessionsOf(email),
  "POST /logout": async (order) => send(await logoutToken(order, { issuer: ISSUER, client, signer: signer() }), client),
  "POST /logout-again": ({ token }) => send(token, client),
  "GET /visits": () => visits,
};

const control = createServer(async (request, response) => {
  const order = orders[`${request.method} ${request.url}`];
  const given = request.method === "POST" ? await json(request) : {};
  try {
    const result = order ? await order(given) : { error: "no such order" };
    response.writeHead(order ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(result));
  } catch (error) {
    console.error(error);
    response.writeHead(500);
    response.end(String(error));
  }
});

await rotate();
await listen();
control.listen(Number(options.control), "127.0.0.1");
