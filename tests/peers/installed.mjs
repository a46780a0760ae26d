// The packages of npm, which scripts/install-peers keeps under .sekisho, where `import` by name does not look.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(new URL("../../.sekisho/peers/package.json", import.meta.url));

export const installed = (name) => import(pathToFileURL(resolve(name)));
