// Chromium, for what a browser without a screen cannot tell: `browser.mjs CHROMIUM`. One order a line on standard input,
// `{ "id": 1, "do": "goto", "tab": 2, … }`, and one answer a line on standard output, in whichever order they come:
// `{ "id": 1, "ok": … }` or `{ "id": 1, "error": "…" }`. It ends with its standard input.
import { createInterface } from "node:readline";
import { installed } from "./installed.mjs";
import { accessibilityProblems } from "./browser/accessibility.mjs";
import { Tab } from "./browser/tab.mjs";

const { default: playwright } = await installed("playwright-core");

const browser = await playwright.chromium.launch({
  executablePath: process.argv[2],
  args: [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    // Whatever is not on this machine does not exist.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
  ],
});

const contexts = new Map();
const tabs = new Map();
let last = 0;

function keep(map, value) {
  last += 1;
  map.set(last, value);
  return last;
}

const find = (map, id) => map.get(id) ?? fail(`there is no ${id}`);

function fail(message) {
  throw new Error(message);
}

async function newTab(context) {
  const tab = new Tab(await context.newPage());
  return keep(tabs, tab);
}

const orders = {
  // Somebody's browser, with cookies of its own.
  async person({ locale, scripts, width, height }) {
    const viewport = { width, height };
    return keep(contexts, await browser.newContext({ locale, javaScriptEnabled: scripts, viewport }));
  },
  async leave({ person }) {
    await find(contexts, person).close();
    contexts.delete(person);
  },
  tab: ({ person }) => newTab(find(contexts, person)),
  cookies: ({ person, url }) => find(contexts, person).cookies(url),
  "put cookies": ({ person, cookies }) => find(contexts, person).addCookies(cookies),
  "clear cookies": ({ person }) => find(contexts, person).clearCookies(),
  accessibility: ({ tab }) => find(tabs, tab).page.evaluate(accessibilityProblems),
};

async function obey(order) {
  const { id, do: what, tab, ...rest } = order;
  if (Object.hasOwn(orders, what)) return orders[what]({ tab, ...rest });
  const found = find(tabs, tab);
  return Tab.ORDERS.includes(what) ? found[what](rest) : fail(`no such order: ${what}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  obey(order).then(
    (ok) => console.log(JSON.stringify({ id: order.id, ok: ok ?? null })),
    (error) => console.log(JSON.stringify({ id: order.id, error: error.message })),
  );
}
await browser.close();
