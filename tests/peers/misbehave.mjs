// How a provider's answers go wrong. `how` is an object with one member, which says in which way.
const LARGE_BYTES = 5 * 1024 * 1024;
const DRIP_MS = 200;

// `right` has the right answer: `well` gives it, `document` is what it says.
export function misbehave(how, response, right) {
  const [[way, detail]] = Object.entries(how);
  return WAYS[way](detail, response, right);
}

const WAYS = {
  // The right answer, so many milliseconds late.
  slow: (ms, _, { well }) => setTimeout(well, ms),
  // A head at once, and then an answer that never ends, byte by byte: no single read takes long.
  drip(_, response) {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"keys":[');
    const timer = setInterval(() => response.write(" "), DRIP_MS);
    response.on("close", () => clearInterval(timer));
  },
  // Nothing at all.
  hang() {},
  // What was asked for is done, and the answer gets lost.
  lost(_, response, { well }) {
    response.write = () => true;
    response.end = () => response.destroy();
    return well();
  },
  // A document that is correct but for its size.
  large(_, response, { document }) {
    const padding = "x".repeat(LARGE_BYTES);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ padding, ...document }));
  },
  html(_, response) {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<!doctype html><title>Sign in</title><p>Please sign in to this network.</p>");
  },
  redirect(location, response) {
    response.writeHead(302, { location });
    response.end();
  },
  status(code, response) {
    response.writeHead(code, { "content-type": "application/json" });
    response.end("{}");
  },
  refusal([status, error], response) {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ error }));
  },
  // Any other document in place of the right one.
  document(value, response) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  },
};
