// What of a JWK may be seen by everybody.
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi"];

export const publicOf = (jwk) => Object.fromEntries(Object.entries(jwk).filter(([name]) => !PRIVATE.includes(name)));
