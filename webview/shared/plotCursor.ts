import { announce } from './announce.ts';

/** What a plot with a row of positions tells its reading cursor. */
export interface CursorTarget {
  /** The focusable element that spans the positions from left to right. */
  readonly element: HTMLElement;
  /** Number of positions now. */
  count(): number;
  /** Which position lies at this fraction of the width. */
  at(fraction: number): number;
  /** Where the keyboard starts reading. */
  start(): number;
  /** Draws the cursor; undefined takes it away. */
  show(position: number | undefined): void;
  /** The values at a position, as a sentence. */
  describe(position: number): string;
}

/** Lets people read a plot's values with the pointer, and with the arrow keys while it has the focus. */
export function attachCursor(target: CursorTarget): void {
  const { element } = target;
  let position: number | undefined;
  const move = (to: number | undefined): void => {
    const count = target.count();
    position = to === undefined || count === 0 ? undefined : Math.max(0, Math.min(count - 1, to));
    target.show(position);
  };
  element.tabIndex = 0;
  element.addEventListener('pointermove', event => {
    const box = element.getBoundingClientRect();
    if (box.width > 0) move(target.at((event.clientX - box.left) / box.width));
  });
  element.addEventListener('pointerleave', () => move(undefined));
  element.addEventListener('blur', () => move(undefined));
  element.addEventListener('keydown', event => {
    const step = steps[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(step(position ?? target.start(), target.count()));
    if (position !== undefined) announce(target.describe(position));
  });
}

const steps: Partial<Record<string, (position: number, count: number) => number | undefined>> = {
  ArrowLeft: position => position - 1,
  ArrowRight: position => position + 1,
  Home: () => 0,
  End: (_position, count) => count - 1,
  Escape: () => undefined,
};
