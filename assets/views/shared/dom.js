// The parts of every view: DOM nodes, a tooltip at the pointer, words, colours.

export function make(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent?.append(node);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A colour between two others, each [r, g, b].
export const mix = (from, to, share) => from.map((channel, i) => Math.round(channel + (to[i] - channel) * share));

// A key that differs between two themes.
const themeOf = (style) => style.color + style.getPropertyValue("--st-background-color");

export class Tip {
  constructor(root) {
    this.root = root;
    this.node = make("div", "sc-tip", root);
    this.node.hidden = true;
  }

  show(event, lines) {
    this.node.replaceChildren(...lines.map((line) => { const row = make("div"); row.textContent = line; return row; }));
    this.node.hidden = false;
    const box = this.root.getBoundingClientRect();
    const zoom = this.root.currentCSSZoom ?? 1; // large type
    const x = Math.min((event.clientX - box.left) / zoom + 14, box.width / zoom - this.node.offsetWidth - 4);
    this.node.style.transform = `translate(${Math.max(0, x)}px, ${(event.clientY - box.top) / zoom + 16}px)`;
  }

  hide() {
    this.node.hidden = true;
  }
}

// A root node in the page, with the words, the number format and the colours that its drawings need.
export class Surface {
  constructor(parent, className) {
    this.root = make("div", className, parent);
    this.number = (value) => new Intl.NumberFormat(this.language === "zh" ? "zh-CN" : "en").format(value);
    this.say = (key, values = {}) => (this.words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  // The page's theme for charts, as Plotly writes colours.
  theme() {
    const { ink, paper } = this.ink();
    const css = (colour) => `rgb(${colour.join(",")})`;
    return { text: css(ink), soft: css(mix(paper, ink, 0.45)), line: css(mix(paper, ink, 0.14)), font: getComputedStyle(this.root).fontFamily };
  }

  // The colours of text and background as [r, g, b]; read once for each theme.
  ink() {
    const style = getComputedStyle(this.root);
    const key = themeOf(style);
    if (this.inkKey !== key) {
      const context = make("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      };
      this.inkKey = key;
      this.inks = { ink: rgb(style.color), paper: rgb(style.getPropertyValue("--st-background-color").trim() || "#fff") };
    }
    return this.inks;
  }

  // Whether language, theme or any of `more` changed since the last call. The page's script runs at every press; a
  // redraw without a change would only delay the answer to that press.
  looksAnew(...more) {
    const look = JSON.stringify([this.language, themeOf(getComputedStyle(this.root)), ...more]);
    const anew = look !== this.look;
    this.look = look;
    return anew;
  }
}
