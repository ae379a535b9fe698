// A picture of HTML as it appears: its coloured boxes and its lines of text, each in its place, as an SVG.

import { escaped } from "../shared/figure_saving.js";

const NO_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const CLEAR = /^transparent$|^rgba\(.*, 0\)$/;
const FILLED = /^linear-gradient\(to right, (rgba?\([^)]*\)) ([\d.]+)%/; // a cell that fills up
const MARGIN = 12; // pixels

// node: drawn at its width on the page. Returns { svg, width, height }.
export function htmlPicture(node) {
  const box = node.getBoundingClientRect();
  const [width, height] = [box.width + 2 * MARGIN, box.height + 2 * MARGIN];
  const pen = { left: box.left - MARGIN, top: box.top - MARGIN, parts: [], clips: 0 };
  drawNode(pen, node, 1);
  return { svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${pen.parts.join("")}</svg>`, width, height };
}

function drawNode(pen, node, opacity) {
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden") return;
  const seen = opacity * Number(style.opacity);
  const box = node.getBoundingClientRect();
  drawBox(pen, box, style, seen);
  const cuts = style.overflowX === "hidden" && parseFloat(style.borderTopLeftRadius) > 0; // a bar within round ends
  if (cuts) pen.parts.push(clip(pen, box, style));
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) drawText(pen, child, style, seen);
    else if (child.nodeType === Node.ELEMENT_NODE) drawNode(pen, child, seen);
  }
  if (cuts) pen.parts.push("</g>");
}

function clip(pen, box, style) {
  pen.clips += 1;
  return `<clipPath id="clip-${pen.clips}"><rect ${placed(pen, box, style)}/></clipPath><g clip-path="url(#clip-${pen.clips})">`;
}

function placed(pen, box, style) {
  return `x="${box.left - pen.left}" y="${box.top - pen.top}" width="${box.width}" height="${box.height}" rx="${parseFloat(style.borderTopLeftRadius) || 0}"`;
}

// The background of a box, and its borders.
function drawBox(pen, box, style, opacity) {
  const [x, y] = [box.left - pen.left, box.top - pen.top];
  const rect = (fill, more) => pen.parts.push(`<rect ${placed(pen, box, style)} fill="${fill}" opacity="${opacity}"${more}/>`);
  const edged = ["Top", "Right", "Bottom", "Left"].filter((side) => parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Style`] !== "none");
  const dashed = (side) => (style[`border${side}Style`] === "dashed" ? ' stroke-dasharray="4 3"' : "");
  if (!CLEAR.test(style.backgroundColor)) rect(style.backgroundColor, "");
  const [, colour, share] = style.backgroundImage.match(FILLED) ?? [];
  if (colour) pen.parts.push(`<rect ${placed(pen, { ...box.toJSON(), width: (box.width * share) / 100 }, style)} fill="${colour}"/>`);
  if (edged.length === 4) rect("none", ` stroke="${style.borderTopColor}" stroke-width="${style.borderTopWidth}"${dashed("Top")}`);
  else for (const side of edged) pen.parts.push(edge(side, { x, y, width: box.width, height: box.height }, style, dashed(side)));
}

function edge(side, { x, y, width, height }, style, dashed) {
  const half = parseFloat(style[`border${side}Width`]) / 2;
  const [x1, x2] = side === "Left" ? [x + half, x + half] : side === "Right" ? [x + width - half, x + width - half] : [x, x + width];
  const [y1, y2] = side === "Top" ? [y + half, y + half] : side === "Bottom" ? [y + height - half, y + height - half] : [y, y + height];
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${style[`border${side}Color`]}" stroke-width="${2 * half}"${dashed}/>`;
}

// A text in the lines that the browser broke it into; vertical ones are rotated.
function drawText(pen, text, style, opacity) {
  const size = parseFloat(style.fontSize) * (text.parentElement.currentCSSZoom ?? 1);
  const upright = style.writingMode.startsWith("vertical");
  if (!size) return;
  for (const { letters, box } of linesOf(text, upright)) {
    const [x, y] = [box.left - pen.left, (box.top + box.bottom) / 2 - pen.top];
    const middle = (box.left + box.right) / 2 - pen.left;
    const place = upright ? `x="${middle}" y="${y}" text-anchor="middle" transform="rotate(90 ${middle} ${y})"` : `x="${x}" y="${y}"`;
    pen.parts.push(`<text ${place} dominant-baseline="central" font-size="${size}" font-weight="${style.fontWeight}" fill="${style.color}" opacity="${opacity}">${escaped(letters.replace(NO_XML, ""))}</text>`);
  }
}

function linesOf(text, upright) {
  const range = document.createRange();
  const lines = [];
  let at = 0;
  for (const letter of text.data) {
    range.setStart(text, at);
    range.setEnd(text, at += letter.length);
    const box = range.getBoundingClientRect();
    if (!box.width && !box.height) continue; // a space that ends a line
    const line = lines.at(-1);
    const begins = !line || (!upright && Math.abs(line.box.top - box.top) >= box.height / 2);
    if (begins && !letter.trim()) continue; // an SVG begins no line with a space
    if (!begins) {
      line.letters += letter;
      line.box = { left: line.box.left, right: box.right, top: line.box.top, bottom: Math.max(line.box.bottom, box.bottom) };
    } else {
      lines.push({ letters: letter, box });
    }
  }
  return lines.filter(({ letters }) => letters.trim());
}
