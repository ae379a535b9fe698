// What every view is made of: nodes, a tip that follows the pointer, words and colours.

export function make(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent?.append(node);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A colour between two, each [r, g, b].
export const mix = (from, to, share) => from.map((channel, i) => Math.round(channel + (to[i] - channel) * share));

// What tells one theme from another.
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

// A root in the page, and what is drawn into it needs to know: words, numbers, the colours of the theme.
export class Surface {
  constructor(parent, className) {
    this.root = make("div", className, parent);
    this.number = (value) => new Intl.NumberFormat(this.language === "zh" ? "zh-CN" : "en").format(value);
    this.say = (key, values = {}) => (this.words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  // What the charts need of the page's theme, in words that Plotly understands.
  theme() {
    const { ink, paper } = this.ink();
    const css = (colour) => `rgb(${colour.join(",")})`;
    return { text: css(ink), soft: css(mix(paper, ink, 0.45)), line: css(mix(paper, ink, 0.14)), font: getComputedStyle(this.root).fontFamily };
  }

  // The colours of text and background as [r, g, b]; read once a theme.
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

  // Whether words, theme or any of `more` are others than when this was asked last: the page's script runs at every
  // press, and what would be drawn as it is costs the browser the time of its answer.
  looksAnew(...more) {
    const look = JSON.stringify([this.language, themeOf(getComputedStyle(this.root)), ...more]);
    const anew = look !== this.look;
    this.look = look;
    return anew;
  }
}
