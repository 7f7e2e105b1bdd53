import type { Scene, Shape } from './scene.ts';

/** Pixels of the picture for each of the page's. */
const density = 2;

/** The scene as an SVG file that stands on its own. */
export function svgText({ width, height, background, shapes }: Scene): string {
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size}>`,
    `<rect width="${width}" height="${height}" fill="${background}"/>`,
    ...shapes.map(svgShape),
    '</svg>\n',
  ].join('\n');
}

function svgShape(shape: Shape): string {
  if (shape.kind === 'text') {
    const { x, y, anchor, size, weight, family, fill, turned } = shape;
    const turn = turned ? ` transform="rotate(-90 ${round(x)} ${round(y)})"` : '';
    const font = `font-family="${escape(family)}" font-size="${size}" font-weight="${weight}"`;
    return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" ${font} fill="${fill}"${turn}>${escape(shape.text)}</text>`;
  }
  const stroke = `stroke="${shape.stroke}" stroke-width="${shape.strokeWidth}"`;
  if (shape.kind === 'path') {
    const place = `transform="translate(${round(shape.x)} ${round(shape.y)})"`;
    return `<path d="${shape.d}" ${place} fill="none" ${stroke}/>`;
  }
  const { x, y, width, height, fill } = shape;
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}" ${stroke}/>`;
}

/** The scene as a PNG of twice its size. */
export async function png(scene: Scene): Promise<Blob> {
  const canvas = new OffscreenCanvas(scene.width * density, scene.height * density);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('This browser draws no pictures.');
  context.scale(density, density);
  context.fillStyle = scene.background;
  context.fillRect(0, 0, scene.width, scene.height);
  for (const shape of scene.shapes) draw(context, shape);
  return canvas.convertToBlob({ type: 'image/png' });
}

function draw(context: OffscreenCanvasRenderingContext2D, shape: Shape): void {
  context.save();
  if (shape.kind === 'rect') {
    const box = [shape.x, shape.y, shape.width, shape.height] as const;
    if (shape.fill !== 'none') {
      context.fillStyle = shape.fill;
      context.fillRect(...box);
    }
    if (setStroke(context, shape)) context.strokeRect(...box);
  } else if (shape.kind === 'path') {
    context.translate(shape.x, shape.y);
    if (setStroke(context, shape)) context.stroke(new Path2D(shape.d));
  } else {
    context.translate(shape.x, shape.y);
    if (shape.turned) context.rotate(-Math.PI / 2);
    context.font = `${shape.weight} ${shape.size}px ${shape.family}`;
    context.textAlign = shape.anchor === 'middle' ? 'center' : shape.anchor;
    context.fillStyle = shape.fill;
    context.fillText(shape.text, 0, 0);
  }
  context.restore();
}

function setStroke(
  context: OffscreenCanvasRenderingContext2D,
  { stroke, strokeWidth }: { readonly stroke: string; readonly strokeWidth: number },
): boolean {
  context.strokeStyle = stroke;
  context.lineWidth = strokeWidth;
  return stroke !== 'none' && strokeWidth > 0;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

function escape(text: string): string {
  return text.replace(/[&<>"]/g, character => entities[character] ?? character);
}
