// What becomes of the provider's answers on their way out: they are noted, and changed where a story wants that.
import { appendFileSync } from "node:fs";
import { resign } from "./forge.mjs";

// Calls `change` with the whole body before anything of it leaves. oidc-provider ends each answer in one piece.
export function beforeItLeaves(response, change) {
  const { end } = response;
  response.end = async (body) => {
    const changed = await change(body === undefined ? "" : String(body));
    if (body !== undefined) response.setHeader("content-length", Buffer.byteLength(changed));
    end.call(response, body === undefined ? undefined : changed);
  };
}

// `wrong.id_token` changes ID tokens (`forge.mjs`).
export async function tokenAnswer(body, { wrong, signer, secrets }) {
  if (!body.startsWith("{")) return body;
  const answer = JSON.parse(body);
  if (answer.id_token && wrong.id_token) answer.id_token = await resign(answer.id_token, wrong.id_token, signer);
  remember(secrets, [answer.access_token, answer.refresh_token, answer.id_token]);
  return JSON.stringify(answer);
}

// `wrong.callback` has parameters that replace those with which a browser is sent back; null takes one away.
export function callbackOf(location, { wrong, redirects, secrets }) {
  const url = URL.parse(location);
  if (!url || !redirects.includes(url.origin + url.pathname)) return location;
  remember(secrets, [url.searchParams.get("code")]);
  for (const [name, value] of Object.entries(wrong.callback ?? {})) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}

// Nobody may ever find these in a log or in a database: stories look for them when they end.
function remember(file, values) {
  for (const value of values) if (value) appendFileSync(file, `${value}\n`);
}
