// Posts a form to whatever host, which is always this machine: names below localhost need not be known to it.
import { request } from "node:http";
import { text } from "node:stream/consumers";

const PATIENCE_MS = 10_000;

export function post(url, form) {
  const { host, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const headers = { host, "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(form) };
    const options = { host: "127.0.0.1", port, path: pathname + search, method: "POST", headers, timeout: PATIENCE_MS };
    const call = request(options, async (answer) => resolve({ status: answer.statusCode, body: await text(answer) }));
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end(form);
  });
}
