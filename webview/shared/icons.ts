import { element, svgElement } from './dom.ts';

/** Outlines on a 16 by 16 grid, drawn in the colour of the text around them. */
const outlines = {
  open: 'M6.5 3.5h-3v9h9v-3M9 3.5h3.5V7M12.5 3.5l-5.5 5.5',
  nextPlace: 'M8 2.5v10M4 8.5l4 4 4-4',
  pin: 'M5.5 2.5h5M6.5 2.5v4.2L4.5 9v1h7V9l-2-2.3V2.5M8 10v4',
  previous: 'M10 3L5 8l5 5',
  next: 'M6 3l5 5-5 5',
  add: 'M8 3v10M3 8h10',
  remove: 'M3 8h10',
  train: 'M6 2.5h4M7 2.5v4L3.5 12.5a.7.7 0 0 0 .6 1h7.8a.7.7 0 0 0 .6-1L9 6.5v-4M5 10.5h6',
} as const;

export type IconName = keyof typeof outlines;

export function icon(name: IconName): SVGSVGElement {
  return svgElement(
    'svg',
    { class: `icon icon-${name}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' },
    svgElement('path', { d: outlines[name] }),
  );
}

/** A button that shows only an icon; `label` is its name and its tooltip. */
export function iconButton(name: IconName, label: string, onClick?: () => void): HTMLButtonElement {
  const made = element(
    'button',
    { class: 'iconButton', title: label, attributes: { type: 'button', 'aria-label': label } },
    icon(name),
  );
  if (onClick) made.addEventListener('click', onClick);
  return made;
}
