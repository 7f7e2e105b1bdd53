import { svgElement } from '../../shared/dom.ts';

/** Gives an element its place on the scale, -1 to 1: the style sheet makes colour, or size, of it. */
export function setTone(target: SVGElement, tone: number, signed: boolean): void {
  const known = Number.isFinite(tone) ? tone : 0;
  target.style.setProperty('--tone', Math.abs(known).toFixed(4));
  target.classList.toggle('signed', signed);
  target.classList.toggle('negative', signed && known < 0);
}

interface TextPlace {
  readonly x: number;
  readonly y: number;
  readonly class: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

/** A line of text of a figure. */
export function textMark(text: string, { x, y, class: name, anchor }: TextPlace): SVGTextElement {
  return svgElement(
    'text',
    { x: x.toFixed(1), y: y.toFixed(1), class: name, 'text-anchor': anchor ?? 'start' },
    document.createTextNode(text),
  );
}
