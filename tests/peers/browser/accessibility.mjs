// What makes a page hard to use without eyes, without a mouse or on a small screen; runs inside the page. Not everything
// that WCAG wants can be measured, but what can be is: language, headings, names, labels, contrast (1.4.3), reflow (1.4.10).
export function accessibilityProblems() {
  const problems = [];
  const expect = (right, problem) => right || problems.push(problem);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const nameOf = (element) =>
    (element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent ?? "").trim();

  expect(/^[a-z]{2}(-|$)/.test(document.documentElement.lang), "no language");
  expect(document.title.trim() !== "", "no title");
  expect(all("h1").filter(shown).length === 1, `${all("h1").filter(shown).length} main headings`);
  expect(all("main").length === 1, `${all("main").length} main parts`);
  const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
  expect(viewport.includes("width=device-width"), "not made for small screens");
  expect(!/user-scalable=no|maximum-scale=1/.test(viewport), "cannot be enlarged");
  expect(document.documentElement.scrollWidth <= window.innerWidth, "must be scrolled sideways");
  const levels = all("h1,h2,h3,h4,h5,h6").map((heading) => Number(heading.tagName[1]));
  expect(levels.every((level, at) => at === 0 || level <= levels[at - 1] + 1), `headings leave levels out: ${levels}`);
  for (const field of all("input:not([type=hidden],[type=submit]),select,textarea").filter(shown))
    expect(nameOf(field) !== "", `a field without a label: ${field.outerHTML}`);
  for (const control of all("button,a[href]").filter(shown))
    expect(nameOf(control) !== "", `nothing to call it by: ${control.outerHTML}`);
  for (const image of all("img")) expect(image.hasAttribute("alt"), `an image without words: ${image.outerHTML}`);
  for (const element of all("[tabindex]")) expect(element.tabIndex <= 0, `an order of its own: ${element.outerHTML}`);
  const ids = all("[id]").map(({ id }) => id);
  expect(new Set(ids).size === ids.length, `an id twice: ${ids}`);

  const rgba = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return { red, green, blue, alpha };
  };
  const over = (front, back) => {
    const mix = (name) => front[name] * front.alpha + back[name] * (1 - front.alpha);
    return { red: mix("red"), green: mix("green"), blue: mix("blue"), alpha: 1 };
  };
  const backgroundOf = (element) => {
    if (!element) return rgba("rgb(255, 255, 255)");
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own.alpha === 1 ? own : over(own, backgroundOf(element.parentElement));
  };
  const luminance = ({ red, green, blue }) => {
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  for (const element of all("body *").filter((found) => hasText(found) && shown(found))) {
    const style = getComputedStyle(element);
    const background = backgroundOf(element);
    const [light, dark] = [luminance(over(rgba(style.color), background)), luminance(background)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    expect(contrast >= least, `contrast ${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 120)}`);
  }
  return problems;
}
