// Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4): right ones, and wrong ones as a story wants them.
import { randomUUID } from "node:crypto";
import { sign } from "./forge.mjs";
import { all } from "./memory.mjs";
import { subjectOf } from "./people.mjs";
import { post } from "./post.mjs";

const EVENT = "http://schemas.openid.net/event/backchannel-logout";

// The sessions of `email` with the client, the newest last.
export function sessionsOf(email) {
  const subject = subjectOf(email);
  const of = all("Session").filter(({ accountId }) => accountId === subject);
  return of.flatMap(({ authorizations }) => Object.values(authorizations ?? {}).map(({ sid }) => ({ sub: subject, sid })));
}

// `about` is `sid`, `sub` or `both`; `changes` as in `forge.mjs`, `sid` another one than that of the newest session.
export async function logoutToken({ email, sid, about, changes }, { issuer, client, signer }) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: client.client_id, iat: now, exp: now + 120, jti: randomUUID(), events: { [EVENT]: {} } };
  if (about !== "sid") claims.sub = subjectOf(email);
  if (about !== "sub") claims.sid = sid ?? sessionsOf(email).at(-1)?.sid;
  return sign(claims, { ...changes, header: { typ: "logout+jwt", ...changes?.header } }, signer);
}

export async function send(token, client) {
  return { ...(await post(client.backchannel_logout_uri, new URLSearchParams({ logout_token: token }).toString())), token };
}
