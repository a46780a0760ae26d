// Verifies assertions with docs/examples/verify-identity/verify.mjs: one request on standard input, one answer on
// standard output, as README.md beside it shows them.
import { copyFile, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

// The example imports jose by its name, as programs do, so it is run where that name is known.
async function example() {
  const folder = await mkdtemp(join(tmpdir(), "verify-identity-"));
  try {
    await copyFile(at("docs/examples/verify-identity/verify.mjs"), join(folder, "verify.mjs"));
    await symlink(at(".sekisho/peers/node_modules"), join(folder, "node_modules"));
    return await import(pathToFileURL(join(folder, "verify.mjs")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const { verifier } = await example();
const request = await json(process.stdin);
const whoAsks = verifier(request.jwks_url, request.audience);
const outcome = async (assertion) => {
  try {
    return { claims: await whoAsks(assertion) };
  } catch (error) {
    return { refused: `${error.name}: ${error.message}` };
  }
};
process.stdout.write(JSON.stringify(await Promise.all(request.assertions.map(outcome))));
