// The provider's own pages, to be clicked in a browser as well as driven by plain HTTP.
import { text } from "node:stream/consumers";
import { login } from "./people.mjs";

const escaped = (value) => String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export const page = (title, body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title></head>
<body><main><h1>${title}</h1>
${body}
</main></body></html>
`;

const loginPage = (hint) =>
  page(
    "Sign in at the provider",
    `<form method="post"><p><label>Name <input type="text" name="login" value="${escaped(hint ?? "")}" autocomplete="username"></label></p>
<p><button type="submit">Sign in</button> <button type="submit" name="cancel" value="yes">Cancel</button></p></form>`,
  );

// Asks who it is, unless `settings.login_as` says it; consents to everything unasked.
export async function interact(provider, settings, request, response) {
  const { prompt, params, grantId, session } = await provider.interactionDetails(request, response);
  const finish = (result) => provider.interactionFinished(request, response, result);
  if (prompt.name === "consent") return finish(await consent(provider, { prompt, params, grantId, session }));
  if (settings.login_as) return finish(login(settings.login_as));
  if (request.method !== "POST") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end(loginPage(params.login_hint));
  }
  const form = new URLSearchParams(await text(request));
  if (form.has("cancel")) return finish({ error: "access_denied", error_description: "they changed their mind" });
  return finish(login(form.get("login")));
}

async function consent(provider, { prompt, params, grantId, session }) {
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
}

// `form` is oidc-provider's own, without buttons.
export function logoutPage(ctx, form) {
  const buttons = `<p><button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button type="submit" form="op.logoutForm">Stay signed in</button></p>`;
  ctx.body = page("Sign out at the provider?", form + buttons);
}

export function signedOutPage(ctx) {
  ctx.body = page("Signed out at the provider", "<p>You may close this window.</p>");
}

export function errorPage(ctx, out) {
  ctx.type = "html";
  ctx.body = page("The provider refuses", `<p>${escaped(out.error)}: ${escaped(out.error_description ?? "")}</p>`);
}
