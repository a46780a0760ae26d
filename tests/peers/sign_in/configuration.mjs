// How oidc-provider is set up: one confidential client, authorization code with PKCE, sign-out in both directions.
import { account } from "./people.mjs";
import { Memory } from "./memory.mjs";
import { errorPage, logoutPage, signedOutPage } from "./pages.mjs";
import { post } from "./post.mjs";

export const clientOf = (options) => ({
  client_id: options["client-id"],
  client_secret: options["client-secret"],
  token_endpoint_auth_method: options["client-auth"],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  redirect_uris: options.redirect,
  post_logout_redirect_uris: options["after-sign-out"],
  backchannel_logout_uri: options.backchannel,
  backchannel_logout_session_required: true,
  id_token_signed_response_alg: options.algorithm,
});

// `settings` may change at any time, the rest only with another provider.
export const configurationOf = (client, keys, settings) => ({
  adapter: Memory,
  jwks: { keys },
  clients: [client],
  cookies: { keys: ["signs the provider's cookies"] },
  scopes: ["openid", "offline_access", "email", "profile", "groups"],
  claims: {
    openid: ["sub", "acr", "amr", "auth_time"],
    email: ["email", "email_verified"],
    profile: ["name", "preferred_username", "groups"],
    groups: ["groups"],
  },
  acrValues: ["urn:stories:password", "urn:stories:mfa"],
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: logoutPage, postLogoutSuccessSource: signedOutPage },
    resourceIndicators: { enabled: false },
  },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  findAccount: (_, subject) => account(subject, settings.claims_in),
  issueRefreshToken: (_, __, { scopes }) =>
    settings.refresh_tokens === "always" || (settings.refresh_tokens === "offline_access" && scopes.has("offline_access")),
  rotateRefreshToken: () => settings.rotate,
  ttl: {
    AccessToken: () => settings.access_ttl_s,
    IdToken: () => settings.id_token_ttl_s,
    AuthorizationCode: 60,
    RefreshToken: 86_400,
    Interaction: 3_600,
    Session: 86_400,
    Grant: 86_400,
  },
  renderError: errorPage,
  // oidc-provider's own refuses to call this machine.
  fetch: async (url, { body }) => new Response(null, { status: (await post(url, String(body))).status }),
});
