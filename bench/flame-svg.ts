/** A profile as a flame graph: an SVG in which each call is as wide as it took long, and lies on its caller. */
import type { Frame } from './profile.ts';

const WIDTH = 1600;
const ROW = 17;
/** Narrower calls cannot be seen. */
const WIDTH_MIN = 0.5;
const CHARACTER = 6.6;

export function flameSvg(root: Frame, title: string): string {
  const boxes: string[] = [];
  let depthMax = 0;
  const draw = (frame: Frame, x: number, depth: number): void => {
    const width = (frame.totalUs / root.totalUs) * WIDTH;
    if (width < WIDTH_MIN) return;
    depthMax = Math.max(depthMax, depth);
    boxes.push(box(frame, { x, y: depth * ROW, width, share: frame.totalUs / root.totalUs }));
    let left = x;
    for (const child of [...frame.children.values()].sort((a, b) => b.totalUs - a.totalUs)) {
      draw(child, left, depth + 1);
      left += (child.totalUs / root.totalUs) * WIDTH;
    }
  };
  draw(root, 0, 1);
  const height = (depthMax + 2) * ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="monospace" font-size="11">`,
    `<text x="4" y="13">${escape(title)}</text>`,
    ...boxes,
    '</svg>\n',
  ].join('\n');
}

function box(frame: Frame, at: { x: number; y: number; width: number; share: number }): string {
  const { x, y, width, share } = at;
  const words = `${frame.name}: ${(share * 100).toFixed(1)} %, itself ${(frame.selfUs / 1000).toFixed(0)} ms`;
  const shown = frame.name.slice(0, Math.floor(width / CHARACTER));
  const place = `x="${x.toFixed(1)}" width="${width.toFixed(1)}"`;
  return [
    `<g><title>${escape(words)}</title>`,
    `<rect ${place} y="${y}" height="${ROW - 1}" fill="hsl(${hue(frame.name)} 70% 72%)"/>`,
    shown.length > 2 ? `<text x="${(x + 3).toFixed(1)}" y="${y + 12}">${escape(shown)}</text>` : '',
    '</g>',
  ].join('');
}

/** Code of one file has one colour. */
function hue(name: string): number {
  const file = name.split(' ').at(-1)?.split(':')[0] ?? '';
  return Buffer.from(file).reduce((sum, byte) => (sum * 31 + byte) % 360, 0);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
