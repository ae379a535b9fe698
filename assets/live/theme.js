// The colours and the type of the page, for canvases and charts.

class Theme {
  constructor(root) {
    this.root = root;
  }

  // What the charts need, in words that Plotly understands.
  words() {
    const { ink, paper } = this.colours();
    const css = (colour) => `rgb(${colour.join(",")})`;
    return { text: css(ink), soft: css(mix(paper, ink, 0.45)), line: css(mix(paper, ink, 0.14)), font: getComputedStyle(this.root).fontFamily };
  }

  // Text and background as [r, g, b]; read once a theme.
  colours() {
    const style = getComputedStyle(this.root);
    const key = style.color + style.getPropertyValue("--st-background-color");
    if (this.key !== key) {
      const context = make("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      };
      this.key = key;
      this.found = { ink: rgb(style.color), paper: rgb(style.getPropertyValue("--st-background-color").trim() || "#fff") };
    }
    return this.found;
  }
}
