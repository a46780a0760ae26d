// One tab, with a record of what it asked for and of what it complained about.
const PATIENCE_MS = 15_000;

export class Tab {
  static ORDERS = [
    "goto", "reload", "back", "forward", "at", "shows", "click", "fill", "press", "focused", "text", "html", "title", "url",
    "evaluate", "screenshot", "requests", "complaints", "close",
  ];

  constructor(page) {
    this.page = page;
    this.asked = [];
    this.complained = [];
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("response", (answer) => {
      const request = answer.request();
      this.asked.push({ method: request.method(), url: request.url(), kind: request.resourceType(), status: answer.status() });
    });
    page.on("requestfailed", (request) => {
      this.asked.push({ method: request.method(), url: request.url(), kind: request.resourceType(), status: 0 });
    });
    // Violations of a page's own Content-Security-Policy are told here, too.
    page.on("console", (message) => {
      if (message.type() === "error") this.complained.push(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => this.complained.push(String(error)));
  }

  // The status of what it comes to, or 0 where that is a page from memory.
  async goto({ url }) {
    return statusOf(await this.page.goto(url));
  }

  async reload() {
    return statusOf(await this.page.reload());
  }

  async back() {
    return statusOf(await this.page.goBack());
  }

  async forward() {
    return statusOf(await this.page.goForward());
  }

  // Waits until it is there and loaded.
  async at({ url }) {
    try {
      await this.page.waitForURL(url);
    } catch (error) {
      throw new Error(`not at ${url}, but at ${this.page.url()}: ${error.message}`, { cause: error });
    }
  }

  // Waits until something with this role and name is to be seen.
  shows({ role, name }) {
    return this.#by(role, name).waitFor({ state: "visible" });
  }

  click({ role, name }) {
    return this.#by(role, name).click();
  }

  fill({ label, value }) {
    return this.page.getByLabel(label, { exact: true }).fill(value);
  }

  press({ key }) {
    return this.page.keyboard.press(key);
  }

  // What has the focus: its tag and its text.
  focused() {
    return this.page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.textContent.trim()}`);
  }

  text() {
    return this.page.locator("body").innerText();
  }

  html() {
    return this.page.content();
  }

  title() {
    return this.page.title();
  }

  async url() {
    return this.page.url();
  }

  // `script` is the body of an asynchronous function.
  evaluate({ script }) {
    return this.page.evaluate(`(async () => {${script}\n})()`);
  }

  async screenshot({ file }) {
    await this.page.screenshot({ path: file, fullPage: true, animations: "disabled" });
  }

  async requests() {
    return this.asked;
  }

  async complaints() {
    return this.complained;
  }

  close() {
    return this.page.close();
  }

  #by(role, name) {
    return this.page.getByRole(role, { name, exact: true });
  }
}

const statusOf = (answer) => answer?.status() ?? 0;
