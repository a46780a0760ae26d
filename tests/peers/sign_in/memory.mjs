// Where the provider keeps what it knows. oidc-provider's own memory forgets all but the newest thousand entries, and is
// made anew with each provider; this one keeps everything until the story is over.
const entries = new Map();

const isAlive = ({ until_ms }) => until_ms === undefined || until_ms > Date.now();

export class Memory {
  constructor(kind) {
    this.kind = kind;
  }

  async upsert(id, payload, ttl_s) {
    const until_ms = ttl_s === undefined ? undefined : Date.now() + ttl_s * 1000;
    entries.set(`${this.kind}:${id}`, { kind: this.kind, id, payload, until_ms });
  }

  async find(id) {
    const entry = entries.get(`${this.kind}:${id}`);
    return entry && isAlive(entry) ? entry.payload : undefined;
  }

  async findByUid(uid) {
    return all(this.kind).find((payload) => payload.uid === uid);
  }

  async consume(id) {
    const payload = await this.find(id);
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(`${this.kind}:${id}`);
  }

  async revokeByGrantId(grantId) {
    forget((entry) => entry.kind === this.kind && entry.payload.grantId === grantId);
  }
}

export const all = (kind) => [...entries.values()].filter((e) => e.kind === kind && isAlive(e)).map((e) => e.payload);

// Takes back what `subject` has allowed, with all tokens that come of it; says how many grants that were.
export function revokeGrantsOf(subject) {
  const grants = all("Grant").filter(({ accountId }) => accountId === subject);
  forget(({ payload }) => payload.accountId === subject && (payload.grantId || payload.kind === "Grant"));
  return grants.length;
}

// Ends the sessions of `subject` at the provider itself: it asks for the name again.
export function forgetSessionsOf(subject) {
  forget(({ kind, payload }) => kind === "Session" && payload.accountId === subject);
}

function forget(which) {
  for (const [key, entry] of entries) if (which(entry)) entries.delete(key);
}
