// Who signs in. Anybody may, by an address alone; a story changes what the provider says of them.
import { createHash } from "node:crypto";

// By address: the claims that differ from the usual ones, how they signed in, and whether they are gone.
const people = new Map();

export const subjectOf = (email) => claimsOf(email).sub;

// Changes what is said of `email` from now on. A claim that is null is left out.
export function describe({ email, claims = {}, acr, amr, deleted = false }) {
  people.set(email, { claims, acr, amr, deleted });
  bySubject.set(claimsOf(email).sub, email);
}

export function claimsOf(email) {
  const name = email.split("@")[0];
  const usual = {
    sub: `subject-${createHash("sha256").update(email).digest("hex").slice(0, 16)}`,
    email,
    email_verified: true,
    name: name.charAt(0).toUpperCase() + name.slice(1),
    preferred_username: name,
    groups: ["staff"],
  };
  const claims = { ...usual, ...people.get(email)?.claims };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
}

// The result of a login, as oidc-provider wants it.
export function login(email) {
  const { sub } = claimsOf(email);
  bySubject.set(sub, email);
  const { acr, amr } = people.get(email) ?? {};
  return { login: { accountId: sub, acr, amr: amr ?? ["pwd"], remember: true } };
}

const bySubject = new Map();

// `claims_in` says where everything but the subject is told.
export function account(subject, claims_in) {
  const email = bySubject.get(subject);
  if (email === undefined || people.get(email)?.deleted) return undefined;
  return {
    accountId: subject,
    claims: (use) => (use === "id_token" && claims_in === "userinfo" ? { sub: subject } : { ...claimsOf(email), sub: subject }),
  };
}
