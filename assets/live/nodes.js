// Nodes of the page: made once, changed in place.

function make(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent?.append(node);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

class Tip {
  constructor(root) {
    this.root = root;
    this.node = make("div", "sc-tip", root);
    this.node.hidden = true;
  }

  show(event, lines) {
    this.node.replaceChildren(...lines.map((line) => { const row = make("div"); row.textContent = line; return row; }));
    this.node.hidden = false;
    const box = this.root.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 14, box.width - this.node.offsetWidth - 4);
    this.node.style.transform = `translate(${Math.max(0, x)}px, ${event.clientY - box.top + 16}px)`;
  }

  hide() {
    this.node.hidden = true;
  }
}
